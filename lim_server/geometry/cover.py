"""A surface as a graph of evenly spread points: long edges split, ways along the surface measured by Dijkstra."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.sparse import csr_matrix, eye, vstack

from lim_server.geometry.normals import vertex_normals
from lim_server.geometry.shape import Shape


@dataclass(frozen=True, eq=False)
class Cover:
    """The points of a shape and as many on its edges as it takes to leave no edge long.

    points    float64 [m, 3]   the shape's own first
    normals   float64 [m, 3]
    colors    float64 [m, 3]   None without
    area      float64 [m]
    part      int64   [m]
    blend     [m, n]           each point as a mean of the shape's points
    ways      [m, m]           lengths of edges and of the flights across two neighbouring triangles
    """

    points: Float[ndarray, "m 3"]
    triangles: Int[ndarray, "t 3"]
    normals: Float[ndarray, "m 3"]
    colors: Float[ndarray, "m 3"] | None
    area: Float[ndarray, " m"]
    part: Int[ndarray, " m"]
    blend: csr_matrix
    ways: csr_matrix

    @classmethod
    def of(cls, shape: Shape, longest: float) -> Cover:
        """Split until no edge is longer than `longest` (diagonals), at most eight times."""
        blend, triangles = eye(len(shape.points), format="csr"), shape.triangles
        for _ in range(8):
            points = blend @ shape.points
            blend, triangles, done = _split_once(points, triangles, blend, longest)
            if done:
                break
        points = blend @ shape.points
        cross = np.cross(
            points[triangles[:, 1]] - points[triangles[:, 0]], points[triangles[:, 2]] - points[triangles[:, 0]]
        )
        area = np.bincount(
            triangles.ravel(), np.repeat(np.linalg.norm(cross, axis=1) / 6, 3), minlength=len(points)
        ).astype(np.float64)
        colors = None if shape.colors is None else blend @ shape.colors
        part = shape.part[
            blend.argmax(axis=1).A1 if hasattr(blend.argmax(axis=1), "A1") else np.asarray(blend.argmax(axis=1)).ravel()
        ]
        return cls(
            points, triangles, vertex_normals(points, triangles), colors, area, part, blend, _ways(points, triangles)
        )


def _split_once(
    points: Float[ndarray, "m 3"], triangles: Int[ndarray, "t 3"], blend: csr_matrix, longest: float
) -> tuple[csr_matrix, Int[ndarray, "t2 3"], bool]:
    """Every edge above the length gets a point in its middle; triangles are cut to fit."""
    sides = np.sort(np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]), axis=1)
    edges, of = np.unique(sides, axis=0, return_inverse=True)
    of = of.reshape(-1)
    long = np.linalg.norm(points[edges[:, 0]] - points[edges[:, 1]], axis=1) > longest
    if not long.any():
        return blend, triangles, True
    middle = np.full(len(edges), -1)
    middle[long] = len(points) + np.arange(long.sum())
    made = 0.5 * (blend[edges[long, 0]] + blend[edges[long, 1]])
    m = middle[of].reshape(3, -1).T  # midpoints of sides 01, 12, 20
    out = []
    for bits in range(8):
        chosen = ((m[:, 0] >= 0) * 1 + (m[:, 1] >= 0) * 2 + (m[:, 2] >= 0) * 4) == bits
        if chosen.any():
            out.append(_cut(triangles[chosen], m[chosen], bits))
    return vstack([blend, made], format="csr"), np.concatenate(out), False


def _cut(t: Int[ndarray, "k 3"], m: Int[ndarray, "k 3"], bits: int) -> Int[ndarray, "c 3"]:
    """Triangles whose sides with a set bit have a middle point."""
    if bits == 0:
        return t
    if bits == 7:
        a, b, c = t.T
        ab, bc, ca = m.T
        return np.concatenate([np.stack(x, axis=1) for x in ((a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca))])
    turn = {1: 0, 2: 1, 4: 2, 3: 0, 6: 1, 5: 2}[bits]
    a, b, c = np.roll(t, -turn, axis=1).T
    ab, bc, _ = np.roll(m, -turn, axis=1).T
    if bits in (1, 2, 4):
        return np.concatenate([np.stack(x, axis=1) for x in ((a, ab, c), (ab, b, c))])
    return np.concatenate([np.stack(x, axis=1) for x in ((ab, b, bc), (a, ab, c), (ab, bc, c))])


def _ways(points: Float[ndarray, "m 3"], triangles: Int[ndarray, "t 3"]) -> csr_matrix:
    count = len(points)
    sides = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    tips = np.concatenate([triangles[:, 2], triangles[:, 0], triangles[:, 1]])
    low, high = sides.min(axis=1), sides.max(axis=1)
    order = np.lexsort((high, low))
    same = (low[order][1:] == low[order][:-1]) & (high[order][1:] == high[order][:-1])
    across = np.stack([tips[order[:-1][same]], tips[order[1:][same]]], axis=1)
    pairs = np.unique(np.sort(np.concatenate([sides, across]), axis=1), axis=0)
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    length = np.linalg.norm(points[pairs[:, 0]] - points[pairs[:, 1]], axis=1) + 1e-9
    half = csr_matrix((length, (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    return (half + half.T).tocsr()
