"""What of a tracked key is the thing's form, and what is that key's own."""

from __future__ import annotations

from collections.abc import Sequence

from jaxtyping import Bool, Float
from numpy import ndarray
from scipy.sparse import diags

from lim_server.geometry.arap import Rigidity, solve, solver

FORM = 3e-4
"""What being out of form costs (as-rigid-as-possible energy), where each point is held by the area around it. Points
move 0.0005 diagonals by it on average."""
ROUNDS, PINNED = 4, 1e3
REACH = 0.1
"""What is alike over so many diagonals reaches far."""


class Easing:
    """Towards the source's own form, by less than the thousandth that a mesh is off the surface at most.

    For any poses of one source; area [n] in square diagonals.
    """

    def __init__(self, rigid: Rigidity, area: Float[ndarray, " n"], pinned: Bool[ndarray, " n"]):
        self.rigid, self.weight = rigid, area + PINNED * pinned
        self.factors = solver((diags(self.weight) + FORM * rigid.laplacian).tocsr())

    def all(self, poses: Sequence[Float[ndarray, "n 3"]]) -> list[Float[ndarray, "n 3"]]:
        """Each pose, eased."""
        return [self._eased(points) for points in poses]

    def _eased(self, points: Float[ndarray, "n 3"]) -> Float[ndarray, "n 3"]:
        held, turned, out = self.weight[:, None] * points, self.rigid.fit(points), points
        for _ in range(ROUNDS):
            out = solve(self.factors, held + FORM * self.rigid.goal(turned))
            turned = self.rigid.fit(out)
        return out


class Reach:
    """What a key's points have beyond what is expected: a leg that is longer, or a place that was found aside."""

    def __init__(self, rigid: Rigidity, area: Float[ndarray, " n"]):
        self.area = area[:, None]
        self.factors = solver((diags(area) + REACH**2 * rigid.laplacian).tocsr())

    def split(self, offsets: Float[ndarray, "n 3"]) -> tuple[Float[ndarray, "n 3"], Float[ndarray, "n 3"]]:
        """What reaches far, and what is local."""
        far = solve(self.factors, self.area * offsets)
        return far, offsets - far
