"""The source's points at every keyframe.

One keyframe: the graph from several starts at once (coarse), the best of them to full resolution (fine), onto the
surface (snap), and an honest record of how well that went (quality).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float, Float32
from numpy import ndarray

from lim_protocol.types import Keyframe, Quality
from lim_server.geometry.anchors import told_by_anchors
from lim_server.geometry.assess import assess, lost
from lim_server.geometry.coarse import Guesses, Problem
from lim_server.geometry.descriptors import unlikeness
from lim_server.geometry.fine import Fine
from lim_server.geometry.landmarks import Landmarks
from lim_server.geometry.limbs import Twins, twins
from lim_server.geometry.shape import Frame
from lim_server.geometry.side import Side
from lim_server.geometry.snap import snap
from lim_server.geometry.starts import FAR, NEAR, Start, starts
from lim_server.geometry.trades import Trades

Step = Callable[[str, int, int], None]
"""Called with (what is being done, done, total) at least a few times a second; raises where the job is cancelled."""

Hints = Callable[[Keyframe, Side, Side], Float[torch.Tensor, "n m"]]
"""How much speaks against each match of the graphs' samples, told by something other than form and looks (LIM)."""

STEPS = 16
SECOND_LOOKS, WORTH = 3, 0.995
CHANGES, LIMB_STEPS, GAIN = 3, 10, 0.013
"""How often parts or limbs are exchanged, limbs in how many steps, and how much cheaper it must be to be believed."""
TRADED, PROMISING = 4, 1.1
"""How many trades of parts are fitted again, and how much dearer than the guess those may be before."""
NO_AREA = 1e-9


@dataclass(frozen=True, eq=False)
class TrackedKey:
    """The source's points at one keyframe.

    points      float32 [points, 3]  scene units
    confidence  float32 [points]     0 to 1
    method      what the guess was led by that won: geometry alone, or lim
    """

    points: Float32[ndarray, "points 3"]
    confidence: Float32[ndarray, " points"]
    quality: Quality
    method: str = "geometry"


NO_KEYS: Mapping[int, TrackedKey] = {}


def track_keys(
    keyframes: Sequence[Keyframe],
    *,
    device: str,
    step: Step,
    known: Mapping[int, TrackedKey] = NO_KEYS,
    hints: Hints | None = None,
    trusted: bool = False,
) -> Iterator[tuple[int, TrackedKey]]:
    """(index, result) of every keyframe as soon as it is solved; keyframes are sorted, the first is the source.

    `known` are results of a former attempt: taken as they are, and the rest comes out as if there had been none.
    `hints` lead one more guess, from where the best of the others started; where they are `trusted`, all of them.
    """
    source = keyframes[0]
    count = len(source.mesh.points)
    last = TrackedKey(source.mesh.points.copy(), np.ones(count, np.float32), Quality(0.0, 0.0, 0.0, 0.0, 1.0))
    yield 0, last
    tracker: Tracker | None = None
    for i in range(1, len(keyframes)):
        if i in known:
            last = known[i]
        else:
            tracker = tracker or Tracker(source, device=device, hints=hints, trusted=trusted)
            name = keyframes[i].name

            def tell(text: str, done: int, total: int, name: str = name) -> None:
                step(f"{name}: {text}", done, total)

            last = tracker.track(keyframes[i], last if i > 1 else None, tell)
        yield i, last


