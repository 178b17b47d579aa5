"""LIM Track from end to end: the digital asset's own code, a stand-in for Houdini, a real server."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
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
from lim_houdini.keys import read_keys
from lim_houdini.settings import KeySettings
from lim_protocol import messages as m
from lim_protocol.types import Mesh
from lim_protocol.wire import encode
from tests.conftest import Server, tube, wait_for
from tests.lim_cli.mesh_files import write_obj
from tests.lim_houdini.conftest import FIRST, LAST, make_track, plain, poses, positions


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


def at(node: hou.SopNode, frame: float) -> np.ndarray:
    hou.setFrame(frame)
    return positions(node.geometry())


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


def positions_of(geometry: hou.Geometry, name: str) -> np.ndarray:
    return np.frombuffer(geometry.pointFloatAttribValuesAsString(name), np.float32)


def test_attributes_and_groups_of_the_source_come_through(server: Server) -> None:
    inputs = poses(plain(FIRST), plain(LAST))
    source = inputs[1.0]
    source.addAttrib(hou.attribType.Point, "weight", 0.25)
    source.addAttrib(hou.attribType.Vertex, "uv", (0.5, 0.25, 0.0))
    source.addAttrib(hou.attribType.Vertex, "N", (0.0, 1.0, 0.0))
    source.addAttrib(hou.attribType.Prim, "name", "body")
    source._groups[("Prim", "left")] = np.arange(3)
    track = make_track("/obj/geo1/track1", inputs, server)
    track.parm("uvattr").set("")  # what is not read comes through all the same
    hou.setFrame(6)
    geometry = track.geometry()
    assert np.unique(positions_of(geometry, "weight")).tolist() == [0.25]
    assert geometry.findVertexAttrib("uv") is not None
    assert geometry.findVertexAttrib("N") is None, "normals of another pose are no normals"
    assert geometry.findPrimAttrib("name") is not None
    assert geometry.primGroups() == ("left",)


def test_pins_and_stiffness_of_the_source(track: hou.SopNode) -> None:
    inputs = poses(plain(FIRST), plain(LAST))
    source, height = inputs[1.0], FIRST.points[:, 2]
    base, tip = height < 0.5, height > 2.2
    loose = at(track, 9)
    for region in (base, tip):
        assert np.abs(loose - FIRST.points)[region].min(axis=0).max() > 0
    source.addAttrib(hou.attribType.Point, "pin", 0)
    source.setPointIntAttribValuesFromString("pin", base.astype(np.int32).tobytes())
    source._groups[("Point", "tip")] = np.flatnonzero(tip)
    track.input(0)._touch(inputs)
    track.parm("pingroup").set("tip")
    held = at(track, 9)
    for points in (held, at(track, 4.5)):
        assert np.array_equal(points[base | tip], FIRST.points[base | tip])
    source.addAttrib(hou.attribType.Point, "stiffness", 30.0)
    at(track, 9)
    track.input(0)._touch(inputs)
    stiff = at(track, 9)
    assert not np.array_equal(stiff, held), "an edit of an attribute alone is seen"
    track.parm("stiffnessattr").set("none_such")
    track.parm("stiffness").set(30)
    assert np.array_equal(at(track, 9), stiff), "the parameter multiplies what the attribute says"


def test_landmarks_of_a_file(server: Server, tmp_path: Path) -> None:
    """A tube that looks alike all around: the file says that it has turned by half a turn."""
    half = {ring * 8 + i: ring * 8 + (i + 4) % 8 for ring in (0, 3, 5) for i in (0, 2)}
    still = tube(6, 8)
    track = make_track("/obj/geo1/track1", poses(plain(still), plain(still)), server)
    track.parm("usecolor").set(0)
    track.parm("landmarks").set(str(tmp_path / "marks.json"))
    with pytest.raises(hou.OperationFailed, match=r"marks\.json: No such file"):
        at(track, 9)
    (tmp_path / "marks.json").write_text('{"9": [[0, 48]]}')
    with pytest.raises(hou.OperationFailed, match=r"frame 9, pair 1: the keyframe has no point 48"):
        at(track, 9)
    (tmp_path / "marks.json").write_text(json.dumps({"9": list(map(list, half.items()))}))
    turned = at(track, 9)
    assert np.linalg.norm(turned[list(half)] - still.points[list(half.values())], axis=1).max() < 0.05


def test_pins_stay_in_keys_that_are_matched_by_id_too(track: hou.SopNode) -> None:
    bent = tube(6, 8, bend=0.7, shift=0.2)
    inputs = with_ids(FIRST, bent)
    pins = np.arange(len(FIRST.points)) < 8
    inputs[1.0].addAttrib(hou.attribType.Point, "pin", 0)
    inputs[1.0].setPointIntAttribValuesFromString("pin", pins.astype(np.int32).tobytes())
    track.input(0)._touch(inputs)
    track.parm("ptidattr").set("id")
    assert np.array_equal(at(track, 9), np.where(pins[:, None], FIRST.points, bent.points))
    assert np.array_equal(at(track, 5)[pins], FIRST.points[pins])
    assert not positions(track.geometry(), "v")[pins].any()


@pytest.mark.parametrize(
    ("parms", "said"),
    [
        ({"pingroup": "gone"}, "keyframe 1: there is no point group 'gone'"),
        ({"stiffnessattr": "rough"}, "keyframe 1: point attribute 'rough' is -1 at point 0, one of 48 that"),
        ({"pinattr": "v"}, "keyframe 1: point attribute 'v' has 144 values for 48 points"),
        ({"pinattr": "word"}, "point attribute 'word' is no number"),
        ({"stiffness": 0}, "Stiffness: it is 0. It must be above zero"),
    ],
)
def test_pins_and_stiffness_that_are_none_are_refused(server: Server, parms: dict[str, object], said: str) -> None:
    inputs = poses(plain(FIRST), plain(LAST))
    for name, value in {"rough": -1.0, "v": (0.0, 0.0, 0.0), "word": "x"}.items():
        inputs[1.0].addAttrib(hou.attribType.Point, name, value)
    track = make_track("/obj/geo1/track1", inputs, server)
    for name, value in parms.items():
        track.parm(name).set(value)
    with pytest.raises(hou.OperationFailed) as failure:
        track.geometry()
    assert said in str(failure.value)


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


def with_ids(*meshes: Mesh) -> dict[float, hou.Geometry]:
    """Keyframes whose points are known by number, so that nothing needs to be tracked."""
    inputs = poses(*map(plain, meshes))
    for geometry in inputs.values():
        geometry.addAttrib(hou.attribType.Point, "id", 0)
        count = geometry.intrinsicValue("pointcount")
        geometry.setPointIntAttribValuesFromString("id", np.arange(count, dtype=np.int32).tobytes())
    return inputs


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


Damage = Callable[[hou.Geometry], None]


def cleared(geometry: hou.Geometry) -> None:
    geometry.clear()


def with_nan(geometry: hou.Geometry) -> None:
    points = positions(geometry).copy()
    points[[3, 5]] = np.nan
    geometry.setPointFloatAttribValuesFromString("P", points.tobytes())


def in_one_place(geometry: hou.Geometry) -> None:
    geometry.setPointFloatAttribValuesFromString("P", np.ones_like(positions(geometry)).tobytes())


def with_volumes(geometry: hou.Geometry) -> None:
    geometry._others = {"VDB": 2}


def with_curves(geometry: hou.Geometry) -> None:
    geometry._others = {"NURBSCurve": 1}


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (cleared, "keyframe 9: no polygons, only 0 points"),
        (with_nan, "keyframe 9: point 3"),
        (in_one_place, "keyframe 9: all 63 points are in one place"),
        (with_volumes, "keyframe 9: 2 of 58 primitives are volumes. Convert them"),
        (with_curves, "keyframe 9: 1 of 57 primitives are no polygons"),
    ],
)
def test_what_cannot_be_tracked_is_refused_in_words(damage: Damage, said: str) -> None:
    inputs = poses(plain(FIRST), plain(LAST))
    damage(inputs[9.0])
    track = make_track("/obj/geo1/track1", inputs, None)
    with pytest.raises(hou.OperationFailed) as failure:
        track.geometry()
    assert said in str(failure.value)


def test_packed_geometry_is_unpacked(track: hou.SopNode) -> None:
    wanted = at(track, 6)
    inputs = poses(plain(FIRST), plain(LAST))
    packed = hou.Geometry()
    packed.createPoints([(0.0, 0.0, 0.0)])
    packed._others, packed._packed = {"PackedGeometry": 1}, inputs[9.0]
    track.input(0)._touch({1.0: inputs[1.0], 9.0: packed})
    assert np.array_equal(at(track, 6), wanted)


def test_without_the_verb_topology_is_read_one_by_one(track: hou.SopNode, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = at(track, 6)
    monkeypatch.setattr(type(hou.sopNodeTypeCategory()), "_without", frozenset({"attribpromote"}))
    track.parm("forget").pressButton()
    assert np.array_equal(at(track, 6), wanted)


def test_nothing_connected_is_said() -> None:
    track = make_track("/obj/geo1/track1", poses(plain(FIRST), plain(LAST)), None)
    track.setInput(0, None)
    with pytest.raises(hou.OperationFailed, match="input 1: nothing there at frame 1"):
        track.geometry()


def test_the_report_tells_how_each_key_was_met(track: hou.SopNode) -> None:
    at(track, 5)
    hou_scene._user.interface = True
    track.parm("report").pressButton()
    ((_, text),) = hou_scene._user.displayed
    assert len(text.splitlines()) == 3
    assert "confidence" in text


def test_points_with_the_same_ids_are_taken_as_they_are(track: hou.SopNode) -> None:
    order = np.random.default_rng(3).permutation(len(FIRST.points))
    bent = tube(6, 8, bend=0.7)
    place = np.argsort(order).astype(np.int32)  # where each point went
    inputs = poses(plain(FIRST), Mesh(bent.points[order], bent.face_counts, place[bent.face_indices]))
    for geometry, ids in ((inputs[1.0], np.arange(len(order))), (inputs[9.0], order)):
        geometry.addAttrib(hou.attribType.Point, "id", 0)
        geometry.setPointIntAttribValuesFromString("id", (ids * 7 - 100).astype(np.int32).tobytes())
    track.input(0)._touch(inputs)
    track.parm("ptidattr").set("id")
    assert np.array_equal(at(track, 9), bent.points)
    track.parm("computequality").set(1)
    hou.setFrame(9)
    assert positions_of(track.geometry(), "limconfidence").min() == 1
    arc = at(track, 5)
    assert np.abs(arc - (FIRST.points + bent.points) / 2).max() > 0.01, "limbs swing on arcs, not along straight lines"
    inputs[9.0].setPointIntAttribValuesFromString("id", np.zeros(len(order), np.int32).tobytes())
    track.input(0)._touch(inputs)
    keys = read_keys(track, KeySettings.of(track), lambda *_: None)
    assert keys.matched == [False, False], "ids that are not each once say nothing"
