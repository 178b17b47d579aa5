"""A deformation graph: a few hundred nodes on the surface that carry it (Sumner et al. 2007, embedded deformation)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra
from scipy.spatial import cKDTree

from lim_server.geometry.contacts import Contacts
from lim_server.geometry.cover import Cover
from lim_server.geometry.farthest import farthest_points

LOOSE = 0.02
"""A gap as wide as this (diagonals) holds two parts together e times less firmly than touching does."""


@dataclass(frozen=True, eq=False)
class Graph:
    """Nodes, who carries what, and what holds them together.

    samples   int64   [s]     cover points used for matching; the first of them are the nodes
    nodes     int64   [k]     cover points
    weights   [m, k] sparse   share of each node in each cover point, rows sum to one
    edges     int64   [e, 2]  neighbouring nodes on one part
    links     int64   [l, 2]  nodes of two parts that touch or nearly touch
    linked    int64   [l, 2]  those parts
    joints    float64 [l, 3]  where they do
    grip      float64 [l]     1 where they touch, less the wider the gap
    """

    samples: Int[ndarray, " s"]
    nodes: Int[ndarray, " k"]
    weights: csr_matrix
    edges: Int[ndarray, "e 2"]
    links: Int[ndarray, "l 2"]
    linked: Int[ndarray, "l 2"]
    joints: Float[ndarray, "l 3"]
    grip: Float[ndarray, " l"]

    @classmethod
    def of(cls, cover: Cover, nodes: int = 300, samples: int = 1000) -> Graph:
        """Nodes by farthest points in space and direction; shares by distance along the surface."""
        six = np.concatenate([cover.points, 0.03 * cover.normals], axis=1)
        order = farthest_points(six, samples)
        chosen = order[:nodes]
        missing = _unseen_parts(cover, chosen)
        chosen = np.concatenate([chosen, missing])
        samples_ = np.concatenate([chosen, np.setdiff1d(order, chosen)])
        weights = _shares(cover, chosen)
        touch = (weights.T @ weights).tocoo()
        pair = np.stack([touch.row, touch.col], axis=1)[touch.row < touch.col]
        pair = pair[cover.part[chosen[pair[:, 0]]] == cover.part[chosen[pair[:, 1]]]]
        return cls(samples_, chosen, weights, pair.astype(np.int64), *_links(cover, weights))


def _unseen_parts(cover: Cover, chosen: Int[ndarray, " k"]) -> Int[ndarray, " p"]:
    """One point of each part without a node, the largest parts first, at most 100."""
    size = np.bincount(cover.part, cover.area)
    size[np.unique(cover.part[chosen])] = 0
    wanted = np.argsort(-size, kind="stable")[:100]
    wanted = wanted[size[wanted] > 1e-9]
    return np.array([np.flatnonzero(cover.part == p)[0] for p in wanted], np.int64)


def _shares(cover: Cover, chosen: Int[ndarray, " k"], closest: int = 6) -> csr_matrix:
    reach = 0.05
    count = len(cover.points)
    while True:
        d = dijkstra(cover.ways, indices=chosen, limit=reach).astype(np.float32)
        seen = np.isfinite(d).sum(axis=0)
        has = np.isin(cover.part, cover.part[chosen])
        if ((seen[has] >= 1).all() and np.median(seen[has]) >= min(closest, 3)) or reach > 4:
            break
        reach *= 1.5
    k = min(closest + 1, len(chosen))
    near = np.argpartition(d, k - 1, axis=0)[:k] if k < len(chosen) else np.argsort(d, axis=0)
    dist = np.take_along_axis(d, near, axis=0)
    o = np.argsort(dist, axis=0)
    near, dist = np.take_along_axis(near, o, axis=0), np.take_along_axis(dist, o, axis=0)
    far = np.where(np.isfinite(dist), dist, -1).max(axis=0)
    far = np.where((dist[-1] < np.inf) & (k > closest), dist[-1], far * 1.2 + 1e-6)
    w = np.where(np.isfinite(dist), np.maximum(1 - dist / np.maximum(far, 1e-9), 0), 0) ** 2
    lost = ~(w.sum(axis=0) > 0)
    if lost.any():
        near[0, lost] = cKDTree(cover.points[chosen]).query(cover.points[lost])[1]
        w[:, lost] = 0
        w[0, lost] = 1
    w /= w.sum(axis=0)
    row = np.broadcast_to(np.arange(count), near.shape)
    keep = w > 1e-6
    return csr_matrix((w[keep], (row[keep], near[keep])), shape=(count, len(chosen)))


def _links(
    cover: Cover, weights: csr_matrix
) -> tuple[Int[ndarray, "l 2"], Int[ndarray, "l 2"], Float[ndarray, "l 3"], Float[ndarray, " l"]]:
    """Where parts touch or nearly do, and what else it takes to hold all together, each by the strongest nodes."""
    contacts = Contacts(cover.points, cover.part, cover.area).linking()
    if not contacts:
        none = np.zeros((0, 2), np.int64)
        return none, none, np.zeros((0, 3)), np.zeros(0)
    strongest = np.asarray(weights.argmax(axis=1)).ravel()
    # what touches may slide, or turn about the middle of where it touches: the link that holds best decides
    pairs = np.concatenate([[contact.pairs[0], *contact.pairs] for contact in contacts])
    joints = np.concatenate([[c.middle, *cover.points[c.pairs].mean(axis=1)] for c in contacts])
    each = np.array([1 + len(contact.pairs) for contact in contacts])
    grip = np.maximum(np.exp(-np.array([contact.gap for contact in contacts]) / LOOSE), 0.1) / each
    links = strongest[pairs]
    across = links[:, 0] != links[:, 1]
    parts = np.repeat([contact.parts for contact in contacts], each, axis=0)
    return links[across], parts[across], joints[across], np.repeat(grip, each)[across]
