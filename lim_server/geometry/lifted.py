"""A surface in nine dimensions: place, direction, colour. What is near in all of them belongs together."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.sparse import csr_matrix
from scipy.spatial import cKDTree

from lim_server.geometry.closest import nearest_blend
from lim_server.geometry.normals import face_normals, vertex_normals
from lim_server.geometry.spread import Spread

FACING, PLAIN, PAINT = 0.025, 0.04, 0.4
"""A turn by one radian counts as far as 0.025 diagonals, 0.04 where no colours tell more, and a colour across the whole
of Lab's lightness as 0.4."""
THEIRS = 8000
"""About so many places are spread over a target."""


class Lifted:
    """Places spread over a surface whose points are where they are now.

    rows     float64 [q, 6 or 9]  the places
    corners  float64 [n, 6 or 9]  the surface's points
    """

    def __init__(self, spread: Spread, points: Float[ndarray, "n 3"], *, colored: bool):
        shape = spread.shape
        self.spread, self.triangles, self.share = spread, shape.triangles, spread.share
        self.faces = face_normals(points, shape.triangles)
        smooth = vertex_normals(points, shape.triangles)
        paint = PAINT * shape.colors if colored and shape.colors is not None else np.zeros((len(points), 0))
        facing = FACING if colored else PLAIN
        self.corners = np.concatenate([points, facing * smooth, paint], axis=1)
        self.places = spread.blend @ points
        self.normals = np.concatenate([smooth, self.faces[spread.triangle]])
        self.rows = np.concatenate([self.places, facing * self.normals, spread.blend @ paint], axis=1)
        self.tree = cKDTree(self.rows)

    def nearest(
        self, other: Lifted, every: int = 1
    ) -> tuple[Int[ndarray, " q"], Float[ndarray, "q 3"], Float[ndarray, " q"]]:
        """Of each of my places, or every so many of them, its match on the other: the triangle, where on it, and how
        far off, colours and all.
        """
        rows = self.rows[::every]
        triangle = other.spread.lies_in[other.tree.query(rows)[1]]
        corner = other.triangles[triangle]
        blend, apart = nearest_blend(rows, *(other.corners[corner[:, k]] for k in range(3)))
        return triangle, blend, apart

    def pull(self, other: Lifted, reach: float) -> tuple[Float[ndarray, " q"], csr_matrix, Float[ndarray, "q 3"]]:
        """Of each of my places: how strongly it is drawn, its match as a mean of the other's points, and itself."""
        triangle, blend, apart = self.nearest(other)
        facing = np.clip((self.normals * other.faces[triangle]).sum(axis=1), 0, 1)
        weight = self.share * np.exp(-0.5 * (apart / reach) ** 2) * facing
        return weight, _blending(other.triangles[triangle], blend, len(other.corners)), self.places


def _blending(corner: Int[ndarray, "q 3"], blend: Float[ndarray, "q 3"], count: int) -> csr_matrix:
    rows = np.repeat(np.arange(len(corner)), 3)
    return csr_matrix((blend.ravel(), (rows, corner.ravel())), shape=(len(corner), count))
