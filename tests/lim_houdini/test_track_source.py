"""What a source says of itself to LIM Track: attributes, pins, stiffness, landmarks, the ids of its points."""

from __future__ import annotations

import json
from pathlib import Path

import hou
import numpy as np
import pytest

from lim_houdini.keys import read_keys
from lim_houdini.settings import KeySettings
from lim_protocol.types import Mesh
from tests.conftest import Server, tube
from tests.lim_houdini.conftest import FIRST, LAST, at, make_track, plain, poses, positions, positions_of, with_ids


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
