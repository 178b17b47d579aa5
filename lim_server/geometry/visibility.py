"""Which places can be seen from outside."""

from __future__ import annotations

import igl
import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from lim_server.geometry.shape import Shape


def seen(
    shape: Shape, points: Float[ndarray, "n 3"], normals: Float[ndarray, "n 3"], directions: int = 48
) -> Bool[ndarray, " n"]:
    """Whether at least one ray in twenty leaves the shape, cast from each point over the side its normal shows."""
    tree = igl.AABB()
    corners, faces = np.ascontiguousarray(shape.points), np.ascontiguousarray(shape.triangles)
    tree.init(corners, faces)
    free, cast = np.zeros(len(points)), np.zeros(len(points))
    for way in _sphere(directions):
        at = np.flatnonzero(normals @ way > 0.15)
        if len(at):
            starts = np.ascontiguousarray(points[at] + 2e-3 * normals[at])
            hit = tree.intersect_ray_first(corners, faces, starts, np.tile(way, (len(at), 1)))[0]
            free[at] += hit < 0
            cast[at] += 1
    visible: Bool[ndarray, " n"] = free >= 0.05 * np.maximum(cast, 1)
    return visible


def _sphere(count: int) -> Float[ndarray, "count 3"]:
    """Evenly spread directions (a Fibonacci spiral)."""
    k = np.arange(count) + 0.5
    polar, around = np.arccos(1 - 2 * k / count), np.pi * (1 + 5**0.5) * k
    return np.stack([np.cos(around) * np.sin(polar), np.sin(around) * np.sin(polar), np.cos(polar)], axis=1)
