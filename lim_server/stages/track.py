"""The source's points at every keyframe.

One keyframe: several guesses of the whole pose at once (coarse), the best of them to full resolution (fine), onto
the surface (snap), and an honest record of how well that went (quality).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float32
from numpy import ndarray
from scipy.spatial import cKDTree

from lim_protocol.types import Keyframe, Quality
from lim_server.geometry.closest import Surface
from lim_server.geometry.coarse import Coarse, Problem, Settings, anneal
from lim_server.geometry.cover import Cover
from lim_server.geometry.fine import FineSettings, fine, unit_cross
from lim_server.geometry.graph import Graph, farthest_points
from lim_server.geometry.normals import vertex_normals
from lim_server.geometry.shape import Frame, Shape

Step = Callable[[str, int, int], None]
"""Called with (what is being done, done, total) at least a few times a second; raises where the job is cancelled."""


@dataclass(frozen=True, eq=False)
class TrackedKey:
    """The source's points at one keyframe.

    points      float32 [points, 3]  scene units
    confidence  float32 [points]     0 to 1
    """

    points: Float32[ndarray, "points 3"]
    confidence: Float32[ndarray, " points"]
    quality: Quality


NO_KEYS: Mapping[int, TrackedKey] = {}


def track_keys(
    keyframes: Sequence[Keyframe], *, device: str, step: Step, known: Mapping[int, TrackedKey] = NO_KEYS
) -> Iterator[tuple[int, TrackedKey]]:
    """(index, result) of every keyframe as soon as it is solved; keyframes are sorted, the first is the source.

    `known` are results of a former attempt: taken as they are, and the rest comes out as if there had been none.
    """
    source = keyframes[0]
    count = len(source.mesh.points)
    yield 0, TrackedKey(source.mesh.points.copy(), np.ones(count, np.float32), Quality(0.0, 0.0, 0.0, 0.0, 1.0))
    tracker: Tracker | None = None
    for i in range(1, len(keyframes)):
        if i in known:
            yield i, known[i]
            continue
        if tracker is None:
            tracker = Tracker(source, device=device)
        name = keyframes[i].name

        def tell(text: str, done: int, total: int, name: str = name) -> None:
            step(f"{name}: {text}", done, total)

        yield i, tracker.track(keyframes[i], tell)


class Tracker:
    """What is made of the source once and serves every keyframe."""

    def __init__(self, source: Keyframe, *, device: str):
        self.device = device
        self.frame = Frame.of(source.mesh.points)
        self.shape = Shape.of(source.mesh, self.frame)
        self.cover = Cover.of(self.shape, LONGEST)
        self.graph = Graph.of(self.cover)

    def track(self, key: Keyframe, step: Step) -> TrackedKey:
        """One keyframe from scratch."""
        target = Shape.of(key.mesh, self.frame)
        if min(self.shape.area.sum(), target.area.sum()) < NO_AREA:
            # nothing to match: carried along, with the confidence of what cannot be known
            points = self.shape.points + target.points.mean(axis=0) - self.shape.points.mean(axis=0)
            return self._result(points, np.zeros(len(points)), lost(target, points))
        start = self._coarse(target, step)
        points = fine(self.shape, target, start, FineSettings(stiff=(0.03, 0.0003)), step)
        points = snap(self.shape, target, points)
        confidence, quality = assess(self.shape, target, points)
        return self._result(points, confidence, quality)

    def _result(self, points: Float[ndarray, "n 3"], confidence: Float[ndarray, " n"], quality: Quality) -> TrackedKey:
        welded = self.shape.welded
        return TrackedKey(self.frame.undo(points[welded]), confidence[welded].astype(np.float32), quality)

    def _coarse(self, target: Shape, step: Step) -> Float[ndarray, "n 3"]:
        cover, graph = self.cover, self.graph
        width = float(np.linalg.norm(np.ptp(target.points, axis=0)))
        other = Cover.of(target, LONGEST * max(1.0, width))
        chosen = farthest_points(np.concatenate([other.points, 0.03 * other.normals], axis=1), 1000)
        colored = cover.colors is not None and other.colors is not None

        def features(c: Cover, s: ndarray) -> ndarray:
            return c.colors[s] / 0.1 if colored and c.colors is not None else np.zeros((len(s), 1))

        problem = Problem.of(
            cover, graph, other, chosen, features(cover, graph.samples), features(other, chosen), self.device
        )
        sets = [
            Settings(),
            Settings(wide=0.06),
            Settings(wide=0.2),
            Settings(soft=0.1),
            Settings(wide=0.06, soft=0.1),
            Settings(feature=0.2),
        ]
        h, k = len(sets), len(graph.nodes)
        off = np.average(other.points, axis=0, weights=other.area) - np.average(
            cover.points, axis=0, weights=cover.area
        )
        place = (problem.nodes + torch.as_tensor(off, dtype=torch.float32, device=self.device)).expand(h, k, 3).clone()
        state = Coarse(problem, torch.eye(3, device=self.device).expand(h, k, 3, 3).clone(), place)
        anneal(state, sets, step)
        x, n = state.points(), state.turned()
        cost = torch.cdist(x, problem.target.expand(h, -1, -1)) ** 2 / 0.02**2 + 2 * (1 - n @ problem.target_normals.T)
        cost = cost + (torch.cdist(problem.features, problem.target_features) ** 2).clamp(max=4)
        energy = cost.amin(1).clamp(max=16).mean(1) + cost.amin(2).clamp(max=16).mean(1)
        best = int(energy.argmin())
        rotation, place = state.R[best].double().cpu().numpy(), state.t[best].double().cpu().numpy()
        rest, nodes = cover.points[: len(self.shape.points)], cover.points[graph.nodes]
        weights = graph.weights[: len(rest)].tocoo()
        moved = (
            np.einsum("eij,ej->ei", rotation[weights.col], rest[weights.row] - nodes[weights.col]) + place[weights.col]
        )
        return np.stack(
            [np.bincount(weights.row, weights.data * moved[:, c], minlength=len(rest)) for c in range(3)], axis=1
        )


LONGEST = 0.025
NO_AREA = 1e-9


def lost(target: Shape, points: Float[ndarray, "n 3"]) -> Quality:
    """The record of a key that has no surface, or whose source has none."""
    d = cKDTree(target.points).query(points)[0]
    back = cKDTree(points).query(target.points)[0]
    return Quality(float(d.mean()), float(np.percentile(d, 95)), float(d.max()), float(np.percentile(back, 95)), 0.0)


def snap(source: Shape, target: Shape, points: Float[ndarray, "n 3"]) -> Float[ndarray, "n 3"]:
    """Points onto the target where it is near and faces the same way."""
    hits = Surface(target.points, target.triangles).closest(points)
    facing = (
        unit_cross(target.points, target.triangles)[hits.triangle] * vertex_normals(points, source.triangles)
    ).sum(1)
    near = (hits.distance < 0.01) & (facing > 0.3)
    return np.where(near[:, None], hits.points, points)


def assess(source: Shape, target: Shape, points: Float[ndarray, "n 3"]) -> tuple[Float[ndarray, " n"], Quality]:
    """Confidence per point and the record of the key."""
    there = Surface(target.points, target.triangles)
    hits = there.closest(points)
    normals = vertex_normals(points, source.triangles)
    facing = np.clip((unit_cross(target.points, target.triangles)[hits.triangle] * normals).sum(1), 0, 1)
    confidence = np.exp(-0.5 * (hits.distance / 0.01) ** 2) * facing
    if source.colors is not None and target.colors is not None:
        off = there.at(hits, target.colors) - source.colors
        confidence = confidence * (0.2 + 0.8 * np.exp(-0.5 * ((off / 0.2) ** 2).sum(1)))
    back = Surface(points, source.triangles).closest(target.points)
    d = hits.distance
    return confidence, Quality(
        float(d.mean()),
        float(np.percentile(d, 95)),
        float(d.max()),
        float(np.percentile(back.distance, 95)),
        float(confidence.mean()),
    )
