"""A second look: how far each place is, along the surface, from places that a first guess is sure of.

A front leg and a hind leg look alike; the way from the head does not. Such distances hardly change while a body
bends, so they tell apart what form and colour leave open.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from scipy.sparse.csgraph import dijkstra
from torch import Tensor

from lim_server.geometry.coarse import Guesses
from lim_server.geometry.farthest import farthest_points
from lim_server.geometry.side import Side

COUNT = 12
WIDTH, AGREE = 0.03, 0.04
SPARE, STRETCH, MOST = 0.02, 0.1, 4.0
WHOLE = 0.8
"""Share of the surface that the largest part must have on both sides: ways do not lead from part to part."""


def told_by_anchors(guess: Guesses, source: Side, target: Side) -> Float[Tensor, "n m"] | None:
    """How much the ways from the anchors speak against each match, 0 to MOST; None where nothing can be said."""
    if min(_largest(side) for side in (source, target)) < WHOLE:
        return None
    mine, theirs = _anchors(guess)
    if len(mine) < COUNT // 2:
        return None
    ways = [_ways(side, at) for side, at in ((source, mine), (target, theirs))]
    x, y = (torch.as_tensor(w).to(guess.problem.rest) for w in ways)
    told = torch.zeros_like(guess.problem.unlike)
    for one, other in zip(x, y, strict=True):
        slack = SPARE + STRETCH * torch.minimum(one[:, None], other)
        told += (0.5 * ((one[:, None] - other) / slack) ** 2).nan_to_num(MOST, MOST).clamp(max=MOST)
    return told / len(x)


def _largest(side: Side) -> float:
    area = np.bincount(side.cover.part, side.cover.area)
    return float(area.max() / area.sum())


def _anchors(guess: Guesses) -> tuple[Int[ndarray, " a"], Int[ndarray, " a"]]:
    """Samples of the source and of the target that choose each other, the surest half, spread out."""
    p = guess.problem
    points = guess.points()[0]
    facing = 2 * (1 - guess.normals()[0] @ p.target_normals.T)
    cost = 0.5 * (torch.cdist(points, p.target) / WIDTH) ** 2 + facing + p.unlike
    least, to = cost.min(dim=1)
    back = cost.argmin(dim=0)[to]
    mutual: Bool[Tensor, " n"] = torch.linalg.vector_norm(p.rest[back] - p.rest, dim=1) < AGREE
    sure = mutual & (least <= least.median())
    chosen = torch.nonzero(sure)[:, 0].cpu().numpy()
    spread = chosen[farthest_points(p.rest.cpu().double().numpy()[chosen], COUNT)] if len(chosen) else chosen
    return spread, to.cpu().numpy()[spread]


def _ways(side: Side, at: Int[ndarray, " a"]) -> Float[ndarray, "a s"]:
    """Length of the way along the surface from each anchor to each sample."""
    from_anchors = dijkstra(side.cover.ways, indices=side.graph.samples[at])
    ways: Float[ndarray, "a s"] = from_anchors[:, side.graph.samples]
    return ways
