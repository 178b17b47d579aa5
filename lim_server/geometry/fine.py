"""The whole mesh onto the target: nearest places both ways against rigidity, tighter step by step.

Nearest in place, direction and colour together, so that what looks alike meets. Every pair pulls with a Gaussian of
its distance (Welsch's robust function), and the mesh resists as in Sorkine and Alexa 2007: everywhere alike at first,
then ten times as much where its surroundings turn out not to be stretched. Machines and bones are held like that, and
skin gives.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.sparse import csr_matrix, diags, eye

from lim_server.geometry.arap import Rigidity, solve, solver
from lim_server.geometry.contacts import ties
from lim_server.geometry.landmarks import Landmarks
from lim_server.geometry.lifted import THEIRS, Lifted
from lim_server.geometry.shape import Shape
from lim_server.geometry.spread import Spread
from lim_server.geometry.stretch import Stretch

STEPS, NARROW, ALIKE, EVERY, ROUNDS = 24, 9, 5, 3, 2
"""How many; after how many matches reach no farther; and after how many, and how often from then on, the mesh is made
stiffer where it has not stretched."""
REACH = (0.03, 0.009)
BEYOND = 0.85
"""How much of its last step's way the mesh goes on before the next: what slides along the surface needs many steps, and
less than half as many with this momentum (Nesterov 1983)."""
STIFF = 3e-3
STIFFER, GIVES = 10.0, 0.03
"""How much stiffer what is not stretched becomes, and how much stretch undoes most of that."""
SMOOTH = 0.05
MINE = 5000
HEAVY = 1e3
"""A pinned point against the heaviest of the others: what is left of its way is set to nothing at the end."""

MARK = 1e-3
"""How hard a landmark is drawn, where the whole source is drawn with 2: about as hard as a patch ten times its own."""


class Fine:
    """What is made of the source once."""

    def __init__(self, source: Shape):
        self.source = source
        self.rigid = Rigidity(source.points, source.triangles, ties(source), source.stiffness)
        self.stretch = Stretch(source)
        self.spread = Spread.of(source, MINE)
        self.pinned = source.pinned.astype(np.float64)
        self.stiff = 0.1 * STIFF / max(float(source.area.sum()), 1e-12)

    def onto(
        self,
        target: Shape,
        start: Float[ndarray, "n 3"],
        trust: Float[ndarray, " n"],
        landmarks: Landmarks,
        step: Callable[[str, int, int], None],
    ) -> Float[ndarray, "n 3"]:
        """Points of the source on the target, from a start that is roughly right; trust scales each point's pull.

        Pinned points are not drawn, and end exactly at rest. Landmarks draw what is around them.
        """
        there = Spread.of(target, THEIRS)
        colored = self.source.colors is not None and target.colors is not None
        goal = Lifted(there, target.points, colored=colored)
        around = MARK * landmarks.around(self.source) @ diags(1.0 - self.pinned)
        drawn = np.asarray(around.sum(axis=0)).ravel()
        points, last, rigid, turned = start, start, self.rigid, self.rigid.fit(start)
        for i in range(STEPS):
            step("fine", i, STEPS)
            done = min(1.0, i / NARROW)
            if i >= ALIKE and (i - ALIKE) % EVERY == 0:
                rigid = self.stiffer(points)
            reach = REACH[0] * (REACH[1] / REACH[0]) ** done
            here = Lifted(self.spread, points, colored=colored)
            weight, carry, to = here.pull(goal, reach)
            weight = weight * (self.spread.blend @ (trust * (1.0 - self.pinned)))
            matrix, right = _normal_equations(self.spread.blend, weight, carry @ target.points)
            weight, carry, to = goal.pull(here, reach)
            back, more = _normal_equations(carry, weight * (1.0 - carry @ self.pinned), to)
            matrix = matrix + back + self.stiff * rigid.laplacian + 1e-9 * eye(len(points))
            pins = HEAVY * matrix.diagonal().max() * self.pinned
            factors = solver(matrix + diags(pins + drawn))
            right = right + more + pins[:, None] * self.source.points
            right = right + drawn[:, None] * points + around.T @ (landmarks.goals - landmarks.blend @ points)
            for _ in range(ROUNDS):
                points = solve(factors, right + self.stiff * rigid.goal(turned) + 1e-9 * points)
                turned = rigid.fit(points, turned, SMOOTH)
            if NARROW <= i < STEPS - 3:
                points, last = points + BEYOND * (points - last), points
            else:
                last = points
        return np.where(self.source.pinned[:, None], self.source.points, points)

    def stiffer(self, points: Float[ndarray, "n 3"]) -> Rigidity:
        """How rigid the source is from now on: where the surface has not stretched so far, it shall not."""
        give = (self.stretch.at(points) / GIVES) ** 2
        return self.rigid.stiffened(1 + (STIFFER - 1) / (1 + give) ** 2)


def _normal_equations(
    carry: csr_matrix, weight: Float[ndarray, " q"], goal: Float[ndarray, "q 3"]
) -> tuple[csr_matrix, Float[ndarray, "n 3"]]:
    """Least squares of what `carry` makes of the points against their goals."""
    heavy = (carry.T @ diags(weight)).tocsr()
    return heavy @ carry, heavy @ goal
