"""A mesh as the tracker sees it: seams welded, empty faces dropped, lengths in diagonals of the source."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from numpy import ndarray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from lim_protocol.types import Mesh
from lim_server.geometry.normals import face_cross, vertex_normals
from lim_server.geometry.weld import clean, weld


@dataclass(frozen=True)
class Frame:
    """The box lengths are measured in: origin at its middle, one unit its diagonal. Carries its own inverse."""

    centre: Float[ndarray, 3]
    diagonal: float

    @classmethod
    def of(cls, points: Float[ndarray, "v 3"]) -> Frame:
        """The bounding box of the points; a single place counts as one unit wide."""
        low, high = points.min(axis=0).astype(np.float64), points.max(axis=0).astype(np.float64)
        diagonal = float(np.linalg.norm(high - low))
        return cls((low + high) / 2, diagonal if diagonal > 0 else 1.0)

    def apply(self, points: Float[ndarray, "v 3"]) -> Float[ndarray, "v 3"]:
        """Scene units to diagonals, float64."""
        return (points.astype(np.float64) - self.centre) / self.diagonal

    def undo(self, points: Float[ndarray, "v 3"]) -> Float[ndarray, "v 3"]:
        """Diagonals to scene units, float32."""
        return (points * self.diagonal + self.centre).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Shape:
    """Welded surface in diagonals of the source.

    points     float64 [n, 3]
    triangles  int64   [t, 3]
    welded     int64   [points]  which of the n points each point of the mesh became
    colors     float64 [n, 3]    CIE Lab over 100; None without colours
    normals    float64 [n, 3]    unit length
    area       float64 [n]       a third of the adjacent triangles
    part       int64   [n]       connected component
    stiffness  float64 [n]       the mean of the mesh's points; None for 1 everywhere
    pinned     bool    [n]       stays at rest, as any of the mesh's points does
    """

    points: Float[ndarray, "n 3"]
    triangles: Int[ndarray, "t 3"]
    welded: Int[ndarray, " points"]
    colors: Float[ndarray, "n 3"] | None
    normals: Float[ndarray, "n 3"]
    area: Float[ndarray, " n"]
    part: Int[ndarray, " n"]
    stiffness: Float[ndarray, " n"] | None
    pinned: Bool[ndarray, " n"]

    @classmethod
    def of(cls, mesh: Mesh, frame: Frame) -> Shape:
        """The mesh in the frame's units."""
        raw = mesh.triangles().astype(np.int64)
        welded = weld(mesh.points, raw)
        count = int(welded.max()) + 1
        times = np.bincount(welded, minlength=count)[:, None]
        points = sum_at(welded, frame.apply(mesh.points), count) / times
        colors = None
        if mesh.colors is not None:
            colors = sum_at(welded, lab(mesh.colors), count) / times
        triangles = clean(welded[raw])
        twice = np.linalg.norm(face_cross(points, triangles), axis=1)
        area = np.bincount(triangles.ravel(), np.repeat(twice / 6, 3), minlength=count).astype(np.float64)
        edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]]])
        joined = coo_matrix((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), shape=(count, count))
        part = connected_components(joined, directed=False)[1].astype(np.int64)
        stiffness = None
        if mesh.stiffness is not None:
            stiffness = np.bincount(welded, mesh.stiffness, minlength=count) / times[:, 0]
        pinned = np.zeros(count, bool)
        if mesh.pinned is not None:
            pinned[welded[mesh.pinned > 0]] = True
        normals = vertex_normals(points, triangles)
        return cls(points, triangles, welded, colors, normals, area, part, stiffness, pinned)

    def gather(self, values: Float[ndarray, "points 3"]) -> Float[ndarray, "n 3"]:
        """The mean of what the mesh's points have, at each welded point."""
        count = len(self.points)
        return sum_at(self.welded, values, count) / np.bincount(self.welded, minlength=count)[:, None]


def lab(colors: UInt8[ndarray, "n 3"]) -> Float[ndarray, "n 3"]:
    """SRGB bytes as CIE Lab (D65) over 100, where distances are about as large as they look."""
    value = colors.astype(np.float64) / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    xyz = linear @ np.array([[0.4124, 0.2126, 0.0193], [0.3576, 0.7152, 0.1192], [0.1805, 0.0722, 0.9505]])
    ratio = xyz / np.array([0.9505, 1.0, 1.089])
    root = np.where(ratio > 216 / 24389, np.cbrt(ratio), (24389 / 27 * ratio + 16) / 116)
    x, y, z = root.T
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=1) / 100


def sum_at(index: Int[ndarray, " k"], values: Float[ndarray, "k 3"], count: int) -> Float[ndarray, "n 3"]:
    """Rows summed where their index says."""
    return np.stack([np.bincount(index, values[:, k], minlength=count) for k in range(3)], axis=1)
