"""`hython -m lim_houdini.batch`, run by a stand-in for hython on a recorded network."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import hou
import hou_nodes
import numpy as np
import pytest
from pxr import Usd, UsdGeom

from tests.conftest import Server
from tests.lim_houdini.conftest import FIRST, positions

Batch = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def hip(track: hou.SopNode, tmp_path: Path) -> Path:
    out = hou_nodes._make("/out/usd1", "lim::usd_out::1.0")
    out.parm("soppath").set(track.path())
    out.parm("file").set("$HIP/$OS.usd")
    hou.hipFile.save(str(tmp_path / "shot.hip"))
    return tmp_path / "shot.hip"


@pytest.fixture
def batch(hip: Path, server: Server) -> Batch:
    def run(*words: str, node: str = "/obj/geo1/track1") -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "lim_houdini.batch", str(hip), "--node", node, *words]
        stand_in = str(Path(__file__).with_name("stand_in"))
        environment = {**os.environ, "PYTHONPATH": stand_in, "LIM_SERVER": str(server.endpoint)}
        return subprocess.run(command, cwd=hip.parent, env=environment, capture_output=True, text=True, check=False)

    return run


def test_it_writes_what_the_node_shows_and_tells_what_lim_track_tells(
    batch: Batch, hip: Path, track: hou.SopNode
) -> None:
    done = batch("--frames", "1-9x0.5", "--out", "a.usd", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["frames"] == {"first": 1.0, "last": 9.0, "count": 17}
    assert told["points"] == len(FIRST.points)
    assert told.keys() == {"output", "files", "frames", "points", "faces", "method", "keys", "seconds", "from_cache", "server", "notes"}  # fmt: skip # noqa: E501
    stage = Usd.Stage.Open(str(hip.parent / "a.usd"))
    (mesh,) = [UsdGeom.Mesh(prim) for prim in stage.Traverse() if prim.IsA(UsdGeom.Mesh)]
    hou.setFrame(4.5)
    assert np.array_equal(np.asarray(mesh.GetPointsAttr().Get(4.5)), positions(track.geometry()))


def test_clips_that_are_finished_stay(batch: Batch, hip: Path) -> None:
    words = ("--out", "b.usd", "--chunk", "4", "--json")
    assert batch(*words, "--chunks", "2").returncode == 0
    clip = next(hip.parent.rglob("*2.usd*"))
    before = clip.stat().st_mtime_ns
    told = json.loads(batch(*words).stdout)
    assert "1 of 3 chunks are finished already and stay as they are" in told["notes"]
    assert clip.stat().st_mtime_ns == before


def test_the_writers_own_node_says_the_rest(batch: Batch, hip: Path) -> None:
    done = batch(node="/out/usd1")
    assert done.returncode == 0, done.stderr
    assert (hip.parent / "usd1.usd").exists()
    assert "usd1.usd" in done.stdout
    assert "lim: opening the scene" in done.stderr


@pytest.mark.parametrize(
    ("words", "node", "code", "said"),
    [
        (("--out", "a.usd"), "/obj/none", 2, "/obj/none is not there"),
        ((), "/obj/geo1/track1", 2, "--out: where to?"),
        (("--out", "a.abc"), "/obj/geo1/track1", 2, "a.abc"),
        (("--out", "a.usd", "--frames", "0-9"), "/obj/geo1/track1", 2, "--hold"),
        (("--out", "a.usd", "--frames", "x"), "/obj/geo1/track1", 2, "'x' is not a list of frames"),
        (("--out", "a.usd", "--server", "nowhere"), "/obj/geo1/track1", 2, "'nowhere' is no server"),
        (("--nonsense",), "/obj/geo1/track1", 2, "nonsense"),
    ],
)
def test_every_refusal_is_one_line(batch: Batch, words: tuple[str, ...], node: str, code: int, said: str) -> None:
    done = batch(*words, node=node)
    assert done.returncode == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr
