"""Roughly where everything goes at one keyframe: the cheapest of many guesses, and what exchanges make of it.

All starts are annealed at once. What comes out cheapest has its like parts and limbs exchanged, and is fitted again by
what it is sure of. Each guess is judged twice: by the graph's samples, which know what places look like and what is
torn, and by the whole surface (judge.py), which is sharp.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from numpy import ndarray

from lim_server.geometry.anchors import told_by_anchors
from lim_server.geometry.coarse import Guesses, Problem
from lim_server.geometry.descriptors import unlikeness
from lim_server.geometry.judge import Judge
from lim_server.geometry.landmarks import Landmarks
from lim_server.geometry.limbs import Twins
from lim_server.geometry.side import Side
from lim_server.geometry.spread import Spread
from lim_server.geometry.starts import FAR, NEAR, Start, starts
from lim_server.geometry.trades import Trades

Hint = Float[torch.Tensor, "n m"]
"""How much speaks against each match of the two graphs' samples."""

STEPS = 16
SHARP = 2.0
"""How much the judgement of the whole surface counts beside that of the graph's samples."""
SECOND_LOOKS, WORTH = 3, 0.995
CHANGES, LIMB_STEPS, GAIN = 3, 10, 0.013
"""How often parts or limbs are exchanged, limbs in how many steps, and how much cheaper that must be to be believed."""
PROMISING, SIFTED, SIFT_STEPS, TRADED = 1.1, 16, 4, 3
"""How much dearer than the guess a trade of parts may be at first; how many are fitted in a few steps, and in all."""


@dataclass(frozen=True, eq=False)
class Likes:
    """What looks alike within the source: parts, and limbs that mirror each other."""

    parts: Trades
    limbs: list[Twins]


@dataclass(frozen=True, eq=False)
class Found:
    """A guess, what it costs by the graph's samples and in all, where it started, and the hint that led it."""

    guess: Guesses
    rough: float
    cost: float
    start: Start
    hint: Hint | None

    @property
    def method(self) -> str:
        """What led it."""
        return "geometry" if self.hint is None else "lim"

    def carried(self, source: Side) -> Float[ndarray, "n 3"]:
        """The source's points."""
        return _carried(source, self.guess)


