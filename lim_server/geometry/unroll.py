"""Rotations of neighbouring points told as turns the same way round."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import breadth_first_order, connected_components, minimum_spanning_tree
from scipy.spatial.transform import Rotation


def unrolled(vectors: Float[ndarray, "n 3"], edges: Int[ndarray, "e 2"]) -> Float[ndarray, "n 3"]:
    """Rotation vectors (radians) of which each is the one nearest to its neighbour's.

    A rotation by 170 degrees is as well one by 190 the other way round. Taken point by point, half a head would
    turn left and the other half right; so the least turned point of each part decides, and the rest follow, along
    the spanning tree of the likest neighbours: a point that is turned by mistake leads nobody astray.
    """
    n = len(vectors)
    turns = Rotation.from_rotvec(vectors).as_quat()
    unlike = 1.001 - np.abs((turns[edges[:, 0]] * turns[edges[:, 1]]).sum(axis=1))
    tree = minimum_spanning_tree(csr_matrix((unlike, edges.T), shape=(n, n))).tocoo()
    edges = np.stack([tree.row, tree.col], axis=1)
    part = connected_components(csr_matrix((np.ones(len(edges)), edges.T), shape=(n, n)), directed=False)[1]
    by_angle = np.lexsort((np.linalg.norm(vectors, axis=1), part))
    firsts = by_angle[np.unique(part[by_angle], return_index=True)[1]]
    start = np.stack([np.full(len(firsts), n), firsts], axis=1)
    ways = np.concatenate([edges, start])
    graph = csr_matrix((np.ones(len(ways)), ways.T), shape=(n + 1, n + 1))
    order, before = breadth_first_order(graph, n, directed=False)
    out = np.concatenate([vectors, np.zeros((1, 3))])
    for level in _levels(order, before):
        own, near = out[level], out[before[level]]
        angle = np.linalg.norm(own, axis=1, keepdims=True)
        other = own - np.where(angle > 1e-6, 2 * np.pi * own / np.maximum(angle, 1e-6), 0)
        nearer = np.linalg.norm(other - near, axis=1) < np.linalg.norm(own - near, axis=1)
        out[level[nearer]] = other[nearer]
    return out[:n]


def _levels(order: Int[ndarray, " n"], before: Int[ndarray, " n"]) -> list[Int[ndarray, " _"]]:
    """The points by their number of steps from the start, without the start itself and the first points."""
    depth = np.zeros(len(before), np.int64)
    for point in order[1:]:
        depth[point] = depth[before[point]] + 1
    by_depth = order[np.argsort(depth[order], kind="stable")]
    return [np.asarray(level) for level in np.split(by_depth, np.flatnonzero(np.diff(depth[by_depth])) + 1)][2:]
