"""What LIM Track takes as a keyframe, and what it refuses, in words."""

from __future__ import annotations

from collections.abc import Callable

import hou
import numpy as np
import pytest

from tests.lim_houdini.conftest import FIRST, LAST, at, make_track, plain, poses, positions

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
