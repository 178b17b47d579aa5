"""A server that is not there, goes, and comes back: what the node shows meanwhile."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import hou
import hou_scene
import numpy as np
import pytest

from lim_client import launch
from lim_houdini import servers
from tests.conftest import Server, wait_for
from tests.lim_houdini.conftest import FIRST, LAST, make_track, plain, poses, positions


def at(node: hou.SopNode, frame: float) -> np.ndarray:
    hou.setFrame(frame)
    return positions(node.geometry())


@pytest.fixture
def home(short_tmp: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where this user's own server would be."""
    for name in ("RUNTIME", "CACHE", "KEYS"):
        monkeypatch.setenv(f"LIM_{name}_DIR", str(short_tmp / name.lower()))
    yield short_tmp
    if launch.running():
        os.kill(int((launch.runtime_dir() / "server.ipc.lock").read_text()), signal.SIGKILL)


def test_without_a_server_the_node_says_what_to_start(home: Path) -> None:
    track = make_track("/obj/geo1/track1", poses(plain(FIRST), plain(LAST)), None)
    with pytest.raises(hou.OperationFailed, match="Press Start Server, or run 'lim serve'"):
        at(track, 5)
    assert not launch.running(), "a cook starts nothing"


def test_the_button_starts_ones_own_server(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    track = make_track("/obj/geo1/track1", poses(plain(FIRST), plain(LAST)), None)
    monkeypatch.delenv("LIM_PYTHON", raising=False)
    with pytest.raises(hou.NodeError, match="lim houdini install"):
        track.parm("start").pressButton()
    monkeypatch.setenv("LIM_PYTHON", sys.executable)
    track.input(0)._touch(poses(plain(FIRST), plain(FIRST)))
    track.parm("ptidattr").set("id")  # known by number: nothing to track
    for geometry in track.input(0)._poses.values():
        geometry.addAttrib(hou.attribType.Point, "id", 0)
        numbers = np.arange(geometry.intrinsicValue("pointcount"), dtype=np.int32)
        geometry.setPointIntAttribValuesFromString("id", numbers.tobytes())
    track.parm("start").pressButton()
    assert launch.running()
    assert at(track, 5).shape == FIRST.points.shape


def test_what_is_no_server_is_said() -> None:
    track = make_track("/obj/geo1/track1", poses(plain(FIRST), plain(LAST)), None)
    track.parm("server").set("localhost")
    with pytest.raises(hou.OperationFailed, match="'localhost' is no server: write ipc"):
        at(track, 5)


def test_a_server_that_does_not_answer_is_given_up(short_tmp: Path) -> None:
    track = make_track("/obj/geo1/track1", poses(plain(FIRST), plain(LAST)), None)
    track.parm("server").set(f"ipc://{short_tmp}/nobody.ipc")
    track.parm("patience").set(1.0)
    with pytest.raises(hou.OperationFailed, match=r"no answer from ipc://.*nobody\.ipc"):
        at(track, 5)


def test_the_last_good_frame_stays_with_a_warning_until_the_server_is_back(
    new_server: Callable[..., Server], server: Server, track: hou.SopNode
) -> None:
    at(track, 4)
    warm, server = server, new_server()
    shutil.copytree(warm.cache, server.cache, dirs_exist_ok=True)
    track = make_track("/obj/geo1/track1", poses(plain(FIRST), plain(LAST)), server)
    track.parm("patience").set(1.5)
    good = at(track, 4)
    server.kill()
    assert np.array_equal(at(track, 6), good)
    assert "Still as at frame 4: no answer" in track.warnings()[0]
    assert np.array_equal(at(track, 4), good), "what was made is there without the server"
    assert track.warnings() == ()
    server.start()
    assert not np.array_equal(at(track, 6), good)
    assert track.warnings() == ()


def test_esc_while_connecting_leaves_nothing_open(short_tmp: Path) -> None:
    track = make_track("/obj/geo1/track1", poses(plain(FIRST), plain(LAST)), None)
    track.parm("server").set(f"ipc://{short_tmp}/nobody.ipc")
    track.parm("patience").set(1.0)
    hou_scene._user.esc_at = time.monotonic() + 0.2
    with pytest.raises(hou.OperationFailed, match="interrupted"):
        at(track, 5)
    assert servers._open == {}
    assert hou_scene._user.seen[-1] == "LIM: connecting"
    wait_for(lambda: not [t for t in threading.enumerate() if t.name == "lim connect"], 10)
