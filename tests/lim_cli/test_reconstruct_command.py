"""`lim reconstruct`, as a person runs it: the real command, a real server, real files; the weights are nobody's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from PIL import Image
from pxr import Usd, UsdGeom

from lim_server.models import shipped
from lim_server.models.presets import micro
from lim_server.models.shipped import SHARP
from lim_server.models.weights import BadWeights, Card, save_weights
from tests.lim_cli.view_folders import write_views
from tests.lim_server.lump import lump
from tests.lim_usd.judges import issues

Lim = Callable[..., "subprocess.CompletedProcess[str]"]
RADIUS = 0.6
SHIFT = (0.3, 0.1, -0.2)


@pytest.fixture(scope="module")
def lim() -> Iterator[Lim]:
    """Runs the command with a server of its own, whose LRM says that there is a ball."""
    with TemporaryDirectory(prefix="lim") as name:
        folder = Path(name)
        places = {f"LIM_{place}_DIR": str(folder / place) for place in ("RUNTIME", "CACHE", "KEYS", "WEIGHTS")}
        card = Card("lrm", SHARP, recipe={}, step=0, scores={})
        save_weights(folder / "WEIGHTS" / f"{SHARP}-lrm.safetensors", lump(micro(), RADIUS), card)

        def run(*words: str | Path, cwd: Path = folder) -> subprocess.CompletedProcess[str]:
            command = [str(Path(sys.executable).with_name("lim")), *map(str, words)]
            environment = {**os.environ, **places}
            return subprocess.run(
                command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=600, check=False
            )

        yield run
        run("stop")


def test_views_in_one_textured_mesh_out(lim: Lim, tmp_path: Path) -> None:
    write_views(tmp_path / "shot" / "1001", fps=25)
    write_views(tmp_path / "shot" / "1004", SHIFT)
    words = ("reconstruct", "shot/1001", "shot/1004", "-o", "a.usd", "--cells", "24", "--texture-size", "128")
    result = lim(*words, "--json", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    told = json.loads(result.stdout)
    assert [(key["name"], key["views"]) for key in told["reconstructed"]["keys"]] == [("1001", 4), ("1004", 4)]
    assert told["notes"] == ["the cameras stand upright along Y: taken as up. Say another with --up-axis."]
    assert issues(tmp_path / "a.usd") == []
    stage = Usd.Stage.Open(str(tmp_path / "a.usd"))
    assert (stage.GetStartTimeCode(), stage.GetEndTimeCode(), stage.GetTimeCodesPerSecond()) == (1001, 1004, 25)
    (mesh,) = [UsdGeom.Mesh(prim) for prim in stage.Traverse() if prim.IsA(UsdGeom.Mesh)]
    for frame, centre in ((1001, np.zeros(3)), (1004, np.array(SHIFT))):
        points = np.asarray(mesh.GetPointsAttr().Get(frame))
        assert np.abs((points.min(axis=0) + points.max(axis=0)) / 2 - centre).max() < 0.06
    model = {a.GetName(): a.Get() for a in stage.GetDefaultPrim().GetAttributes() if "provenance" in a.GetName()}
    assert model["lim:provenance:model"] == f"{SHARP}-lrm"
    assert len(model["lim:provenance:weightsSha256"]) == 64
    (image,) = (tmp_path / "maps").glob("a_color_*.png")
    colours = np.asarray(Image.open(image)).reshape(-1, 3)
    assert (colours.std(axis=0) > 25).all(), "normals of all directions are painted on it"


def test_refusals_have_their_exit_codes(lim: Lim, tmp_path: Path) -> None:
    write_views(tmp_path / "1")
    write_views(tmp_path / "2", around=[(0, 0)])
    result = lim("reconstruct", "1", "2", "-o", "a.usd", cwd=tmp_path)
    assert result.returncode == 2
    assert result.stderr.splitlines()[-1] == "lim: 2/cameras.json: 1 view. A key needs 2 or more."
    write_views(tmp_path / "2")
    options = {
        "--cells=4": "--cells: 4",
        "--up-axis=X": "--up-axis: 'X'",
        "--units=mile": "--units mile",
        "--fps=0": "",
    }
    for word, said in options.items():
        result = lim("reconstruct", "1", "2", "-o", "a.usd", word, cwd=tmp_path)
        assert result.returncode == 2 and f"lim: {said}" in result.stderr
    assert not (tmp_path / "a.usd").exists()


def test_a_server_without_weights_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipped, "FOLDER", tmp_path)
    with pytest.raises(BadWeights, match=r"no such file\. Start the server with LIM_WEIGHTS_DIR"):
        shipped.shipped_lrm_digest()
