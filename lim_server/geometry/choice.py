"""Which candidate of every part, so that the whole holds together.

Parts that touch at rest still meet, and no two take the same place: a labelling on the graph of contacts, by loopy
belief propagation (min-sum) and single changes.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray

from lim_server.geometry.coarse import unpivoted
from lim_server.geometry.contacts import Contacts
from lim_server.geometry.parts import SAMPLES, Moves, Parts

STRAY = 0.5
"""What it costs a part to go a fifth of the diagonal astray from the whole, against how well it fits."""
CHOICES, LARGE, MOST_LARGE, DEARER = 3, 0.05, 6, 4.0
"""How many choices are given, and of which parts (share of the surface, number, dearer by) others are tried."""


def choose(
    one: Parts, candidates: list[Moves], turn: Float[ndarray, "3 3"], shift: Float[ndarray, 3]
) -> list[Int[ndarray, " p"]]:
    """One candidate per part so that the whole holds together, not far from one motion of everything if it may be.

    The best choice first, then those of the next best that differ from it: a large part is held to another of its
    candidates and the rest chosen anew.
    """
    alone, pairs, costs = energy(one, candidates, turn, shift)
    if not len(pairs):
        return [alone.argmin(axis=1)]
    best = _label(alone, pairs, costs)
    found = [(_total(best, alone, pairs, costs), best)]
    for p in np.flatnonzero(one.area > LARGE * one.area.sum())[:MOST_LARGE]:
        for c in np.flatnonzero(alone[p] < alone[p].min() + DEARER):
            if c != best[p]:
                held = alone.copy()
                held[p, np.arange(held.shape[1]) != c] = 1e3
                label = _label(held, pairs, costs)
                found.append((_total(label, alone, pairs, costs), label))
    kept: list[Int[ndarray, " p"]] = []
    for _, label in sorted(found, key=lambda f: f[0]):
        if len(kept) < CHOICES and all(_apart(one, candidates, label, k) > 0.02 for k in kept):
            kept.append(label)
    return kept


def _total(
    label: Int[ndarray, " p"], alone: Float[ndarray, "p c"], pairs: Int[ndarray, "e 2"], costs: Float[ndarray, "e c c"]
) -> float:
    own = alone[np.arange(len(label)), label].sum()
    return float(own + costs[np.arange(len(pairs)), label[pairs[:, 0]], label[pairs[:, 1]]].sum())


def _apart(one: Parts, candidates: list[Moves], label: Int[ndarray, " p"], other: Int[ndarray, " p"]) -> float:
    """Mean distance over the surface between what two choices do, in diagonals."""
    off = np.zeros(len(label))
    for p in np.flatnonzero(label != other):
        x, c = one.cover.points[one.samples[p, :SAMPLES]], candidates[p]
        turned = x @ (c.turn[label[p]] - c.turn[other[p]]).T + c.shift[label[p]] - c.shift[other[p]]
        off[p] = np.linalg.norm(turned, axis=1).mean()
    return float(np.average(off, weights=one.area))


def energy(
    one: Parts, candidates: list[Moves], turn: Float[ndarray, "3 3"], shift: Float[ndarray, 3]
) -> tuple[Float[ndarray, "p c"], Int[ndarray, "e 2"], Float[ndarray, "e c c"]]:
    """What each candidate costs by itself, and every two of them that touch or want the same place together."""
    count, most = len(candidates), max(len(c.cost) for c in candidates)
    weight = 0.3 + 3 * np.sqrt(one.area / one.area.sum())
    alone = np.full((count, most), 1e3)
    goal = np.full((count, most), -1)
    for p, c in enumerate(candidates):
        stray = c.turn @ one.middle[p] + c.shift - (turn @ one.middle[p] + shift)
        far = np.minimum(np.linalg.norm(stray, axis=1) / 0.2, 2.0)
        spun = (3 - np.einsum("cij,ij->c", c.turn, turn)) / 4
        alone[p, : len(c.cost)] = (c.cost - c.cost.min() + STRAY * (far + spun)) * weight[p]
        goal[p, : len(c.cost)] = c.goal
    joints = _joints(one)
    pairs, costs = [], []
    for a in range(count):
        for b in range(a + 1, count):
            same = 4.0 * ((goal[a][:, None] == goal[b]) & (goal[a][:, None] >= 0))
            if (a, b) in joints:
                same = same + _strain(candidates[a], candidates[b], *joints[a, b], most)
            if same.any():
                pairs.append((a, b))
                costs.append(same)
    return alone, np.array(pairs, np.int64).reshape(-1, 2), np.array(costs).reshape(-1, most, most)


def _strain(a: Moves, b: Moves, middle: Float[ndarray, 3], gap: float, most: int) -> Float[ndarray, "most most"]:
    """How far a joint is torn by each pair of candidates: a square in fiftieths of the diagonal, at most 6.

    What a turn about a place near the joint's middle explains is not torn (coarse.py, `unpivoted`).
    """
    one, other = a.turn @ middle + a.shift, b.turn @ middle + b.shift
    square = unpivoted(*(torch.from_numpy(x) for x in (other - one[:, None], b.turn - a.turn[:, None]))).numpy()
    out = np.zeros((most, most))
    out[: len(one), : len(other)] = np.minimum(0.5 * square / 0.02**2, 6.0) * np.exp(-gap / 0.02)
    return out


def _joints(one: Parts) -> dict[tuple[int, int], tuple[Float[ndarray, 3], float]]:
    """Pairs of parts that touch or nearly do, with the middle of where they do and the gap."""
    cover, number = one.cover, {int(name): i for i, name in enumerate(one.names)}
    out = {}
    for contact in Contacts(cover.points, cover.part, cover.area).near.values():
        if all(p in number for p in contact.parts):
            a, b = sorted(number[p] for p in contact.parts)
            out[a, b] = contact.middle, contact.gap
    return out


def _label(
    alone: Float[ndarray, "p c"], pairs: Int[ndarray, "e 2"], costs: Float[ndarray, "e c c"]
) -> Int[ndarray, " p"]:
    a, b = pairs.T
    to_b, to_a = np.zeros((len(a), alone.shape[1])), np.zeros((len(a), alone.shape[1]))

    def belief() -> Float[ndarray, "p c"]:
        total = alone.copy()
        np.add.at(total, b, to_b)
        np.add.at(total, a, to_a)
        return total

    for _ in range(40):
        total = belief()
        from_a = ((total[a] - to_a)[:, :, None] + costs).min(axis=1)
        from_b = ((total[b] - to_b)[:, None, :] + costs).min(axis=2)
        to_b = 0.5 * (to_b + from_a - from_a.min(axis=1, keepdims=True))
        to_a = 0.5 * (to_a + from_b - from_b.min(axis=1, keepdims=True))
    label = belief().argmin(axis=1)
    for _ in range(10):
        before = label.copy()
        for p in range(len(alone)):
            cost = (
                alone[p]
                + costs[a == p, :, label[b[a == p]]].sum(axis=0)
                + costs[b == p, label[a[b == p]], :].sum(axis=0)
            )
            if cost.min() < cost[label[p]] - 1e-9:
                label[p] = cost.argmin()
        if (before == label).all():
            break
    return label
