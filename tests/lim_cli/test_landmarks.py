"""The landmarks file: what it may say, and how it is told what it may not."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lim_cli.errors import BadInput
from lim_cli.keyframes import load_keyframes
from lim_cli.landmarks import closest, read_landmarks
from lim_protocol.types import Mesh
from tests.lim_cli.mesh_files import TETRA_FACES, TETRA_POINTS, tetra_obj

TETRA = Mesh(TETRA_POINTS, np.full(4, 3, np.int32), TETRA_FACES.ravel())


def read(tmp_path: Path, said: object) -> list[Mesh]:
    path = tmp_path / "marks.json"
    path.write_text(said if isinstance(said, str) else json.dumps(said))
    return read_landmarks(path, [1.0, 5.0, 9.5], [TETRA] * 3)


def test_numbers_and_places(tmp_path: Path) -> None:
    source, one, other = read(tmp_path, {"9.5": [[3, 1], [[0.25, 0.25, -0.01], [0, 1, 0]]], " 5": []})
    assert source.landmarks is None and one.landmarks is None, "an empty list is none"
    assert other.landmarks is not None and other.landmark_weights is not None
    assert other.landmarks.dtype == np.int32 and other.landmark_weights.dtype == np.float32
    places = np.einsum("ksc,kscx->ksx", other.landmark_weights, TETRA_POINTS[other.landmarks])
    assert np.allclose(places, [[[0, 0, 1], [1, 0, 0]], [[0.25, 0.25, 0], [0, 1, 0]]], atol=1e-6)


def test_places_are_in_the_units_of_their_own_file(tmp_path: Path) -> None:
    (tmp_path / "a.obj").write_text(tetra_obj(0.01))
    (tmp_path / "b.obj").write_text(tetra_obj())
    (tmp_path / "marks.json").write_text(json.dumps({"5": [[[0, 0.005, 0], [0.5, 0, 0]]]}))
    words = [f"{frame}={tmp_path / name}" for frame, name in ((1, "a.obj"), (5, "b.obj"))]
    loaded = load_keyframes(words, units="1=m,5=cm", landmarks=tmp_path / "marks.json")
    mesh = loaded.keyframes[1].mesh
    assert mesh.landmarks is not None and mesh.landmark_weights is not None
    place = mesh.landmark_weights[0, 1] @ mesh.points[mesh.landmarks[0, 1]]
    assert np.allclose(place, [0.005, 0, 0], atol=1e-6), "half an edge of the second, in metres"


BAD: dict[str, tuple[object, str]] = {
    "no JSON": ("[1, 2", "not JSON"),
    "no map": ([[0, 0]], "holds no map of frames"),
    "frame of the source": ({"1": [[0, 0]]}, "frame '1' is the source's.*later keyframes: 5, 9.5"),
    "no such frame": ({"7": [[0, 0]]}, "frame '7' is no keyframe"),
    "no frame": ({"head": [[0, 0]]}, "frame 'head' is no keyframe"),
    "one frame twice": ({"5": [[0, 0]], "5.0": [[1, 1]]}, "frame '5.0' is there twice"),
    "no list": ({"5": {"0": 1}}, 'frame 5: {"0": 1} is no list of pairs'),
    "no pair": ({"5": [[0, 0], [1, 2, 3]]}, r"frame 5, pair 2: \[1, 2, 3\] is no pair of places"),
    "no such point": ({"5": [[0, 4]]}, "pair 1: the keyframe has no point 4. Its 4 points are counted from 0"),
    "below zero": ({"5": [[-1, 0]]}, "the source has no point -1"),
    "a word": ({"5": [["nose", 0]]}, '"nose" is no place on the source'),
    "true": ({"5": [[0, True]]}, "true is no place on the keyframe"),
    "two numbers": ({"5": [[0, [1, 2]]]}, r"\[1, 2\] is no place on the keyframe"),
    "NaN": ({"5": [[0, [0, float("nan"), 0]]]}, "NaN, 0\\] is not finite"),
    "huge": ({"5": [[0, [10**400, 0, 0]]]}, "is not finite"),
    "other units": ({"5": [[0, [0, 50, 0]]]}, "is 49 away from the surface of the keyframe, which is 1.732 large"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_wrong_is_named(tmp_path: Path, name: str) -> None:
    said, message = BAD[name]
    with pytest.raises(BadInput) as error:
        read(tmp_path, said)
    assert str(error.value).startswith(str(tmp_path / "marks.json"))
    assert re.search(message, str(error.value)), error.value


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"none\.json: No such file"):
        read_landmarks(tmp_path / "none.json", [1.0, 5.0], [TETRA] * 2)


@given(st.lists(st.floats(-2, 3), min_size=3, max_size=3))
def test_the_closest_place_is_the_closest(at: list[float]) -> None:
    corners, weights, distance = closest(TETRA, np.array(at))
    place = weights @ TETRA_POINTS[corners]
    assert weights.min() >= 0 and abs(weights.sum() - 1) < 1e-9
    assert np.isclose(np.linalg.norm(place - at), distance)
    grid = np.stack(np.meshgrid(*[np.linspace(0, 1, 21)] * 2), axis=-1).reshape(-1, 2)
    grid = grid[grid.sum(axis=1) <= 1]
    inside = np.column_stack([1 - grid.sum(axis=1), grid])
    every = np.einsum("gc,tcx->tgx", inside, TETRA_POINTS[TETRA_FACES].astype(float)).reshape(-1, 3)
    least = np.linalg.norm(every - at, axis=1).min()
    assert least - 0.05 <= distance <= least + 1e-9
