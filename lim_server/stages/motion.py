"""The tracked mesh at any time: turned edges between the keys, put together again by one Poisson solve.

Each point carries a rotation per key (how its surroundings stand against the source). Rotations follow a smooth
curve through the keys (cumulative cubic, Kim et al. 1995), edges seen from their own rotation a cubic Hermite
curve; the points are the mesh that comes nearest to the turned edges. So limbs swing on arcs, and velocity is
continuous at the keys. What has not moved from any key to the next holds the rest: feet stay on the ground, and a body
does not give way to its own head's turning.

What a key's surface asks of the mesh beyond the source's own form, some ten-thousandths of the diagonal and different
for each point, is that key's alone and fades on the way to the next: so the noise of matching stays out of the frames
between, and machines' parts stay whole.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Float32
from numpy import ndarray
from scipy.sparse import diags
from scipy.spatial.transform import Rotation

from lim_protocol.types import Mesh
from lim_server.geometry.arap import Rigidity, solve, solver
from lim_server.geometry.contacts import ties
from lim_server.geometry.easing import Easing
from lim_server.geometry.shape import Frame, Shape
from lim_server.geometry.unroll import unrolled

PIN = 1e3
"""How heavy a pinned point is, against what its edges weigh together."""
HELD, STILL, FREE = 0.01, 0.05, 0.1
"""The same for a point that never moves; how far (diagonals) one moves that is half as heavy; and how much what moves
counts, beside what does not, for where the whole is."""


def _faded(near: float) -> float:
    """How much of a key's own is left, 1 at the key and 0 at the next, level at both."""
    return (near * near * (3 - 2 * near)) ** 3


