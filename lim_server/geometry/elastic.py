"""As-rigid-as-possible energy (Sorkine and Alexa 2007) step by step, on any device and without leaving it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lim_server.geometry.rotations import rotations

Points = Float[Tensor, "n 3"]
Turns = Float[Tensor, "n 3 3"]


@dataclass(frozen=True, eq=False)
class Elastic:
    """Edges, what they are at rest, and how much each counts.

    edges    int64   [e, 2]
    rest     float64 [e, 3]  from the first end to the second
    weights  float64 [e]
    count    how many points there are
    """

    edges: Int[Tensor, "e 2"]
    rest: Float[Tensor, "e 3"]
    weights: Float[Tensor, " e"]
    count: int

    def to(self, device: str) -> Elastic:
        """There."""
        return Elastic(self.edges.to(device), self.rest.to(device), self.weights.to(device), self.count)

    def stiffened(self, times: Float[Tensor, " n"]) -> Elastic:
        """The same, around each point so many times stiffer."""
        return replace(self, weights=self.weights * times[self.edges].prod(1).sqrt())

    def laplacian(self, points: Float[Tensor, "n c"]) -> Float[Tensor, "n c"]:
        """The Laplacian (positive semidefinite) times the points."""
        i, j = self.edges.T
        pull = self.weights[:, None] * (points[j] - points[i])
        return torch.zeros_like(points).index_add_(0, j, pull).index_add_(0, i, pull, alpha=-1)

    def diagonal(self) -> Float[Tensor, " n"]:
        """The Laplacian's."""
        return self._at_ends(self.weights, self.weights)

    def goal(self, turned: Turns) -> Points:
        """The right side of the Laplace equation: rest edges, turned by the mean of their ends."""
        i, j = self.edges.T
        pull = self.weights[:, None] * (0.5 * (turned[i] + turned[j]) @ self.rest[..., None])[..., 0]
        return self._at_ends(-pull, pull)

    def fit(self, points: Points, former: Turns | None = None, smooth: float = 0.0) -> Turns:
        """The rotation of every point's surroundings; with some of the neighbours' former ones."""
        i, j = self.edges.T
        outer = (self.weights[:, None] * (points[j] - points[i]))[:, :, None] * self.rest[:, None]
        spread = self._at_ends(outer, outer)
        if former is not None:
            heavy = (smooth * self.weights * self.rest.square().sum(1))[:, None, None]
            spread = spread + self._at_ends(heavy * former[j], heavy * former[i])
        return rotations(spread + 1e-12 * torch.eye(3, dtype=points.dtype, device=points.device))

    def _at_ends(self, first: Float[Tensor, e * c], second: Float[Tensor, e * c]) -> Float[Tensor, n * c]:
        """The sum over each point's edges, of what they have for their first and their second end."""
        out = first.new_zeros((self.count, *first.shape[1:]))
        return out.index_add_(0, self.edges[:, 0], first).index_add_(0, self.edges[:, 1], second)
