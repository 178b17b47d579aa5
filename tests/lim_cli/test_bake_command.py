"""`lim bake` as a person runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "lim_usd"))

from verify_assets import ball, write

COMMAND = [str(Path(sys.executable).with_name("lim")), "bake"]


def lim(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *map(str, words)], capture_output=True, text=True, check=False)


def test_a_variant_and_a_gltf(tmp_path: Path) -> None:
    asset = write(tmp_path / "a.usd", ball(), map(float, range(1, 31)))
    result = lim(asset)
    assert result.returncode == 0, result.stderr
    assert "% of the diagonal at most" in result.stdout
    assert (tmp_path / "layers/a_bake.usd").is_file()
    told = json.loads(lim(asset, "-o", tmp_path / "a.glb", "--error", "0.5", "--json").stdout)
    assert told["path"] == str(tmp_path / "a.glb")
    assert told["error_max"] <= 0.005
    assert told["bytes"] == (tmp_path / "a.glb").stat().st_size


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--error", "0"], "--error: 0.0 percent"),
        (["--error", "1e-9"], "cannot be kept with fewer shapes than frames. Allow more."),
        (["-o", "out.usd"], "is no .glb"),
        (["-o", "none/out.glb"], "does not exist"),
    ],
)
def test_what_cannot_be_is_two(tmp_path: Path, words: list[str], message: str) -> None:
    asset = write(tmp_path / "a.usd", ball())
    before = sorted(tmp_path.rglob("*"))
    result = subprocess.run([*COMMAND, asset, *words], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 2, result.stdout
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert sorted(tmp_path.rglob("*")) == before
