"""Normals of polygon meshes that stay finite on whatever comes in."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.sparse import csr_matrix

FLAT = 1e-30


def face_cross(points: Float[ndarray, "v 3"], triangles: Int[ndarray, "t 3"]) -> Float[ndarray, "t 3"]:
    """Cross product of two edges of each triangle: its normal, as long as twice its area."""
    a = points[triangles[:, 0]]
    u, v = points[triangles[:, 1]] - a, points[triangles[:, 2]] - a
    cross = np.empty_like(u)  # written out: np.cross takes three times as long
    cross[:, 0] = u[:, 1] * v[:, 2] - u[:, 2] * v[:, 1]
    cross[:, 1] = u[:, 2] * v[:, 0] - u[:, 0] * v[:, 2]
    cross[:, 2] = u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]
    return cross


def face_normals(points: Float[ndarray, "v 3"], triangles: Int[ndarray, "t 3"]) -> Float[ndarray, "t 3"]:
    """Unit normal of each triangle; zero for one without area."""
    cross = face_cross(points, triangles)
    unit: Float[ndarray, "t 3"] = cross / np.maximum(np.linalg.norm(cross, axis=1, keepdims=True), 1e-18)
    return unit


class VertexNormals:
    """Unit normals per point of one topology, the sum of the adjacent triangles' normals weighted by area.

    A point whose triangles have no area or cancel out, or that has none, gets the normal (0, 0, 1).
    A polygon given as a fan counts with its vector area, whatever corner the fan starts from.
    """

    def __init__(self, triangles: Int[ndarray, "t 3"], points: int):
        self.triangles = triangles
        corners = (np.ones(triangles.size, np.float32), (triangles.ravel(), np.arange(triangles.size) // 3))
        self.around = csr_matrix(corners, shape=(points, len(triangles)))

    def __call__(self, points: Float[ndarray, "v 3"]) -> Float[ndarray, "v 3"]:
        """The normals of these points, in their own precision."""
        largest = np.abs(points).max(initial=0.0)
        scaled = points / (largest if largest > 0 else 1.0)
        total = self.around @ face_cross(scaled, self.triangles)
        length = np.sqrt(np.einsum("ij,ij->i", total, total))[:, None]
        flat = length < FLAT
        normals = total / np.where(flat, 1.0, length)
        normals[flat[:, 0]] = (0.0, 0.0, 1.0)
        return normals.astype(points.dtype)


def vertex_normals(points: Float[ndarray, "v 3"], triangles: Int[ndarray, "t 3"]) -> Float[ndarray, "v 3"]:
    """As `VertexNormals`, for a topology that is met once."""
    return VertexNormals(triangles, len(points))(points)
