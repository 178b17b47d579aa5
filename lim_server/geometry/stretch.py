"""How much a surface is stretched around each of its points, the noise of single triangles averaged out."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.sparse import csr_matrix, diags

from lim_server.geometry.arap import laplacian, solve, solver
from lim_server.geometry.shape import Shape

AROUND = 0.03
"""How far around (diagonals) it is averaged: noise differs from triangle to triangle, skin stretches over a joint."""
FLAT = 1e-14


class Stretch:
    """What is made of the surface at rest once."""

    def __init__(self, rest: Shape):
        points, triangles = rest.points, rest.triangles
        a, b, c = (points[triangles[:, k]] for k in range(3))
        across = b - a
        normal = np.cross(across, c - a)
        twice = np.linalg.norm(normal, axis=1)
        first = across / np.maximum(np.linalg.norm(across, axis=1), 1e-12)[:, None]
        second = np.cross(normal / np.maximum(twice, 1e-18)[:, None], first)
        self.triangles, self.flat = triangles, twice < FLAT
        # a triangle's own two axes at rest, and its sides in them
        self.axes = np.stack([first, second], axis=2)
        sides = np.swapaxes(self.axes, 1, 2) @ np.stack([across, c - a], axis=2)
        sides[self.flat] = np.eye(2)
        self.back = np.linalg.inv(sides)
        each = np.repeat(np.where(self.flat, 0.0, twice / 6), 3)
        of = np.repeat(np.arange(len(triangles)), 3)
        self.share = csr_matrix((each, (triangles.ravel(), of)), shape=(len(points), len(triangles)))
        mass = np.asarray(self.share.sum(axis=1)).ravel() + 1e-9 * twice.sum() / len(points) + 1e-12
        self.factors = solver((diags(mass) + AROUND**2 * laplacian(points, triangles)).tocsr())

    def at(self, points: Float[ndarray, "n 3"]) -> Float[ndarray, " n"]:
        """Of each point: 0 where the surface around it is only turned and bent, 0.1 where it is a tenth longer.

        The Frobenius norm of the mean of U - 1, where U is the right stretch of each triangle (polar decomposition).
        """
        a, b, c = (points[self.triangles[:, k]] for k in range(3))
        grown = np.stack([b - a, c - a], axis=2) @ self.back
        square = np.swapaxes(grown, 1, 2) @ grown
        # the root of a positive 2 x 2 matrix (Cayley and Hamilton)
        area = np.sqrt(np.maximum(np.linalg.det(square), 0))
        root = np.sqrt(np.maximum(np.trace(square, axis1=1, axis2=2) + 2 * area, 1e-12))
        longer = (square + area[:, None, None] * np.eye(2)) / root[:, None, None] - np.eye(2)
        longer[self.flat] = 0
        around = self.axes @ np.clip(longer, -1, 1) @ np.swapaxes(self.axes, 1, 2)
        mean: Float[ndarray, " n"] = np.linalg.norm(solve(self.factors, self.share @ around.reshape(-1, 9)), axis=1)
        return mean
