"""Normals of polygon meshes that stay finite on whatever comes in."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray


def face_cross(points: Float[ndarray, "v 3"], triangles: Int[ndarray, "t 3"]) -> Float[ndarray, "t 3"]:
    """Cross product of two edges of each triangle: its normal, as long as twice its area."""
    a, b, c = (points[triangles[:, k]] for k in range(3))
    return np.cross(b - a, c - a)


def vertex_normals(points: Float[ndarray, "v 3"], triangles: Int[ndarray, "t 3"]) -> Float[ndarray, "v 3"]:
    """Unit normals per point, the sum of the adjacent triangles' normals weighted by area.

    A point whose triangles have no area or cancel out, or that has none, gets the normal (0, 0, 1).
    A polygon given as a fan counts with its vector area, whatever corner the fan starts from.
    """
    largest = np.abs(points).max(initial=0.0)
    scaled = points.astype(np.float64) / (largest if largest > 0 else 1.0)
    cross = face_cross(scaled, triangles)
    total = np.stack(
        [np.bincount(triangles.ravel(), np.repeat(cross[:, k], 3), minlength=len(points)) for k in range(3)],
        axis=1,
    )
    length = np.linalg.norm(total, axis=1, keepdims=True)
    up = np.zeros_like(total)
    up[:, 2] = 1.0
    flat = length < 1e-30
    return np.where(flat, up, total / np.where(flat, 1.0, length)).astype(points.dtype)
