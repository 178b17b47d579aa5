"""Joins what the file split: points doubled along texture seams become one, touching parts stay apart."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int, Shaped
from numpy import ndarray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components


def weld(points: Shaped[ndarray, "v 3"], triangles: Int[ndarray, "t 3"]) -> Int[ndarray, " v"]:
    """Index of the welded point of each point, counted from 0 without gaps.

    Two points are one where a border edge of one face lies exactly on a border edge of another: a seam that
    was cut open for texture or normals. Points that merely coincide (two closed parts that touch) stay two.
    """
    count = len(points)
    _, place = np.unique(points, axis=0, return_inverse=True)
    place = place.reshape(-1)
    corner = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    border = corner[_occurs_once(np.sort(corner, axis=1), count)]
    if len(border) == 0:
        return np.arange(count)
    turned = place[border[:, 0]] > place[border[:, 1]]
    border = np.where(turned[:, None], border[:, ::-1], border)
    key = place[border[:, 0]] * count + place[border[:, 1]]
    order = np.argsort(key, kind="stable")
    same = key[order][1:] == key[order][:-1]
    one, other = border[order[:-1][same]], border[order[1:][same]]
    joined = coo_matrix((np.ones(one.size), (one.ravel(), other.ravel())), shape=(count, count))
    return connected_components(joined, directed=False)[1].astype(np.int64)


def clean(triangles: Int[ndarray, "t 3"]) -> Int[ndarray, "kept 3"]:
    """The triangles with three different corners, each set of corners once, in their first order."""
    a, b, c = triangles.T
    proper = triangles[(a != b) & (b != c) & (c != a)]
    _, first = np.unique(np.sort(proper, axis=1), axis=0, return_index=True)
    return proper[np.sort(first)]


def _occurs_once(edges: Int[ndarray, "e 2"], count: int) -> Shaped[ndarray, " e"]:
    key = edges[:, 0].astype(np.int64) * count + edges[:, 1]
    _, inverse, times = np.unique(key, return_inverse=True, return_counts=True)
    return times[inverse.reshape(-1)] == 1
