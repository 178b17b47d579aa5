"""Limbs that are each other's twins, and what would have to be so if a guess had taken one for the other.

Left and right legs grow out of one surface, look alike, and cross each other's way: no start tells them apart, and no
small step leads from one choice to the other. Twins are found on the source alone, by the ways along its surface: what
mirrors a body keeps them. Each pair gives a hint that keeps either limb from where it lies in a guess.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.sparse.csgraph import dijkstra
from torch import Tensor

from lim_server.geometry.coarse import Guesses
from lim_server.geometry.descriptors import unlikeness
from lim_server.geometry.side import Side

TIPS, TIP, SEEN = 12, 0.08, 60
"""How many ends of limbs are looked for; how far around (diagonals) none is farther out; from how many places."""
MIRRORED = 0.1
"""How much the ways from two twins to the other tips differ at most, in shares of their sum."""
REACH = 0.4
"""A limb goes this far from its tip, of the way to its twin's: a little less than to where both begin."""
LEAST, FEWEST, MOST_PAIRS = 0.1, 0.025, 4
"""Ways from tip to tip (diagonals) and shares of the samples below which there is no limb; how many pairs are tried."""
UNLIKE, AWAY = 3.0, 4.0
"""How unlike twins may look, where a match is about 1 and 8 the most; how much a hint speaks against a match."""

Limb = Int[ndarray, " _"]


@dataclass(frozen=True, eq=False)
class Twins:
    """Samples of the graph on two limbs that mirror each other."""

    one: Limb
    other: Limb

    def exchanged(self, guess: Guesses) -> Float[Tensor, "n m"]:
        """What speaks against either limb lying where the guess has it."""
        p = guess.problem
        facing = 2 * (1 - guess.normals()[0] @ p.target_normals.T)
        taken = (0.5 * (torch.cdist(guess.points()[0], p.target) / 0.02) ** 2 + facing).argmin(0)
        against = torch.zeros_like(p.unlike)
        for limb in (self.one, self.other):
            at = torch.as_tensor(limb).to(taken.device)
            against[at[:, None], torch.nonzero(torch.isin(taken, at))[:, 0]] = AWAY
        return against


def twins(source: Side) -> list[Twins]:
    """Pairs of limbs of the source's largest part, the likest first."""
    cover, graph = source.cover, source.graph
    largest = np.bincount(cover.part, cover.area).argmax()
    own = np.flatnonzero(cover.part[graph.samples] == largest)
    ways = _tips(source, own)
    # what mirrors a body exchanges tips, so each has the same ways to the others as its twin
    between = np.sort(ways.among, axis=1)
    alike = unlikeness(source.look, source.look)
    found = []
    for i, j in combinations(range(len(ways.tips)), 2):
        skew = float((np.abs(between[i] - between[j]) / (between[i] + between[j] + 1e-9)).max())
        apart = ways.among[i, j]
        limbs = [own[ways.all[k, own] < REACH * apart] for k in (i, j)]
        unlike = float(np.median(alike[np.ix_(*limbs)].min(axis=1)))
        large = min(len(limb) for limb in limbs) > FEWEST * len(graph.samples)
        if skew < MIRRORED and apart > LEAST and large and unlike < UNLIKE:
            found.append((skew / MIRRORED + unlike / UNLIKE, Twins(*limbs)))
    return [pair for _, pair in sorted(found, key=lambda f: f[0])[:MOST_PAIRS]]


@dataclass(frozen=True, eq=False)
class _Ways:
    """Tips, and how far it is along the surface from each to all samples and to each other."""

    tips: Limb
    all: Float[ndarray, "t s"]

    @property
    def among(self) -> Float[ndarray, "t t"]:
        return self.all[:, self.tips]


def _tips(source: Side, own: Limb) -> _Ways:
    """Where the mean way to all other places is longer than anywhere around (Hilaga et al. 2001)."""
    ways, at = source.cover.ways, source.graph.samples
    far = dijkstra(ways, indices=at[own[:SEEN]])[:, at].mean(axis=0)
    order = own[np.argsort(-far[own], kind="stable")]
    tips: list[int] = []
    free = np.ones(len(at), bool)
    for sample in order[: len(order) // 2]:
        if free[sample] and len(tips) < TIPS:
            around = np.isfinite(dijkstra(ways, indices=at[sample], limit=TIP)[at])
            if far[around].max() <= far[sample]:
                tips.append(int(sample))
            free[around] = False
    return _Ways(np.array(tips, np.int64), dijkstra(ways, indices=at[tips])[:, at])
