"""Triangles that come to lie on their backs between two keys, though at neither of them they do, turned over again."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from lim_server.geometry.rotations import rotations

ROUNDS = 20
"""Setting one right can turn its neighbour over; that is over after a few."""


class Unfold:
    """For any pose of one surface; poses come with how each point's surroundings are turned [n, 3, 3]."""

    def __init__(self, rest: Float[ndarray, "n 3"], triangles: Int[ndarray, "t 3"]):
        self.triangles = triangles
        corners = rest[triangles]
        self.corners: Float[ndarray, "t 3 3"] = corners - corners.mean(axis=1, keepdims=True)
        self.normals = _normals(corners)

    def over(self, points: Float[ndarray, "n 3"], turned: Float[ndarray, "n 3 3"]) -> Bool[ndarray, " t"]:
        """Which triangles face away from where their surroundings say."""
        expected = np.einsum("tij,tj->ti", turned[self.triangles].mean(axis=1), self.normals)
        out: Bool[ndarray, " t"] = (expected * _normals(points[self.triangles])).sum(axis=1) < 0
        return out

    def unfolded(
        self, points: Float[ndarray, "n 3"], turned: Float[ndarray, "n 3 3"], allowed: Bool[ndarray, " t"]
    ) -> Float[ndarray, "n 3"]:
        """The pose with those not allowed to lie on their backs laid as at rest; corners share moves."""
        points = points.copy()
        for _ in range(ROUNDS):
            bad = self.over(points, turned) & ~allowed
            if not bad.any():
                break
            corner, middle = self.triangles[bad], points[self.triangles[bad]].mean(axis=1)
            around = rotations(torch.from_numpy(turned[corner].mean(axis=1))).numpy()
            moves = middle[:, None] + np.einsum("tij,tcj->tci", around, self.corners[bad]) - points[corner]
            at, which, times = np.unique(corner, return_inverse=True, return_counts=True)
            total = np.stack([np.bincount(which.ravel(), moves[..., k].ravel()) for k in range(3)], axis=1)
            points[at] += total / times[:, None]
        return points


def _normals(corners: Float[ndarray, "t 3 3"]) -> Float[ndarray, "t 3"]:
    return np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