class Tracker:
    """What is made of the source once and serves every keyframe."""

    def __init__(self, source: Keyframe, *, device: str, hints: Hints | None = None, trusted: bool = False):
        self.device, self.hints, self.trusted = device, hints, trusted
        self.frame = Frame.of(source.mesh.points)
        self.source, self.rest = Side.of(source.mesh, self.frame), source.mesh.points

    @cached_property
    def fine(self) -> Fine:
        """For a source that has an area."""
        return Fine(self.source.shape)

    @cached_property
    def trades(self) -> Trades:
        """Parts that look alike."""
        return Trades.of(self.source, self.device)

    @cached_property
    def twins(self) -> list[Twins]:
        """Limbs that mirror each other."""
        return twins(self.source)

    def track(self, key: Keyframe, last: TrackedKey | None, step: Step) -> TrackedKey:
        """One keyframe; `last` is the one before, unless that is the source itself."""
        target = Side.of(key.mesh, self.frame)
        mine, theirs = self.source.shape, target.shape
        if min(mine.area.sum(), theirs.area.sum()) < NO_AREA:
            # nothing to match: carried along, with the confidence of what cannot be known
            points = mine.points + theirs.points.mean(axis=0) - mine.points.mean(axis=0)
            return self._result(points, np.zeros(len(points)), lost(theirs, points))
        before = None if last is None else mine.gather(self.frame.apply(last.points))
        landmarks = Landmarks.of(mine, key.mesh, self.frame)
        found = self._coarse(key, target, before, landmarks, step)
        trust = self.source.trust_beside(target)[self.source.nearest[: len(mine.points)]]
        points = snap(mine, theirs, self.fine.onto(theirs, found.carried(self.source), trust, landmarks, step))
        return replace(self._result(points, *assess(mine, theirs, points)), method=found.method)

    def _result(self, points: Float[ndarray, "n 3"], confidence: Float[ndarray, " n"], quality: Quality) -> TrackedKey:
        shape, welded = self.source.shape, self.source.shape.welded
        placed = np.where(shape.pinned[welded][:, None], self.rest, self.frame.undo(points[welded]))
        return TrackedKey(placed, confidence[welded].astype(np.float32), quality)

    def _coarse(
        self, key: Keyframe, target: Side, before: Float[ndarray, "n 3"] | None, landmarks: Landmarks, step: Step
    ) -> Found:
        """Roughly where every point goes: the cheapest of the guesses."""
        problem = problem_of(self.source, target, landmarks, self.device)
        step("starts", 0, 1)
        begun = starts(problem, self.source, target, before, landmarks)
        hint = None if self.hints is None else self.hints(key, self.source, target)
        best = _cheapest(problem, begun, hint if self.trusted else None, step)
        if hint is not None and not self.trusted:
            led = _cheapest(problem, [best.start], hint, step, "led by LIM")
            best = min(best, led, key=lambda found: found.cost)
        for change in (self._traded, self._exchanged):
            for _ in range(CHANGES):
                other = change(best, step)
                if other is None or other.cost > best.cost - GAIN:
                    break
                best = other
        for _ in range(SECOND_LOOKS):
            again = self._second_look(target, best, step)
            if again is None or again.cost > WORTH * best.cost:
                break
            best = again
        return best

    def _traded(self, best: Found, step: Step) -> Found | None:
        """The best of what comes of trading parts that look alike (trades.py)."""
        made = self.trades.made(best.guess)
        if made is None:
            return None
        cost = made.cost()
        order = [int(i) for i in torch.sort(cost, stable=True).indices if cost[i] < PROMISING * best.cost]
        begun = [Start("traded", made.turn[i], made.place[i], NEAR) for i in order[:TRADED]]
        return _cheapest(best.guess.problem, begun, best.hint, step, "trades") if begun else None

    def _exchanged(self, best: Found, step: Step) -> Found | None:
        """The best of what comes of keeping two limbs that mirror each other from where they are (limbs.py)."""
        if not self.twins:
            return None
        against = torch.stack([pair.exchanged(best.guess) for pair in self.twins])
        begun = [Start("exchanged", best.guess.turn[0], best.guess.place[0], FAR)] * len(against)
        other = _cheapest(best.guess.problem, begun, against, step, "limbs", LIMB_STEPS)
        start = Start("exchanged", other.guess.turn[0], other.guess.place[0], NEAR)
        return replace(other, start=start, hint=best.hint)

    def _second_look(self, target: Side, first: Found, step: Step) -> Found | None:
        """The same start again, with what a first guess is sure of speaking for the rest."""
        told = told_by_anchors(first.guess, self.source, target)
        if told is None:
            return None
        both = told if first.hint is None else told + first.hint
        again = _cheapest(first.guess.problem, [first.start], both, step, "second look")
        return replace(again, hint=first.hint)


@dataclass(frozen=True, eq=False)
class Found:
    """A guess, what it costs, where it started, and the hint that led it."""

    guess: Guesses
    cost: float
    start: Start
    hint: Float[torch.Tensor, "n m"] | None

    @property
    def method(self) -> str:
        """What led it."""
        return "geometry" if self.hint is None else "lim"

    def carried(self, source: Side) -> Float[ndarray, "n 3"]:
        """The source's points."""
        turn, place = self.guess.turn[0].double().cpu().numpy(), self.guess.place[0].double().cpu().numpy()
        return source.carried(turn, place)


def _cheapest(
    problem: Problem,
    begun: list[Start],
    hint: Float[torch.Tensor, "*h n m"] | None,
    step: Step,
    name: str = "coarse",
    steps: int = STEPS,
) -> Found:
    """All starts annealed, led by a hint, or each by its own, where there is one; judged without it."""
    led = problem if hint is None else replace(problem, unlike=problem.unlike + hint)
    guesses = Guesses(led, torch.stack([s.turn for s in begun]), torch.stack([s.place for s in begun]))
    guesses.anneal([s.schedule for s in begun], steps, lambda i, n: step(name, i, n))
    judged = Guesses(problem, guesses.turn, guesses.place)
    cost = judged.cost()
    best = int((cost * cost.new_tensor([s.doubt for s in begun])).argmin())
    own = hint if hint is None or hint.ndim == 2 else hint[best]
    return Found(judged.only(best), float(cost[best]), begun[best], own)


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
        held=tensor(source.held),
        grip=tensor(graph.grip),
        target=tensor(target.points),
        target_normals=tensor(target.normals),
        target_share=tensor(target_share / target_share.sum()),
        unlike=tensor(unlikeness(source.look, target.look)),
        marks=tensor(landmarks.blend @ source.shape.points),
        mark_weights=tensor((landmarks.blend @ graph.weights[: len(source.shape.points)]).toarray()),
        mark_goals=tensor(landmarks.goals),
    )
