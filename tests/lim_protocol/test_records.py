"""Records hold arrays and values unchanged; damaged or dishonest ones are refused."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest

from lim_protocol import records
from lim_protocol.types import Frame, Mesh, Quality, Surface
from lim_protocol.wire import WireError

QUAD = Mesh(
    points=np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [2, 0, 0]], np.float32),
    face_counts=np.array([4, 3], np.int32),
    face_indices=np.array([0, 1, 2, 3, 1, 4, 2], np.int32),
    st=np.array([[0, 0], [1, 0], [1, 1]], np.float32),
    st_indices=np.array([0, 1, 2, 0, 1, 2, 0], np.int32),
    colors=np.arange(15, dtype=np.uint8).reshape(5, 3),
    stiffness=np.array([1, 0, 2.5, 1, 10], np.float32),
    pinned=np.array([0, 1, 0, 0, 1], np.uint8),
    landmarks=np.array([[[9, 9, 9], [4, 4, 4]], [[0, 7, 2], [1, 2, 3]]], np.int32),
    landmark_weights=np.array([[[1, 0, 0], [1, 0, 0]], [[0.5, 0.25, 0.25], [0, 1, 0]]], np.float32),
)


def equal(a: object, b: object) -> bool:
    return all(
        np.array_equal(x, y) and x.dtype == y.dtype if isinstance(x, np.ndarray) else x == y
        for x, y in zip(vars(a).values(), vars(b).values())
    )


def test_a_mesh_comes_back_as_it_went() -> None:
    assert equal(records.unpack_mesh(records.pack_mesh(QUAD)), QUAD)
    bare = Mesh(QUAD.points, QUAD.face_counts, QUAD.face_indices)
    assert equal(records.unpack_mesh(records.pack_mesh(bare)), bare)


def test_a_mesh_without_stiffness_pins_and_landmarks_is_called_as_before_there_were_any() -> None:
    bare = Mesh(QUAD.points, QUAD.face_counts, QUAD.face_indices)
    three = {name: getattr(QUAD, name) for name in ("points", "face_counts", "face_indices")}
    assert records.pack_mesh(bare) == records.pack(three)


def test_a_frame_comes_back_as_it_went() -> None:
    quality = Quality(0.1, 0.2, 0.3, 0.4, 0.5)
    whole = Frame(2, *[QUAD.points] * 4, *[QUAD.points[:, 0].copy()] * 2, quality)
    for frame in (Frame(1001.5, QUAD.points, QUAD.points), Frame(1, QUAD.points, QUAD.points, quality=quality), whole):
        assert equal(records.unpack_frame(records.pack_frame(frame)), frame)


def test_a_surface_comes_back_as_it_went() -> None:
    for surface in (Surface(), Surface(QUAD.st, QUAD.st_indices, np.zeros((4, 4, 3), np.uint8))):
        assert equal(records.unpack_surface(records.pack_surface(surface)), surface)


def test_arrays_lie_aligned_and_are_not_copied() -> None:
    record = records.pack({"odd": np.zeros(3, np.uint8), "next": np.ones(2, np.float64)})
    arrays, _ = records.unpack(record)
    record[-16:] = bytes(16)
    assert (arrays["next"] == 0).all()
    assert (records._offsets(20, [3, 16])[1]) % 64 == 0


def test_the_same_content_has_the_same_name() -> None:
    assert records.digest(records.pack_mesh(QUAD)) == records.digest(records.pack_mesh(replace(QUAD)))


def changed(**arrays: np.ndarray | None) -> bytes:
    return bytes(records.pack({**vars(QUAD), **arrays}))


BAD = {
    "points missing": (changed(points=None), "without points"),
    "points of doubles": (changed(points=QUAD.points.astype(np.float64)), "points is f8"),
    "points in a plane": (changed(points=QUAD.points[:, :2]), r"points is f4 \[5, 2\]"),
    "NaN": (changed(points=np.full((5, 3), np.nan, np.float32)), "not all finite"),
    "face of two": (changed(face_counts=np.array([4, 2], np.int32)), "fewer than 3"),
    "counts too many": (changed(face_counts=np.array([4, 4], np.int32)), "add up"),
    "index too large": (changed(face_indices=QUAD.face_indices + 1), "face_indices points outside 0..4"),
    "index negative": (changed(face_indices=QUAD.face_indices - 1), "outside"),
    "st without indices": (changed(st_indices=None), "without st_indices"),
    "st index too large": (changed(st_indices=QUAD.st_indices + 1), "st_indices points outside 0..2"),
    "stiffness too short": (changed(stiffness=np.ones(4, np.float32)), r"stiffness is f4 \[4\]"),
    "stiffness below zero": (changed(stiffness=-np.ones(5, np.float32)), "stiffness is not 0 or more"),
    "landmarks off this mesh": (changed(landmarks=np.full((2, 2, 3), 5, np.int32)), "landmarks points outside 0..4"),
    "landmarks without weights": (changed(landmark_weights=None), "mesh without landmark_weights"),
    "weights without landmarks": (changed(landmarks=None), "mesh without landmarks"),
    "weights of nothing": (changed(landmark_weights=np.zeros((2, 2, 3), np.float32)), "not 0 or more with a sum of 1"),
    "weights NaN": (changed(landmark_weights=np.full((2, 2, 3), np.nan, np.float32)), "not 0 or more with a sum"),
    "stiffness NaN": (changed(stiffness=np.full(5, np.nan, np.float32)), "stiffness is not 0 or more"),
    "pins of another type": (changed(pinned=np.zeros(5, np.float32)), "pinned is f4"),
    "colours too few": (changed(colors=np.zeros((4, 3), np.uint8)), "colors is"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_mesh_that_does_not_fit_together_is_refused(name: str) -> None:
    record, words = BAD[name]
    with pytest.raises(WireError, match=words):
        records.unpack_mesh(record)


def test_damaged_records_raise_nothing_but_wire_errors() -> None:
    rng = random.Random(2)
    whole = bytes(records.pack_mesh(QUAD))
    for _ in range(20_000):
        data = bytearray(whole)
        for _ in range(rng.randrange(1, 4)):
            data[rng.randrange(len(data) if rng.random() < 0.3 else 160)] = rng.randrange(256)
        if rng.random() < 0.3:
            del data[rng.randrange(len(data)) :]
        try:
            mesh = records.unpack_mesh(data)
        except WireError:
            continue
        assert mesh.face_indices.size == 0 or mesh.face_indices.max() < len(mesh.points)


def test_polygons_become_fans() -> None:
    counts, indices = np.array([3, 5, 4], np.int32), np.arange(12, dtype=np.int32)
    fans = Mesh(np.zeros((12, 3), np.float32), counts, indices).triangles()
    assert fans.tolist() == [[0, 1, 2], [3, 4, 5], [3, 5, 6], [3, 6, 7], [8, 9, 10], [8, 10, 11]]
