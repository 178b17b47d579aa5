"""Places spread evenly over a surface: its points, and more inside its large triangles."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.sparse import csr_matrix

from lim_server.geometry.normals import face_cross
from lim_server.geometry.shape import Shape


@dataclass(frozen=True, eq=False)
class Spread:
    """The shape's n points first, then the others.

    blend     [q, n] sparse          each place as a mean of the shape's points
    triangle  int64 [q - n]          where the others lie
    inside    float64 [q - n, 3]     and where in there: weights of the corners
    share     float64 [q]            part of the surface each stands for; sums to one
    """

    shape: Shape
    blend: csr_matrix
    triangle: Int[ndarray, " others"]
    inside: Float[ndarray, "others 3"]
    share: Float[ndarray, " q"]

    @classmethod
    def of(cls, shape: Shape, count: int) -> Spread:
        """About `count` places, never fewer than the shape has points."""
        n, triangles = len(shape.points), shape.triangles
        area = np.linalg.norm(face_cross(shape.points, triangles), axis=1) / 2
        triangle, inside = _inside(area, np.sqrt(area.sum() / count))
        rows = np.concatenate([np.arange(n), n + np.repeat(np.arange(len(triangle)), 3)])
        columns = np.concatenate([np.arange(n), triangles[triangle].ravel()])
        values = np.concatenate([np.ones(n), inside.ravel()])
        blend = csr_matrix((values, (rows, columns)), shape=(n + len(triangle), n))
        each = area / (np.bincount(triangle, minlength=len(triangles)) + 1.0)
        at_points = np.bincount(triangles.ravel(), np.repeat(each / 3, 3), minlength=n)
        share = np.concatenate([at_points, each[triangle]])
        return cls(shape, blend, triangle, inside, share / share.sum())

    @cached_property
    def lies_in(self) -> Int[ndarray, " q"]:
        """A triangle that each place lies in; 0 for a point without any."""
        triangles = self.shape.triangles
        one = np.zeros(len(self.shape.points), np.int64)
        one[triangles.ravel()] = np.repeat(np.arange(len(triangles)), 3)
        return np.concatenate([one, self.triangle])


def _inside(area: Float[ndarray, " t"], spacing: float) -> tuple[Int[ndarray, " others"], Float[ndarray, "others 3"]]:
    """Triangle and barycentric weights, about one per spacing squared."""
    count = np.floor(area / spacing**2 + 0.5).astype(np.int64).clip(0, 400)
    triangle = np.repeat(np.arange(len(area)), count)
    k = np.arange(len(triangle)) - np.repeat(np.cumsum(count) - count, count)
    # a Kronecker sequence with the plastic number fills a triangle evenly
    u, v = (0.5 + k * 0.7548776662466927) % 1, (0.5 + k * 0.5698402909980532) % 1
    over = u + v > 1
    u, v = np.where(over, 1 - u, u), np.where(over, 1 - v, v)
    return triangle, np.stack([1 - u - v, u, v], axis=1)
