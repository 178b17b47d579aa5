"""LIM Track from end to end: the digital asset's own code, a stand-in for Houdini, a real server."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import hou
import hou_nodes
import hou_scene
import numpy as np
import pytest
from pxr import Usd, UsdGeom

from lim_client.link import Link
from lim_houdini import servers
from lim_houdini.geometry import build, turn
from lim_protocol import messages as m
from lim_protocol.types import Mesh
from lim_protocol.wire import encode
from tests.conftest import Server, tube, wait_for
from tests.lim_cli.mesh_files import write_obj
from tests.lim_houdini.conftest import FIRST, LAST, at, make_track, plain, poses, positions, positions_of, with_ids


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Counter[type[m.Message]]:
    """Bytes sent, by kind of message."""
    counted: Counter[type[m.Message]] = Counter()
    send = Link.send

    def counting(link: Link, message: m.Message) -> bool:
        counted[type(message)] += sum(map(len, encode(message)))
        return send(link, message)

    monkeypatch.setattr(Link, "send", counting)
    return counted


def test_it_is_what_lim_track_makes_bit_for_bit(track: hou.SopNode, server: Server, tmp_path: Path) -> None:
    for frame, mesh in ((1, FIRST), (9, LAST)):
        write_obj(tmp_path / f"k.{frame}.obj", plain(mesh))
    words = ["k.1.obj", "k.9.obj", "-o", "a.usd", "--frames", "1-9x0.5", "--velocities"]
    command = [str(Path(sys.executable).with_name("lim")), "track", *words, "--server", str(server.endpoint), "--json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    stage = Usd.Stage.Open(str(tmp_path / "a.usd"))
    (mesh,) = [UsdGeom.Mesh(prim) for prim in stage.Traverse() if prim.IsA(UsdGeom.Mesh)]
    for frame in (9.0, 5.0, 4.5, 1.0, 8.5):  # also backwards, and between frames
        hou.setFrame(frame)
        geometry = track.geometry()
        assert np.array_equal(positions(geometry), np.asarray(mesh.GetPointsAttr().Get(frame)))
        assert np.array_equal(positions(geometry, "N"), np.asarray(mesh.GetNormalsAttr().Get(frame)))
        assert np.array_equal(positions(geometry, "v"), np.asarray(mesh.GetVelocitiesAttr().Get(frame)))
    met = [key["residual_mean"] for key in track.cachedUserData("lim").report]
    assert met == [key["residual_mean"] for key in json.loads(done.stdout)["keys"]]


def test_the_topology_is_the_sources_at_every_frame(track: hou.SopNode) -> None:
    for frame in (1.0, 6.0, 9.0):
        hou.setFrame(frame)
        geometry = track.geometry()
        assert np.array_equal(geometry._counts, FIRST.face_counts)
        assert np.array_equal(geometry._table, FIRST.face_indices[turn(FIRST.face_counts)])


def test_keys_are_sent_once_and_later_cooks_ask_only_for_a_time(track: hou.SopNode, sent: Counter) -> None:
    at(track, 3)
    sent.clear()
    for frame in (4, 5, 5.25, 3):
        at(track, frame)
    assert sent[m.Blob] == 0
    assert 0 < sum(sent.values()) < 4000
    sent.clear()
    at(track, 4)
    assert sum(sent[kind] for kind in sent if kind is not m.Ping) == 0, "a frame that was made is not asked for again"


def test_nothing_connects_before_a_cook_and_nothing_leaks_into_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, server: Server
) -> None:
    def connect(*_: object, **__: object) -> None:
        raise AssertionError("no cook has asked")

    with monkeypatch.context() as patch:
        patch.setattr(servers, "connect", connect)
        track = make_track("/obj/geo1/track1", poses(plain(FIRST), plain(LAST)), server)
        hou.hipFile.save(str(tmp_path / "before.hip"))
    at(track, 3)
    hou.setFrame(1)
    hou.hipFile.save(str(tmp_path / "after.hip"))
    with np.load(tmp_path / "before.hip") as before, np.load(tmp_path / "after.hip") as after:
        assert before.files == after.files
        assert all(np.array_equal(before[name], after[name]) for name in before.files)
    monkeypatch.setattr(servers, "connect", connect)
    hou.hipFile.load(str(tmp_path / "after.hip"))
    assert hou.node("/obj/geo1/track1").parm("keylist").eval() == "1 9"


def test_beyond_the_keys_it_holds_extends_cycles_and_runs_back(track: hou.SopNode) -> None:
    first, last = at(track, 1), at(track, 9)
    assert np.array_equal(at(track, 12), last)
    assert not positions(track.geometry(), "v").any()
    track.parm("preextend").set("zigzag")
    assert np.array_equal(at(track, -2), at(track, 4))
    hou.setFrame(-2)
    backwards = positions(track.geometry(), "v")
    hou.setFrame(4)
    assert np.array_equal(backwards, -positions(track.geometry(), "v"))
    track.parm("postextend").set("cycle")
    assert np.array_equal(at(track, 17), first)
    track.parm("postextend").set("extend")
    hou.setFrame(9)
    speed = positions(track.geometry(), "v")
    assert np.allclose(at(track, 11), last + speed * 2 / 24, atol=1e-6)


def test_a_retime_is_an_expression_on_the_frame(track: hou.SopNode) -> None:
    slow = at(track, 4.5)
    track.parm("frame").set(4.5)
    assert np.array_equal(at(track, 100), slow)


def test_quality_is_there_for_who_asks(track: hou.SopNode) -> None:
    track.parm("computequality").set(1)
    hou.setFrame(9)
    residual = positions_of(track.geometry(), "limresidual")
    confidence = positions_of(track.geometry(), "limconfidence")
    assert residual.shape == confidence.shape == (len(FIRST.points),)
    assert 0 <= residual.max() < 0.1
    assert 0.5 < confidence.mean() <= 1
    hou.setFrame(1)
    assert not positions_of(track.geometry(), "limresidual").any()


def test_an_edit_upstream_is_seen(track: hou.SopNode) -> None:
    track.input(0)._touch(with_ids(FIRST, tube(6, 8, bend=0.3)))
    track.parm("ptidattr").set("id")
    old = at(track, 9)
    track.input(0)._touch(with_ids(FIRST, tube(6, 8, bend=0.4)))
    assert np.abs(at(track, 9) - old).max() > 0.01


def test_one_key_is_looked_at_in_turn_while_time_goes_on(track: hou.SopNode) -> None:
    at(track, 2)
    cooked = track.input(0)._cooks
    at(track, 3)
    assert track.input(0)._cooks - cooked <= 3, "the input at this frame, and at one key"


def test_changed_parameters_change_what_they_say(track: hou.SopNode, sent: Counter) -> None:
    at(track, 5)
    sent.clear()
    track.parm("computev").set(0)
    hou.setFrame(5.0)
    assert track.geometry().findPointAttrib("v") is None
    track.parm("computen").set(0)
    assert track.geometry().findPointAttrib("N") is None
    assert sent[m.Blob] == 0
    track.parm("keylist").set("1")
    with pytest.raises(hou.OperationFailed, match=r"1 keyframes \(frames: 1\)"):
        track.geometry()


def test_keys_by_range_by_change_of_topology_and_as_the_input_says(track: hou.SopNode) -> None:
    wanted = at(track, 6)
    track.parm("keymode").set("range")
    track.parmTuple("keyrange").set((1, 9, 8))
    assert np.array_equal(at(track, 6), wanted)
    track.parm("keymode").set("topology")
    track.parmTuple("keyrange").set((1, 12, 1))
    assert np.array_equal(at(track, 6), wanted)
    assert track.cachedUserData("lim").keys.times == [1.0, 9.0]
    track.parm("keymode").set("input")
    with pytest.raises(hou.OperationFailed, match="no detail attribute 'limkeys'"):
        at(track, 6)
    for geometry in track.input(0)._poses.values():
        geometry.addAttrib(hou.attribType.Global, "limkeys", "1 9")
    assert np.array_equal(at(track, 6), wanted)


def test_another_source_is_moved_where_the_second_input_has_one(track: hou.SopNode) -> None:
    source = tube(8, 7)
    track.setInput(1, hou_nodes._recorded("/obj/geo1/source", {1.0: build(plain(source))}))
    assert np.array_equal(at(track, 1), source.points)
    moved = at(track, 9)
    assert moved.shape == source.points.shape
    assert np.median(np.linalg.norm(moved - tube(8, 7, bend=0.5, shift=0.1).points, axis=1)) < 0.1


def test_missing_texture_coordinates_are_made_where_asked(track: hou.SopNode) -> None:
    hou.setFrame(5)
    assert track.geometry().findVertexAttrib("uv") is None
    track.parm("unwrap").set(1)
    geometry = track.geometry()
    uv = np.frombuffer(geometry.vertexFloatAttribValuesAsString("uv"), np.float32).reshape(-1, 3)
    assert uv.min() >= 0 and uv.max() <= 1 and len(np.unique(uv, axis=0)) >= len(FIRST.points)


def test_with_texture_coordinates_there_is_nothing_to_make(track: hou.SopNode, sent: Counter) -> None:
    track.input(0)._touch(with_ids(FIRST, tube(6, 8, bend=0.3)))
    for geometry in track.input(0)._poses.values():
        geometry.addAttrib(hou.attribType.Point, "uv", (0.5, 0.5, 0.0))
    track.parm("ptidattr").set("id")
    track.parm("unwrap").set(1)
    at(track, 5)
    sent.clear()
    track.cook(force=True)
    assert sent[m.Submit] == 0


def test_two_nodes_at_once(track: hou.SopNode, server: Server) -> None:
    other = make_track("/obj/geo2/track2", with_ids(LAST, tube(7, 9, bend=0.8)), server)
    other.parm("ptidattr").set("id")
    track.parm("send").pressButton()
    other.parm("send").pressButton()
    for frame in (2, 7):
        assert at(track, frame).shape == FIRST.points.shape
        assert at(other, frame).shape == LAST.points.shape
    assert np.array_equal(at(other, 1), LAST.points)
    assert len(servers._open) == 1, "one connection serves all nodes"


def test_esc_cancels(server: Server) -> None:
    track = make_track("/obj/geo1/track1", {1.0: build(plain(FIRST)), 9.0: build(scaled(LAST, 1.01))}, server)
    hou_scene._user.esc_on = "frame 9: "
    with pytest.raises(hou.OperationFailed, match="Cooking was interrupted"):
        at(track, 4)
    assert track.cachedUserData("lim").job is None
    with server.connect() as connection:
        wait_for(lambda: connection.status()["jobs"] == [])
    said = [text for text in hou_scene._user.seen if text]
    assert any("reading keyframe" in text for text in said)
    assert any("frame 9" in text for text in said), "the server's own progress"


def scaled(mesh: Mesh, by: float) -> Mesh:
    return replace(plain(mesh), points=mesh.points * np.float32(by))


def test_scrubbing_supersedes_what_was_sent_before(server: Server, sent: Counter) -> None:
    track = make_track("/obj/geo1/track1", {1.0: build(plain(FIRST)), 9.0: build(scaled(LAST, 1.02))}, server)
    hou_scene._user.interface = True
    track.parm("send").pressButton()
    before = track.cachedUserData("lim").job
    wait_for(lambda: before.progress is not None, 60)
    track.input(0)._touch(poses(plain(FIRST), plain(LAST)))
    at(track, 5)
    with server.connect() as connection:
        wait_for(lambda: connection.status()["jobs"] == [])
    assert before.summary is None, "nobody waits for what nobody wants any more"
    for callback in list(hou_scene._user.callbacks):
        callback()
    assert hou_scene._user.callbacks == []
    (connection,) = servers._open.values()
    assert connection.session.jobs == {}, "nor is it sent again to a server that is started again"


def test_the_report_tells_how_each_key_was_met(track: hou.SopNode) -> None:
    at(track, 5)
    hou_scene._user.interface = True
    track.parm("report").pressButton()
    ((_, text),) = hou_scene._user.displayed
    assert len(text.splitlines()) == 3
    assert "confidence" in text
