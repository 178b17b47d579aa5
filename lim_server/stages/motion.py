"""The tracked mesh at any time: turned edges between the keys, put together again by one Poisson solve.

Each point carries a rotation per key (how its surroundings stand against the source). Rotations follow a smooth
curve through the keys (cumulative cubic, Kim et al. 1995), edges seen from their own rotation a cubic Hermite
curve; the points are the mesh that comes nearest to the turned edges. So limbs swing on arcs, and velocity is
continuous at the keys. What has not moved from any key to the next holds the rest: feet stay on the ground, and a body
does not give way to its own head's turning.

A tracked key's edges are a few percent too long or too short, each for itself, which is how well points are found and
not how the thing stretches. So edges keep the source's lengths but where the surface around them has clearly stretched,
and what a key has beyond that is its own: what reaches far is half there halfway, what is local fades at once. So the
noise of matching stays out of the frames between, and machines' parts stay whole.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Float32
from numpy import ndarray
from scipy.sparse import diags
from scipy.spatial.transform import Rotation

from lim_protocol.types import Mesh
from lim_server.geometry.arap import Rigidity, solve, solver
from lim_server.geometry.contacts import ties
from lim_server.geometry.curve import Curve
from lim_server.geometry.easing import Easing, Reach
from lim_server.geometry.shape import Frame, Shape
from lim_server.geometry.stretch import Stretch
from lim_server.geometry.unfold import Unfold
from lim_server.geometry.unroll import unrolled

PIN = 1e3
"""How heavy a pinned point is, against what its edges weigh together."""
HELD, STILL, FREE = 0.01, 0.05, 0.1
"""The same for a point that never moves; how far (diagonals) one moves that is half as heavy; and how much what moves
counts, beside what does not, for where the whole is."""
CLEAR = 0.3
"""Stretch (`Stretch.at`) of which half is believed: it is averaged over 3 % of the diagonal, and still mostly noise."""
FAR, LOCAL = 2, 8
"""How a key's own fades: powers of `_level`, for what reaches far and for the rest."""


def _level(near: float) -> float:
    """1 at a key and 0 at the next, level at both."""
    return near * near * (3 - 2 * near)


