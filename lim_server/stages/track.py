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
from lim_server.geometry.assess import assess, lost
from lim_server.geometry.fine import Fine
from lim_server.geometry.landmarks import Landmarks
from lim_server.geometry.limbs import twins
from lim_server.geometry.search import Likes, Search
from lim_server.geometry.shape import Frame
from lim_server.geometry.side import Side
from lim_server.geometry.snap import snap
from lim_server.geometry.trades import Trades

Step = Callable[[str, int, int], None]
"""Called with (what is being done, done, total) at least a few times a second; raises where the job is cancelled."""

Hints = Callable[[Keyframe, Side, Side], Float[torch.Tensor, "n m"]]
"""How much speaks against each match of the graphs' samples, told by something other than form and looks (LIM)."""

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
        return Fine(self.source.shape, self.device)

    @cached_property
    def likes(self) -> Likes:
        """Parts and limbs that look alike."""
        return Likes(Trades.of(self.source, self.device), twins(self.source))

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
        search = Search(self.source, target, landmarks, self.likes, self.fine.spread, self.device, step)
        hint = None if self.hints is None else self.hints(key, self.source, target)
        found = search.best(before, hint, trusted=self.trusted)
        trust = self.source.trust_beside(target)[self.source.nearest[: len(mine.points)]]
        points = self.fine.onto(search.judge.target, found.carried(self.source), trust, landmarks, step)
        points = snap(mine, theirs, points, self.fine.stiffer(points))
        return replace(self._result(points, *assess(mine, theirs, points)), method=found.method)

    def _result(self, points: Float[ndarray, "n 3"], confidence: Float[ndarray, " n"], quality: Quality) -> TrackedKey:
        shape, welded = self.source.shape, self.source.shape.welded
        placed = np.where(shape.pinned[welded][:, None], self.rest, self.frame.undo(points[welded]))
        return TrackedKey(placed, confidence[welded].astype(np.float32), quality)
