"""The normal equations of one step of the fine fit, solved where they are.

On a CPU by Cholesky factors, anew for each step; elsewhere by conjugate gradients from where the mesh is, since sparse
factors are made on the host. The same to a hundredth of the tracker's error; on a CPU, with meshes of 5,000 points,
a fit by conjugate gradients takes a quarter longer (`python -m benchmarks.fine_solvers`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from scipy.sparse import csr_matrix, diags
from torch import Tensor

from lim_server.geometry.arap import solve, solver
from lim_server.geometry.conjugate import solved
from lim_server.geometry.elastic import Elastic
from lim_server.geometry.lifted import Blend

Points = Float[Tensor, "n 3"]

GRADIENTS, OF = 30, 5000
"""Conjugate gradients of a mesh of 5,000 points, more of a larger one."""
ENOUGH = 3e-6
"""Where they may stop on a CPU (diagonals)."""


@dataclass(frozen=True, eq=False)
class Equations:
    """The sum of weighted places' squares, of the mesh's elasticity, and of what holds each point by itself.

    drawn    places as means of points, and how heavy each is
    elastic  what resists, times `stiff`
    held     float64 [n]
    """

    drawn: Sequence[tuple[Blend, Float[Tensor, " _"]]]
    elastic: Elastic
    stiff: float
    held: Float[Tensor, " n"]

    def solver(self) -> Callable[[Points, Points], Points]:
        """From a right side, and where the points are, to where they should be."""
        if self.held.device.type == "cpu":
            factors = solver(self.matrix())
            return lambda right, _start: torch.from_numpy(solve(factors, right.numpy()))
        return self.iterated

    def iterated(self, right: Points, start: Points) -> Points:
        """By conjugate gradients."""
        steps = math.ceil(GRADIENTS * math.sqrt(max(1.0, len(self.held) / OF)))
        return solved(self.times, self.diagonal(), right, start, steps, ENOUGH)

    def times(self, x: Points) -> Points:
        """The matrix times some points."""
        out = self.held[:, None] * x + self.stiff * self.elastic.laplacian(x)
        for blend, weight in self.drawn:
            out = blend.back(weight[:, None] * blend.of(x), out)
        return out

    def diagonal(self) -> Float[Tensor, " n"]:
        """The matrix's own."""
        out = self.held + self.stiff * self.elastic.diagonal()
        for blend, weight in self.drawn:
            out = blend.squares(weight, out)
        return out

    def matrix(self) -> csr_matrix:
        """The matrix itself, for the CPU."""
        n = len(self.held)
        i, j = self.elastic.edges.numpy().T
        pull = self.stiff * self.elastic.weights.numpy()
        row, column = np.concatenate([i, j, i, j]), np.concatenate([i, j, j, i])
        out = csr_matrix((np.concatenate([pull, pull, -pull, -pull]), (row, column)), shape=(n, n))
        for blend, weight in self.drawn:
            corner, count = blend.corner.numpy(), len(weight)
            own = csr_matrix(
                (blend.share.numpy().ravel(), (np.repeat(np.arange(count), 3), corner.ravel())), (count, n)
            )
            out = out + (own.T @ diags(weight.numpy())) @ own
        return (out + diags(self.held.numpy())).tocsr()
