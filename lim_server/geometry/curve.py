"""Smooth curves through what is known at keys: Hermite cubics of values, cumulative cubics of rotations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.spatial.transform import Rotation


class Curve:
    """Through keys at these times; the k-th segment runs from key k to the next, s from 0 to 1 along it."""

    def __init__(self, times: Sequence[float]):
        self.times = list(times)

    def segment(self, time: float) -> tuple[int, float]:
        """Which two keys a time is between, by the number of the first, and how far, 0 to 1."""
        k = int(np.clip(np.searchsorted(self.times, time, side="right") - 1, 0, len(self.times) - 2))
        return k, (time - self.times[k]) / (self.times[k + 1] - self.times[k])

    def around(self, k: int) -> list[int]:
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

    def hermite(self, k: int, s: float, values: list[Float[ndarray, "n 3"]]) -> Float[ndarray, "n 3"]:
        """Through the values at the keys around."""
        value = dict(zip(self.around(k), values, strict=True))
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

    def turned(
        self, k: int, s: float, turns: Sequence[Rotation], steps: Sequence[Float[ndarray, "n 3"]]
    ) -> Float[ndarray, "n 3 3"]:
        """Cumulative cubic Bezier curve of rotations (Kim et al. 1995) with the angular velocities of its ends.

        turns  at every key; `steps` from each to the next, as rotation vectors in the first one's axes
        """
        spin, h = self._spin(k, steps), self.times[k + 1] - self.times[k]
        one, three = spin[0] * h / 3, spin[1] * h / 3
        first, last = Rotation.from_rotvec(one), Rotation.from_rotvec(three)
        two = (first.inv() * turns[k].inv() * turns[k + 1] * last.inv()).as_rotvec()
        b1, b2, b3 = 1 - (1 - s) ** 3, 3 * s * s - 2 * s**3, s**3
        turned = (
            turns[k]
            * Rotation.from_rotvec(b1 * one)
            * Rotation.from_rotvec(b2 * two)
            * Rotation.from_rotvec(b3 * three)
        )
        matrix: Float[ndarray, "n 3 3"] = turned.as_matrix()
        return matrix

    def _spin(
        self, k: int, steps: Sequence[Float[ndarray, "n 3"]]
    ) -> tuple[Float[ndarray, "n 3"], Float[ndarray, "n 3"]]:
        """Angular velocity (own axes, per frame) at both ends of a segment."""
        rate = {m: steps[m] / (self.times[m + 1] - self.times[m]) for m in self.around(k) if m < len(steps)}

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
