"""The whole mesh onto the target: nearest places both ways against rigidity, tighter step by step.

Nearest in place, direction and colour together, so that what looks alike meets. Every pair pulls with a Gaussian of
its distance (Welsch's robust function), and the mesh resists as in Sorkine and Alexa 2007: everywhere alike at first,
then ten times as much where its surroundings turn out not to be stretched, and in the end the less the more they are.
Machines and bones are held like that, and skin gives.

Everything is on one device from the first step to the last.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from lim_server.geometry.arap import Rigidity
from lim_server.geometry.contacts import ties
from lim_server.geometry.equations import Equations
from lim_server.geometry.landmarks import Landmarks
from lim_server.geometry.lifted import Lifted, Places
from lim_server.geometry.shape import Shape
from lim_server.geometry.spread import Spread
from lim_server.geometry.stretch import Stretch

STEPS, NARROW, ALIKE, EVERY, ROUNDS = 30, 9, 5, 3, 2
"""How many; after how many matches reach no farther; and after how many, and how often from then on, the mesh is made
stiffer where it has not stretched."""
LATE = 11
"""After how many steps it gives where it has stretched: what was wrongly laid to begin with has come right by then."""
REACH = (0.03, 0.009)
BEYOND = 0.85
"""How much of its last step's way the mesh goes on before the next: what slides along the surface needs many steps, and
less than half as many with this momentum (Nesterov 1983)."""
STIFF = 3e-3
STIFFER, GIVES = 10.0, 0.03
"""How much stiffer what is not stretched becomes, and how much stretch undoes most of that."""
CRUMPLED = 0.25
"""Stretch at which a place is four times softer: skin that one pose folds and another draws out."""
SMOOTH = 0.05
MINE = 5000
HEAVY = 1e3
"""A pinned point against the heaviest of the others: what is left of its way is set to nothing at the end."""
MARK = 1e-3
"""How hard a landmark is drawn, where the whole source is drawn with 2: about as hard as a patch ten times its own."""


class Fine:
    """What is made of the source once."""

    def __init__(self, source: Shape, device: str):
        self.source, self.device = source, device
        self.rigid = Rigidity(source.points, source.triangles, ties(source), source.stiffness)
        self.elastic = self.rigid.elastic.to(device)
        self.stretch = Stretch(source, device)
        self.spread = Spread.of(source, MINE)
        self.rest = torch.as_tensor(source.points, device=device)
        self.pinned = torch.as_tensor(source.pinned, device=device).double()[:, None]
        self.stiff = 0.1 * STIFF / max(float(source.area.sum()), 1e-12)

    def onto(
        self,
        target: Lifted,
        start: Float[ndarray, "n 3"],
        trust: Float[ndarray, " n"],
        landmarks: Landmarks,
        step: Callable[[str, int, int], None],
    ) -> Float[ndarray, "n 3"]:
        """Points of the source on the target, from a start that is roughly right; trust scales each point's pull.

        Pinned points are not drawn, and end exactly at rest. Landmarks draw what is around them.
        """
        match = _Match(self, target, trust)
        marks = _Marks(self, landmarks)
        points = last = torch.as_tensor(start, device=self.device)
        elastic, turned = self.elastic, self.elastic.fit(points)
        for i in range(STEPS):
            step("fine", i, STEPS)
            done = min(1.0, i / NARROW)
            if i >= ALIKE and (i - ALIKE) % EVERY == 0:
                elastic = self.elastic.stiffened(self._times(points, late=i >= LATE))
            match.find(points, REACH[0] * (REACH[1] / REACH[0]) ** done)
            free = Equations(match.drawn, elastic, self.stiff, match.held + 1e-9)
            pins = HEAVY * free.diagonal().max() * self.pinned
            solve = replace(free, held=free.held + (pins + marks.drawn)[:, 0]).solver()
            right = match.right() + pins * self.rest + marks.drawn * points + marks.right(points)
            for _ in range(ROUNDS):
                points = solve(right + self.stiff * elastic.goal(turned) + 1e-9 * points, points)
                turned = elastic.fit(points, turned, SMOOTH)
            if NARROW <= i < STEPS - 3:
                points, last = points + BEYOND * (points - last), points
            else:
                last = points
        return torch.where(self.pinned > 0, self.rest, points).cpu().numpy()

    def stiffer(self, points: Float[ndarray, "n 3"]) -> Rigidity:
        """How rigid the source is from now on: less where the surface has stretched, more where it has not."""
        times = self._times(torch.as_tensor(points, device=self.device), late=True)
        return self.rigid.stiffened(times.cpu().numpy())

    def _times(self, points: Float[Tensor, "n 3"], *, late: bool) -> Float[Tensor, " n"]:
        stretch = self.stretch.at(points)
        times = 1 + (STIFFER - 1) / (1 + (stretch / GIVES) ** 2) ** 2
        return times / (1 + (stretch / CRUMPLED) ** 2) ** 2 if late else times


class _Match:
    """What draws the source's points: its places to the target's surface, and the target's places to its own."""

    def __init__(self, fine: Fine, target: Lifted, trust: Float[ndarray, " n"]):
        self.mine = Places(fine.spread, fine.device, colored=target.on.colored)
        self.target, self.points = target, target.corners[:, :3]
        self.free = 1.0 - fine.pinned
        self.trust = self.mine.of(self.free * torch.as_tensor(trust, device=fine.device)[:, None])[:, 0]

    def find(self, points: Float[Tensor, "n 3"], reach: float) -> None:
        """From where the points are now: which places are drawn, how hard, and where to."""
        here, count = Lifted(self.mine, points), self.mine.count
        weight, at = here.pull(self.target, reach)
        back_weight, back = self.target.pull(here, reach)
        weight, self.goal = weight * self.trust, at.of(self.points)
        self.drawn = [(self.mine.inside, weight[count:]), (back, back_weight * back.of(self.free)[:, 0])]
        self.held = weight[:count]

    def right(self) -> Float[Tensor, "n 3"]:
        """The normal equations' right side."""
        count = self.mine.count
        out = self.held[:, None] * self.goal[:count]
        for (blend, weight), goal in zip(self.drawn, (self.goal[count:], self.target.places), strict=True):
            out = blend.back(weight[:, None] * goal, out)
        return out


class _Marks:
    """What landmarks draw: what is around each goes along with it."""

    def __init__(self, fine: Fine, landmarks: Landmarks):
        def tensor(x: ndarray) -> Tensor:
            return torch.as_tensor(x, device=fine.device)

        around = MARK * tensor(landmarks.around(fine.source).toarray()) * (1.0 - fine.pinned[:, 0])
        self.back, self.blend, self.goals = around.T, tensor(landmarks.blend.toarray()), tensor(landmarks.goals)
        self.drawn = around.sum(0)[:, None]

    def right(self, points: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3"]:
        """How far they draw from where the points are now."""
        return self.back @ (self.goals - self.blend @ points)
