"""Faces with any number of corners, as arrays over corners. Corners are counted face after face."""

import numpy as np
from jaxtyping import Bool, Float, Int

from lim_protocol.types import fan


def face_of_corner(face_counts: Int[np.ndarray, "faces"]) -> Int[np.ndarray, "corners"]:
    """The face that each corner belongs to."""
    return np.repeat(np.arange(len(face_counts)), face_counts)


def next_corner(face_counts: Int[np.ndarray, "faces"]) -> Int[np.ndarray, "corners"]:
    """The corner after each corner, around its face."""
    ends = np.cumsum(face_counts)
    following = np.arange(1, int(face_counts.sum()) + 1)
    following[ends - 1] = ends - face_counts
    return following


def sum_by_face(
    values: Float[np.ndarray, "corners n"], face_counts: Int[np.ndarray, "faces"]
) -> Float[np.ndarray, "faces n"]:
    """Corner values added up over each face."""
    face = face_of_corner(face_counts)
    columns = [np.bincount(face, values[:, k], len(face_counts)) for k in range(values.shape[1])]
    return np.stack(columns, axis=1).astype(np.float64)


def vector_areas(
    corner_points: Float[np.ndarray, "corners 3"], face_counts: Int[np.ndarray, "faces"]
) -> Float[np.ndarray, "faces 3"]:
    """Each face's normal times its area (Newell's sum): right for bent and for concave faces too."""
    face = face_of_corner(face_counts)
    centred = corner_points - (sum_by_face(corner_points, face_counts) / face_counts[:, None])[face]
    return sum_by_face(0.5 * np.cross(centred, centred[next_corner(face_counts)]), face_counts)


def corner_triangles(
    points: Float[np.ndarray, "points 3"],
    face_counts: Int[np.ndarray, "faces"],
    face_indices: Int[np.ndarray, "corners"],
) -> Int[np.ndarray, "triangles 3"]:
    """Triangles as corners, `count - 2` of them for each face in the order of the faces.

    A fan from corner 0 wherever that covers the face once; ears are clipped off where it would not.
    """
    corner = np.arange(len(face_indices), dtype=np.int32)
    triangles = fan(face_counts.astype(np.int32), corner)
    if (face_counts == 3).all():
        return triangles
    place = points[face_indices].astype(np.float64)
    areas = vector_areas(place, face_counts)
    a, b, c = (place[triangles[:, k]] for k in range(3))
    face = np.repeat(np.arange(len(face_counts)), face_counts - 2)
    against = np.einsum("ij,ij->i", np.cross(b - a, c - a), areas[face]) < 0
    start = np.cumsum(face_counts) - face_counts
    for concave in np.unique(face[against]):
        corners = start[concave] + np.arange(face_counts[concave])
        triangles[face == concave] = corners[_clip_ears(_in_plane(place[corners], areas[concave]))]
    return triangles


def plane_axes(normals: Float[np.ndarray, "n 3"]) -> tuple[Float[np.ndarray, "n 3"], Float[np.ndarray, "n 3"]]:
    """Two unit vectors across each normal, such that (first, second, normal) is right-handed."""
    steep = np.abs(normals[:, 1:2]) > 0.9 * np.linalg.norm(normals, axis=1, keepdims=True)
    first = np.cross(np.where(steep, [[1.0, 0.0, 0.0]], [[0.0, 1.0, 0.0]]), normals)
    first /= np.maximum(np.linalg.norm(first, axis=1, keepdims=True), np.finfo(np.float64).tiny)
    second = np.cross(normals, first)
    second /= np.maximum(np.linalg.norm(second, axis=1, keepdims=True), np.finfo(np.float64).tiny)
    return first, second


def _in_plane(outline: Float[np.ndarray, "n 3"], normal: Float[np.ndarray, "3"]) -> Float[np.ndarray, "n 2"]:
    first, second = plane_axes(normal[None])
    return np.stack([outline @ first[0], outline @ second[0]], axis=1)


def _cross(a: Float[np.ndarray, "#n 2"], b: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n"]:
    return np.asarray(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0])


def _clip_ears(outline: Float[np.ndarray, "n 2"]) -> Int[np.ndarray, "m 3"]:
    """Triangles of a counter-clockwise outline. One that crosses itself still gets n - 2 of them."""
    left = list(range(len(outline)))
    found = []
    while len(left) > 3:
        found.append(_clip_one(outline, left))
    return np.array([*found, left])


def _clip_one(outline: Float[np.ndarray, "n 2"], left: list[int]) -> list[int]:
    ring = np.array(left)
    before, after = np.roll(ring, 1), np.roll(ring, -1)
    bend = _cross(outline[ring] - outline[before], outline[after] - outline[ring])
    inward = ring[bend <= 0]
    for k in np.flatnonzero(bend > 0):
        ear = [int(before[k]), int(ring[k]), int(after[k])]
        others = np.setdiff1d(inward, ear)
        if not _inside(outline[others], outline[ear]).any():
            del left[k]
            return ear
    sharpest = int(np.argmax(bend))
    del left[sharpest]
    return [int(before[sharpest]), int(ring[sharpest]), int(after[sharpest])]


def _inside(p: Float[np.ndarray, "n 2"], triangle: Float[np.ndarray, "3 2"]) -> Bool[np.ndarray, "n"]:
    sides = np.roll(triangle, -1, axis=0) - triangle
    left = [_cross(side[None], p - corner) >= 0 for side, corner in zip(sides, triangle, strict=True)]
    return np.asarray(np.all(left, axis=0))
