"""Where the parts of a thing touch or nearly do, and the fewest contacts that hold all of it together."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import minimum_spanning_tree
from scipy.spatial import cKDTree

from lim_server.geometry.farthest import farthest_points
from lim_server.geometry.shape import Shape

MOST_PARTS = 300
REACH, PATCH, PLACES = 0.05, 0.015, 4


@dataclass(frozen=True, eq=False)
class Contact:
    """Two parts, a few pairs of their points (the closest first), the middle of where they touch, and the gap."""

    parts: tuple[int, int]
    pairs: Int[ndarray, "k 2"]
    middle: Float[ndarray, 3]
    gap: float


class Contacts:
    """Of the largest parts, at most MOST_PARTS of them."""

    def __init__(self, points: Float[ndarray, "n 3"], part: Int[ndarray, " n"], area: Float[ndarray, " n"]):
        size = np.bincount(part, area)
        self.names = np.argsort(-size, kind="stable")[:MOST_PARTS]
        self.points = points
        self.members = [np.flatnonzero(part == p) for p in self.names]
        self.trees = [cKDTree(points[m]) for m in self.members]
        low = np.stack([points[m].min(axis=0) for m in self.members])
        high = np.stack([points[m].max(axis=0) for m in self.members])
        apart = np.maximum(low[:, None] - high, low - high[:, None]).max(axis=2)
        self.at_least = np.maximum(apart, 0)
        touching = ((a, b) for a, b in combinations(range(len(self.names)), 2) if self.at_least[a, b] < REACH)
        found = {(a, b): self._contact(a, b) for a, b in touching}
        self.near = {pair: c for pair, c in found.items() if c.gap < REACH}

    def linking(self) -> list[Contact]:
        """All close contacts and the far ones of the tree."""
        return [*self.near.values(), *(c for c in self.tree() if c.gap >= REACH)]

    def tree(self) -> list[Contact]:
        """A spanning tree over the parts: close ones first, and whatever far ones it takes."""
        gap = self.at_least + REACH
        for (a, b), contact in self.near.items():
            gap[a, b] = gap[b, a] = contact.gap
        chosen = minimum_spanning_tree(csr_matrix(np.triu(gap + 1e-6, 1))).tocoo()
        pairs = [(int(a), int(b)) for a, b in zip(chosen.row, chosen.col, strict=True)]
        return [self.near.get(pair) or self._contact(*pair) for pair in pairs]

    def _contact(self, a: int, b: int) -> Contact:
        """The places of the smaller part that lie nearly as close to the other as the closest, spread out."""
        swap = len(self.members[a]) > len(self.members[b])
        small, large = (b, a) if swap else (a, b)
        gap, to = self.trees[large].query(self.points[self.members[small]])
        order = np.argsort(gap, kind="stable")
        near = order[gap[order] <= gap[order[0]] + PATCH]
        spread = farthest_points(self.points[self.members[small][near]], PLACES)
        chosen = near[np.unique(np.concatenate([[0], spread]))]
        pairs = np.stack([self.members[small][chosen], self.members[large][to[chosen]]], axis=1)
        patch = np.concatenate([self.members[small][near], self.members[large][to[near]]])
        names = (int(self.names[a]), int(self.names[b]))
        middle = self.points[patch].mean(axis=0)
        return Contact(names, pairs[:, ::-1] if swap else pairs, middle, float(gap.min()))


def ties(shape: Shape) -> Int[ndarray, "x 2"]:
    """Edges between the parts of a shape that hold it together where nothing else says where a part belongs."""
    tree = Contacts(shape.points, shape.part, shape.area).tree()
    return np.concatenate([contact.pairs for contact in tree]) if tree else np.zeros((0, 2), np.int64)
