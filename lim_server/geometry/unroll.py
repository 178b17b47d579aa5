"""Rotations of neighbouring points told as turns the same way round.

A rotation by 170 degrees is as well one by 190 the other way round. Taken point by point, half a head would turn left
and the other half right. So points that are turned nearly alike go the same way, each the one nearest to its
neighbour's; and of the two ways that such a piece can go as a whole, the pieces of a body take those that turn little
and differ little where they meet.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import breadth_first_order, connected_components, minimum_spanning_tree
from scipy.spatial.transform import Rotation

ALIKE = np.cos(np.radians(20) / 2)
"""Neighbours turned by up to 20 degrees against each other are of one piece."""
SHORT = 0.5
"""What turning itself costs, by radian and point, where a radian of difference costs 1 for each point of the smaller
piece: a head on a bolt that is turned anyhow goes the short way round, a hand goes with its arm."""


def unrolled(vectors: Float[ndarray, "n 3"], edges: Int[ndarray, "e 2"]) -> Float[ndarray, "n 3"]:
    """Rotation vectors (radians), each as it is or the other way round.

    Neighbours are compared along the spanning tree of the likest: a point turned by mistake leads nobody astray.
    """
    n = len(vectors)
    turns = Rotation.from_rotvec(vectors).as_quat()
    like = np.abs((turns[edges[:, 0]] * turns[edges[:, 1]]).sum(axis=1))
    tree = minimum_spanning_tree(csr_matrix((1.001 - like, edges.T), shape=(n, n))).tocoo()
    ways, same = np.stack([tree.row, tree.col], axis=1), tree.data < 1.001 - ALIKE
    piece = connected_components(csr_matrix((np.ones(same.sum()), ways[same].T), shape=(n, n)), directed=False)[1]
    first = _within(vectors, ways[same], piece)
    both = np.stack([first, _other(first)])
    chosen = _choice(both, ways[~same], piece)
    return both[chosen[piece], np.arange(n)]


def _other(vectors: Float[ndarray, "n 3"]) -> Float[ndarray, "n 3"]:
    """The same rotations the other way round; what is not turned at all has no other way."""
    angle = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors - np.where(angle > 1e-6, 2 * np.pi * vectors / np.maximum(angle, 1e-6), 0)


def _within(
    vectors: Float[ndarray, "n 3"], ways: Int[ndarray, "w 2"], piece: Int[ndarray, " n"]
) -> Float[ndarray, "n 3"]:
    """The least turned point of each piece as it is, and each of the others as is nearest to its neighbour."""
    n = len(vectors)
    by_angle = np.lexsort((np.linalg.norm(vectors, axis=1), piece))
    firsts = by_angle[np.unique(piece[by_angle], return_index=True)[1]]
    ways = np.concatenate([ways, np.stack([np.full(len(firsts), n), firsts], axis=1)])
    order, before = _outwards(ways, n + 1, n)
    out = np.concatenate([vectors, np.zeros((1, 3))])
    for level in _levels(order, before):
        own, near = out[level], out[before[level]]
        other = _other(own)
        nearer = np.linalg.norm(other - near, axis=1) < np.linalg.norm(own - near, axis=1)
        out[level[nearer]] = other[nearer]
    return out[:n]


def _choice(
    both: Float[ndarray, "2 n 3"], between: Int[ndarray, "w 2"], piece: Int[ndarray, " n"]
) -> Int[ndarray, " pieces"]:
    """Which of its two ways each piece takes: the cheapest of all choices, exact since the pieces form trees."""
    size = np.bincount(piece)
    count = len(size)
    cost = SHORT * np.stack([np.bincount(piece, np.linalg.norm(way, axis=1)) for way in both], axis=1)
    ends = piece[between]
    apart = np.linalg.norm(both[:, None, between[:, 0]] - both[None, :, between[:, 1]], axis=3)
    apart = apart.transpose(2, 0, 1) * size[ends].min(axis=1)[:, None, None]
    link = {(int(a), int(b)): d for (a, b), d in zip(ends, apart, strict=True)}
    link |= {(b, a): d.T for (a, b), d in link.items()}
    roots = np.unique(
        connected_components(csr_matrix((np.ones(len(ends)), ends.T), shape=(count, count)))[1], return_index=True
    )[1]
    ways = np.concatenate([ends, np.stack([np.full(len(roots), count), roots], axis=1)])
    order, before = _outwards(ways, count + 1, count)
    for k in order[:0:-1]:
        if before[k] < count:
            cost[before[k]] += (link[int(before[k]), int(k)] + cost[k]).min(axis=1)
    chosen = np.zeros(count + 1, np.int64)
    for k in order[1:]:
        more = link[int(before[k]), int(k)][chosen[before[k]]] if before[k] < count else 0.0
        chosen[k] = (cost[k] + more).argmin()
    return chosen[:count]


def _outwards(ways: Int[ndarray, "w 2"], count: int, start: int) -> tuple[Int[ndarray, " n"], Int[ndarray, " n"]]:
    graph = csr_matrix((np.ones(len(ways)), ways.T), shape=(count, count))
    order, before = breadth_first_order(graph, start, directed=False)
    return order, before


def _levels(order: Int[ndarray, " n"], before: Int[ndarray, " n"]) -> list[Int[ndarray, " _"]]:
    """The points by their number of steps from the start, without the start itself and the first points."""
    depth = np.zeros(len(before), np.int64)
    for point in order[1:]:
        depth[point] = depth[before[point]] + 1
    by_depth = order[np.argsort(depth[order], kind="stable")]
    return [np.asarray(level) for level in np.split(by_depth, np.flatnonzero(np.diff(depth[by_depth])) + 1)][2:]
