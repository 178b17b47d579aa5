"""How much a surface is stretched around each of its points, the noise of single triangles averaged out."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from lim_server.geometry.arap import laplacian
from lim_server.geometry.conjugate import solved
from lim_server.geometry.shape import Shape

AROUND = 0.03
"""How far around (diagonals) it is averaged: noise differs from triangle to triangle, skin stretches over a joint."""
FLAT = 1e-14
STEPS, ENOUGH = 60, 1e-4
"""Of the solver; a stretch of 0.0001 is none."""


class Stretch:
    """What is made of the surface at rest once."""

    def __init__(self, rest: Shape, device: str):
        points = torch.as_tensor(rest.points, device=device)
        self.triangles, self.count = torch.as_tensor(rest.triangles, device=device), len(points)
        a, b, c = (points[self.triangles[:, k]] for k in range(3))
        across = b - a
        normal = torch.linalg.cross(across, c - a)
        twice = normal.norm(dim=1)
        first = across / across.norm(dim=1, keepdim=True).clamp(min=1e-12)
        second = torch.linalg.cross(normal / twice[:, None].clamp(min=1e-18), first)
        # a triangle's own two axes at rest, and its sides in them
        self.axes, self.flat = torch.stack([first, second], 2), (twice < FLAT)[:, None, None]
        sides = self.axes.mT @ torch.stack([across, c - a], 2)
        self.back = torch.linalg.inv(torch.where(self.flat, torch.eye(2).to(sides), sides))
        self.share = torch.where(twice < FLAT, 0.0, twice / 6)
        self.mass = self._at_points(self.share[:, None])[:, 0] + 1e-9 * twice.sum() / len(points) + 1e-12
        even = laplacian(rest.points, rest.triangles).tocoo()
        where = torch.as_tensor(even.row, device=device).long(), torch.as_tensor(even.col, device=device).long()
        self.row, self.column = where
        self.value = AROUND**2 * torch.as_tensor(even.data, device=device)
        self.diagonal = self.mass.index_add(0, self.row, torch.where(self.row == self.column, self.value, 0.0))

    def at(self, points: Float[Tensor, "n 3"]) -> Float[Tensor, " n"]:
        """Of each point: 0 where the surface around it is only turned and bent, 0.1 where it is a tenth longer.

        The Frobenius norm of the mean of U - 1, where U is the right stretch of each triangle (polar decomposition).
        """
        a, b, c = (points[self.triangles[:, k]] for k in range(3))
        grown = torch.stack([b - a, c - a], 2) @ self.back
        square = grown.mT @ grown
        # the root of a positive 2 x 2 matrix (Cayley and Hamilton)
        area = torch.linalg.det(square).clamp(min=0).sqrt()[:, None, None]
        root = (square.diagonal(dim1=1, dim2=2).sum(1)[:, None, None] + 2 * area).clamp(min=1e-12).sqrt()
        still = torch.eye(2).to(square)
        longer = torch.where(self.flat, 0.0, (square + area * still) / root - still)
        around = self.axes @ longer.clamp(-1, 1) @ self.axes.mT
        total = self._at_points(self.share[:, None] * around.flatten(1))
        mean = solved(self._smooth, self.diagonal, total, total / self.mass[:, None], STEPS, ENOUGH)
        return mean.norm(dim=1)

    def _smooth(self, x: Float[Tensor, "n c"]) -> Float[Tensor, "n c"]:
        return (self.mass[:, None] * x).index_add(0, self.row, self.value[:, None] * x[self.column])

    def _at_points(self, values: Float[Tensor, "t c"]) -> Float[Tensor, "n c"]:
        out = values.new_zeros(self.count, values.shape[1])
        return out.index_add_(0, self.triangles.flatten(), values.repeat_interleave(3, 0))