class Search:
    """For one keyframe."""

    def __init__(
        self,
        source: Side,
        target: Side,
        landmarks: Landmarks,
        likes: Likes,
        spread: Spread,
        device: str,
        step: Callable[[str, int, int], None],
    ):
        self.source, self.target, self.landmarks, self.likes, self.step = source, target, landmarks, likes, step
        self.problem = problem_of(source, target, landmarks, device)
        self.judge = Judge(source, spread, target, device)

    def best(self, before: Float[ndarray, "n 3"] | None, hint: Hint | None, *, trusted: bool) -> Found:
        """`before` are the source's points at the keyframe before. A hint leads one more guess, from where the best of
        the others started, or all of them where it is trusted.
        """
        self.step("starts", 0, 1)
        begun = starts(self.problem, self.source, self.target, before, self.landmarks)
        found = self._annealed(begun, hint if trusted else None)
        best = found[0]
        if hint is not None and not trusted:
            led = self._annealed([best.start], hint, "led by LIM")[0]
            best = led if led.cost < best.cost else best
        best = self._changed(best)
        for _ in range(SECOND_LOOKS):
            again = self._second_look(best)
            if again is None or again.cost > WORTH * best.cost:
                break
            best = again
        return best

    def _annealed(
        self, begun: list[Start], hint: Float[torch.Tensor, "*h n m"] | None, name: str = "coarse", steps: int = STEPS
    ) -> list[Found]:
        """All starts, led by a hint, or each by its own, where there is one; judged without it, cheapest first."""
        problem = self.problem
        led = problem if hint is None else replace(problem, unlike=problem.unlike + hint)
        guesses = Guesses(led, torch.stack([s.turn for s in begun]), torch.stack([s.place for s in begun]))
        guesses.anneal([s.schedule for s in begun], steps, lambda i, n: self.step(name, i, n))
        judged = Guesses(problem, guesses.turn, guesses.place)
        found = []
        for i, (start, rough) in enumerate(zip(begun, judged.cost().tolist(), strict=True)):
            guess, own = judged.only(i), hint if hint is None or hint.ndim == 2 else hint[i]
            found.append(Found(guess, rough, start.doubt * self._cost(guess, rough), start, own))
        return sorted(found, key=lambda one: one.cost)

    def _cost(self, guess: Guesses, rough: float) -> float:
        return rough + SHARP * self.judge.cost(_carried(self.source, guess))

    def _changed(self, best: Found) -> Found:
        """A guess with its like parts and limbs exchanged, as long as that gets cheaper."""
        for _ in range(CHANGES):
            before = best
            for change in (self._traded, self._exchanged):
                other = change(best)
                if other is not None and other.cost < best.cost - GAIN:
                    best = other
            if best is before:
                break
        return best

    def _traded(self, best: Found) -> Found | None:
        """The best of what comes of trading parts that look alike (trades.py)."""
        made = self.likes.parts.made(best.guess)
        if made is None:
            return None
        rough = made.cost().tolist()
        likely = [i for i in sorted(range(len(rough)), key=rough.__getitem__) if rough[i] < PROMISING * best.rough]
        begun = [Start("traded", made.turn[i], made.place[i], NEAR) for i in likely[:SIFTED]]
        if not begun:
            return None
        sifted = self._annealed(begun, None, "trades", SIFT_STEPS)[:TRADED]
        begun = [replace(one.start, turn=one.guess.turn[0], place=one.guess.place[0]) for one in sifted]
        return replace(self._annealed(begun, None, "trades")[0], hint=best.hint)

    def _exchanged(self, best: Found) -> Found | None:
        """The best of what comes of keeping two limbs that mirror each other from where they are (limbs.py)."""
        if not self.likes.limbs:
            return None
        against = torch.stack([pair.exchanged(best.guess) for pair in self.likes.limbs])
        begun = [Start("exchanged", best.guess.turn[0], best.guess.place[0], FAR)] * len(against)
        other = self._annealed(begun, against, "limbs", LIMB_STEPS)[0]
        start = Start("exchanged", other.guess.turn[0], other.guess.place[0], NEAR)
        return replace(other, start=start, hint=best.hint)

    def _second_look(self, first: Found) -> Found | None:
        """The same start again, with what a first guess is sure of speaking for the rest."""
        told = told_by_anchors(first.guess, self.source, self.target)
        if told is None:
            return None
        both = told if first.hint is None else told + first.hint
        return replace(self._annealed([first.start], both, "second look")[0], hint=first.hint)


def _carried(source: Side, guess: Guesses) -> Float[ndarray, "n 3"]:
    turn, place = guess.turn[0].double().cpu().numpy(), guess.place[0].double().cpu().numpy()
    return source.carried(turn, place)


def problem_of(source: Side, target: Side, landmarks: Landmarks, device: str) -> Problem:
    """Both sides as tensors on the device."""

    def tensor(x: ndarray) -> torch.Tensor:
        return torch.as_tensor(x, dtype=torch.float32, device=device)

    graph = source.graph
    share, target_share = (
        side.share * side.trust_beside(other) for side, other in ((source, target), (target, source))
    )
    return Problem(
        rest=tensor(source.points),
        normals=tensor(source.normals),
        share=tensor(share / share.sum()),
        pinned=tensor(source.pinned),
        weights=tensor(graph.weights[graph.samples].toarray()),
        nodes=tensor(source.cover.points[graph.nodes]),
        edges=torch.as_tensor(graph.edges, device=device),
        links=torch.as_tensor(graph.links, device=device),
        joints=tensor(graph.joints),
        linked=torch.as_tensor(graph.linked, device=device),
        mass=tensor(source.mass),
        grip=tensor(graph.grip),
        target=tensor(target.points),
        target_normals=tensor(target.normals),
        target_share=tensor(target_share / target_share.sum()),
        unlike=tensor(unlikeness(source.look, target.look)),
        marks=tensor(landmarks.blend @ source.shape.points),
        mark_weights=tensor((landmarks.blend @ graph.weights[: len(source.shape.points)]).toarray()),
        mark_goals=tensor(landmarks.goals),
    )