class Motion:
    """Built once per job, asked once per frame. Times are frames; points are in scene units."""

    def __init__(
        self,
        source: Mesh,
        times: Sequence[float],
        points: Sequence[Float32[ndarray, "points 3"]],
    ):
        self.times, self.keys = [float(t) for t in times], list(points)
        self.frame = Frame.of(source.points)
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
        eased = [self.placed[0], *Easing(self.rigid, area, shape.pinned).all(self.placed[1:])]
        # what a point lost by easing: little, and the key's alone
        self.own = [before - after for before, after in zip(self.placed, eased, strict=True)]
        self.placed = eased
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

    def at(self, time: float) -> Float32[ndarray, "points 3"]:
        """Points at a time within the keys; at a key's time exactly the key's points."""
        if time in self.times:
            return self.keys[self.times.index(time)]
        points = self.frame.undo(self._in_segment(self._segment(time), time))
        return np.where(self.still, self.keys[0], points)

    def derivatives(self, time: float) -> tuple[Float32[ndarray, "points 3"], Float32[ndarray, "points 3"]]:
        """Velocities per frame and accelerations per frame squared; at a key those of the segment that follows."""
        k, h = self._segment(time), 0.01 * (self.times[-1] - self.times[0]) / max(len(self.times) - 1, 1)
        if len(self.times) == 1:
            zero = np.zeros_like(self.keys[0])
            return zero, zero
        before, now, after = (self._in_segment(k, time + s * h) for s in (-1, 0, 1))
        scale = self.frame.diagonal
        return (
            ((after - before) / (2 * h) * scale).astype(np.float32),
            ((after - 2 * now + before) / h**2 * scale).astype(np.float32),
        )

    def _segment(self, time: float) -> int:
        return int(np.clip(np.searchsorted(self.times, time, side="right") - 1, 0, max(len(self.times) - 2, 0)))

    def _in_segment(self, k: int, time: float) -> Float[ndarray, "points 3"]:
        t0, t1 = self.times[k], self.times[k + 1]
        h = t1 - t0
        s = (time - t0) / h
        turned = self._turned(k, s, h)
        i, j = self.rigid.edges.T
        half = np.zeros_like(self.rigid.vectors)
        edges = [p[j] - p[i] for p in self.placed]
        for end in (i, j):
            own = [self.turns[m].as_matrix()[end] for m in self._around(k)]
            seen = [np.einsum("eji,ej->ei", r, edges[m]) for r, m in zip(own, self._around(k), strict=True)]
            half += 0.5 * np.einsum("eij,ej->ei", turned[end], self._hermite(k, s, seen))
        right = self.rigid.outward @ (self.rigid.weights[:, None] * half)
        straight = self._hermite(k, s, [self.placed[m] for m in self._around(k)])
        points = solve(self.factors, right + self.mass @ straight)
        if not self.pinned.any():
            points += self.share @ (straight - points)
        points += _faded(1 - s) * self.own[k] + _faded(s) * self.own[k + 1]
        moved = points[self.welded] + self._hermite(k, s, [self.apart[m] for m in self._around(k)])
        return np.where(self.still, self.placed[0][self.welded], moved)

    def _around(self, k: int) -> list[int]:
        """The keys a segment depends on: its two, the one before and the one after where there are any."""
        return [m for m in (k - 1, k, k + 1, k + 2) if 0 <= m < len(self.times)]

    def _slopes(self, k: int) -> dict[int, dict[int, float]]:
        """Slope at the segment's keys as weights of the values around, per frame (parabola through three)."""
        out: dict[int, dict[int, float]] = {}
        for m in (k, k + 1):
            if 0 < m < len(self.times) - 1:
                a, b = self.times[m] - self.times[m - 1], self.times[m + 1] - self.times[m]
                out[m] = {m - 1: -b / (a * (a + b)), m: (b - a) / (a * b), m + 1: a / (b * (a + b))}
        return out

    def _hermite(self, k: int, s: float, values: list[Float[ndarray, "n 3"]]) -> Float[ndarray, "n 3"]:
        value = dict(zip(self._around(k), values, strict=True))
        h = self.times[k + 1] - self.times[k]
        a, b = value[k], value[k + 1]
        slopes = {m: sum(w * value[q] for q, w in ws.items()) * h for m, ws in self._slopes(k).items()}
        # a natural end: the curve's bend vanishes where there is no further key
        if k not in slopes:
            slopes[k] = 1.5 * (b - a) - 0.5 * slopes[k + 1] if k + 1 in slopes else b - a
        if k + 1 not in slopes:
            slopes[k + 1] = 1.5 * (b - a) - 0.5 * slopes[k]
        s2, s3 = s * s, s * s * s
        return (
            (2 * s3 - 3 * s2 + 1) * a
            + (s3 - 2 * s2 + s) * slopes[k]
            + (3 * s2 - 2 * s3) * b
            + (s3 - s2) * slopes[k + 1]
        )

    def _turned(self, k: int, s: float, h: float) -> Float[ndarray, "n 3 3"]:
        """Cumulative cubic Bezier curve of rotations with the angular velocities of its ends."""
        spin = self._spin(k)
        one, three = spin[0] * h / 3, spin[1] * h / 3
        first, last = Rotation.from_rotvec(one), Rotation.from_rotvec(three)
        two = (first.inv() * self.turns[k].inv() * self.turns[k + 1] * last.inv()).as_rotvec()
        b1, b2, b3 = 1 - (1 - s) ** 3, 3 * s * s - 2 * s**3, s**3
        turned = (
            self.turns[k]
            * Rotation.from_rotvec(b1 * one)
            * Rotation.from_rotvec(b2 * two)
            * Rotation.from_rotvec(b3 * three)
        )
        matrix: Float[ndarray, "n 3 3"] = turned.as_matrix()
        return matrix

    def _spin(self, k: int) -> tuple[Float[ndarray, "n 3"], Float[ndarray, "n 3"]]:
        """Angular velocity (own axes, per frame) at both ends of a segment."""
        rate = {m: self.steps[m] / (self.times[m + 1] - self.times[m]) for m in self._around(k) if m < len(self.steps)}

        def at(m: int) -> Float[ndarray, "n 3"] | None:
            if not 0 < m < len(self.times) - 1:
                return None
            a, b = self.times[m] - self.times[m - 1], self.times[m + 1] - self.times[m]
            mean: Float[ndarray, "n 3"] = (b * rate[m - 1] + a * rate[m]) / (a + b)
            return mean

        here, there, own = at(k), at(k + 1), rate[k]
        if here is None:
            here = own if there is None else 1.5 * own - 0.5 * there
        if there is None:
            there = 1.5 * own - 0.5 * here
        return here, there