class Motion:
    """Built once per job, asked once per frame. Times are frames; points are in scene units."""

    def __init__(
        self,
        source: Mesh,
        times: Sequence[float],
        points: Sequence[Float32[ndarray, "points 3"]],
    ):
        self.times, self.keys = [float(t) for t in times], list(points)
        self.curve, self.frame = Curve(self.times), Frame.of(source.points)
        shape = Shape.of(source, self.frame)
        self.welded, count = shape.welded, len(shape.points)
        times_seen = np.bincount(self.welded, minlength=count)[:, None]
        self.placed = [
            np.stack([np.bincount(self.welded, self.frame.apply(p)[:, k], minlength=count) for k in range(3)], axis=1)
            / times_seen
            for p in self.keys
        ]
        # what a point lost by welding: zero but for seams that a key pulled apart
        self.apart = [self.frame.apply(p) - w[self.welded] for p, w in zip(self.keys, self.placed, strict=True)]
        self.rigid = Rigidity(shape.points, shape.triangles, ties(shape), shape.stiffness)
        self.pinned, self.still = shape.pinned, shape.pinned[self.welded][:, None]
        area = shape.area + max(1e-4 * shape.area.sum(), 1e-12) / count
        tracked = self.placed
        self.placed = [tracked[0], *Easing(self.rigid, area, shape.pinned).all(tracked[1:])]
        moved = [np.linalg.norm(b - a, axis=1) for a, b in zip(self.placed, self.placed[1:], strict=False)]
        still = 1 / (1 + (np.max(moved, axis=0, initial=0) / STILL) ** 2)
        self.share = area * (still + FREE) / (area * (still + FREE)).sum()
        scale = self.rigid.laplacian.diagonal().mean() + 1.0
        held = (1e-4 / count + HELD * still) * count * area / area.sum()
        self.mass = diags(scale * (held + PIN * self.pinned))
        self.factors = solver((self.rigid.laplacian + self.mass).tocsr())
        turns = [np.broadcast_to(np.eye(3), (count, 3, 3)).copy()]
        turns += [self.rigid.fit(placed) for placed in self.placed[1:]]
        self.turns = [Rotation.from_matrix(t) for t in turns]
        steps = [(a.inv() * b).as_rotvec() for a, b in zip(self.turns, self.turns[1:], strict=False)]
        self.steps = [unrolled(step, self.rigid.edges) for step in steps]
        stretch = Stretch(shape, "cpu")
        self.believed = [np.zeros((len(self.rigid.edges), 1))]
        self.believed += [self._believed(stretch, placed) for placed in self.placed[1:]]
        reach = Reach(self.rigid, area)
        self.own = [reach.split(points - self._at_key(m)) for m, points in enumerate(tracked)]
        self.unfold = Unfold(shape.points, shape.triangles)
        self.over = [self.unfold.over(p, t.as_matrix()) for p, t in zip(tracked, self.turns, strict=True)]

    def at(self, time: float) -> Float32[ndarray, "points 3"]:
        """Points at a time within the keys; at a key's time exactly the key's points."""
        if time in self.times:
            return self.keys[self.times.index(time)]
        k, s = self.curve.segment(time)
        allowed = self.over[k] | self.over[k + 1]
        turned = self._turned(k, s)
        points = self.unfold.unfolded(self._in_segment(k, s, turned), turned, allowed)
        return np.where(self.still, self.keys[0], self.frame.undo(self._unwelded(points, k, s)))

    def derivatives(self, time: float) -> tuple[Float32[ndarray, "points 3"], Float32[ndarray, "points 3"]]:
        """Velocities per frame and accelerations per frame squared; at a key those of the segment that follows."""
        if len(self.times) == 1:
            zero = np.zeros_like(self.keys[0])
            return zero, zero
        k, s = self.curve.segment(time)
        h = 0.01 * (self.times[-1] - self.times[0]) / (len(self.times) - 1)
        step = h / (self.times[k + 1] - self.times[k])
        before, now, after = (
            self._unwelded(self._in_segment(k, t, self._turned(k, t)), k, t) for t in (s - step, s, s + step)
        )
        scale = self.frame.diagonal
        return (
            ((after - before) / (2 * h) * scale).astype(np.float32),
            ((after - 2 * now + before) / h**2 * scale).astype(np.float32),
        )

    def _turned(self, k: int, s: float) -> Float[ndarray, "n 3 3"]:
        return self.curve.turned(k, s, self.turns, self.steps)

    def _in_segment(self, k: int, s: float, turned: Float[ndarray, "n 3 3"]) -> Float[ndarray, "n 3"]:
        points = self._shaped(k, s, turned)
        for near, (far, local) in ((1 - s, self.own[k]), (s, self.own[k + 1])):
            points += _level(near) ** FAR * far + _level(near) ** LOCAL * local
        return points

    def _unwelded(self, points: Float[ndarray, "n 3"], k: int, s: float) -> Float[ndarray, "points 3"]:
        apart = self.curve.hermite(k, s, [self.apart[m] for m in self.curve.around(k)])
        return np.where(self.still, self.placed[0][self.welded], points[self.welded] + apart)

    def _shaped(self, k: int, s: float, turned: Float[ndarray, "n 3 3"]) -> Float[ndarray, "n 3"]:
        """The mesh that comes nearest to the turned edges, but for what is a key's own."""
        if len(self.times) == 1:
            return self.placed[0]
        i, j = self.rigid.edges.T
        half = np.zeros_like(self.rigid.vectors)
        edges = [p[j] - p[i] for p in self.placed]
        for end in (i, j):
            own = [self.turns[m].as_matrix()[end] for m in self.curve.around(k)]
            seen = [
                self.rigid.vectors + self.believed[m] * (np.einsum("eji,ej->ei", r, edges[m]) - self.rigid.vectors)
                for r, m in zip(own, self.curve.around(k), strict=True)
            ]
            half += 0.5 * np.einsum("eij,ej->ei", turned[end], self.curve.hermite(k, s, seen))
        right = self.rigid.outward @ (self.rigid.weights[:, None] * half)
        straight = self.curve.hermite(k, s, [self.placed[m] for m in self.curve.around(k)])
        points = solve(self.factors, right + self.mass @ straight)
        if not self.pinned.any():
            points += self.share @ (straight - points)
        return points

    def _believed(self, stretch: Stretch, placed: Float[ndarray, "n 3"]) -> Float[ndarray, "e 1"]:
        """How much of each edge's stretch at a key is taken for the thing's own."""
        square = stretch.at(torch.from_numpy(np.ascontiguousarray(placed))).numpy() ** 2
        clear: Float[ndarray, "e 1"] = (square / (square + CLEAR**2))[self.rigid.edges].mean(axis=1)[:, None]
        return clear

    def _at_key(self, m: int) -> Float[ndarray, "n 3"]:
        k, s = (m, 0.0) if m + 1 < len(self.times) else (m - 1, 1.0)
        return self._shaped(k, s, self.turns[m].as_matrix())
