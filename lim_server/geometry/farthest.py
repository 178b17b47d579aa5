"""A few points that cover many."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray


def farthest_points(points: Float[ndarray, "m d"], count: int) -> Int[ndarray, " k"]:
    """Indices of points, each the farthest from all before it; the first is the farthest from the mean."""
    count = min(count, len(points))
    chosen = np.empty(count, np.int64)
    chosen[0] = np.argmax(((points - points.mean(axis=0)) ** 2).sum(axis=1))
    nearest = np.full(len(points), np.inf)
    for k in range(1, count):
        nearest = np.minimum(nearest, ((points - points[chosen[k - 1]]) ** 2).sum(axis=1))
        chosen[k] = np.argmax(nearest)
    return chosen
