"""Cuts a surface into charts that can be flattened: connected groups of whole polygons that face one way.

libigl has no such cut, and xatlas's own is not used: it cuts through polygons, makes a chart of every other
triangle on marching-cubes slivers, and takes minutes (or ends the process) on 100,000 points.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.csgraph import connected_components, dijkstra

from lim_server.geometry.polygons import face_of_corner, next_corner, sum_by_face, vector_areas

# Cosine between a face and its chart's mean normal: 66 degrees keeps a projection two and a half times stretched.
FACING = 0.4
# A fold of one radian costs as much as a walk over this part of the surface's extent (root of its area).
FOLD_WALK = 1.6
SMOOTHINGS = 3
STRAIGHTENINGS = 4


@dataclass(frozen=True)
class FaceGraph:
    """Faces, and which of them meet at an edge that both run through in opposite directions.

    centres  float64 [faces, 3]  scene units divided by the root of the total area
    areas    float64 [faces, 3]  normal times area, the same units squared
    normals  float64 [faces, 3]  unit length, smoothed over neighbours; zero for a face without area
    first, second  int64 [pairs]  the two faces at an edge
    """

    centres: Float[np.ndarray, "faces 3"]
    areas: Float[np.ndarray, "faces 3"]
    normals: Float[np.ndarray, "faces 3"]
    first: Int[np.ndarray, "pairs"]
    second: Int[np.ndarray, "pairs"]

    def __len__(self) -> int:
        return len(self.centres)

    def within(self, label: Int[np.ndarray, "faces"], weight: Float[np.ndarray, "pairs"]) -> csr_matrix:
        """The graph's edges between faces of one label, weighted."""
        same = label[self.first] == label[self.second]
        ends = (self.first[same], self.second[same])
        return coo_matrix((weight[same], ends), (len(self), len(self))).tocsr()

    def lengths(self) -> Float[np.ndarray, "pairs"]:
        """What a step over each edge costs: the fold there and, less, the way between the centres."""
        fold = np.linalg.norm(self.normals[self.first] - self.normals[self.second], axis=1)
        way = np.linalg.norm(self.centres[self.first] - self.centres[self.second], axis=1)
        return np.asarray(fold + way / FOLD_WALK + 1e-9)


def face_graph(
    points: Float[np.ndarray, "points 3"],
    face_counts: Int[np.ndarray, "faces"],
    face_indices: Int[np.ndarray, "corners"],
) -> FaceGraph:
    """Faces meet where the points' places agree, whether or not they share the points themselves."""
    corner_points = points[face_indices].astype(np.float64)
    areas = vector_areas(corner_points, face_counts)
    scale = np.sqrt(np.linalg.norm(areas, axis=1).sum()) or 1.0
    centres = sum_by_face(corner_points, face_counts) / face_counts[:, None]
    first, second = _meetings(points, face_counts, face_indices)
    return FaceGraph(centres / scale, areas / scale**2, _smoothed(areas, first, second), first, second)


def cut(graph: FaceGraph, step: Callable[[], None]) -> Int[np.ndarray, "faces"]:
    """A chart for each face. Every chart is connected and lies within FACING of its mean normal."""
    label = _connected(graph, np.zeros(len(graph), np.int64))
    while True:
        step()
        bad = _lowest(label, _facing(graph, label)) < FACING
        bad &= np.bincount(label) > 1
        if not bad.any():
            return _merged(graph, _straightened(graph, _merged(graph, label)))
        label = split(graph, label, bad)


def split(
    graph: FaceGraph, label: Int[np.ndarray, "faces"], marked: Bool[np.ndarray, "charts"]
) -> Int[np.ndarray, "faces"]:
    """Halves every marked chart between the two directions it faces; a chart of one face stays."""
    faces = np.flatnonzero(marked[label])
    if len(faces) == 0:
        return label
    chart, facing = label[faces], _facing(graph, label)[faces]
    one = _least(faces, chart, facing)
    partner = np.zeros(len(marked), np.int64)
    partner[label[one]] = one
    aligned = np.einsum("ij,ij->i", graph.normals[faces], graph.normals[partner[chart]])
    apart = np.linalg.norm(graph.centres[faces] - graph.centres[partner[chart]], axis=1)
    other = _least(faces, chart, aligned - 1e-3 * apart)
    within = graph.within(np.where(marked[label], label, -1 - np.arange(len(graph))), graph.lengths())
    for _ in range(2):
        one, other = _recentred(graph, label, faces, within, one, other)
    half = _halves(graph, within, one, other)
    return _connected(graph, label * 2 + half)


def singled(
    label: Int[np.ndarray, "faces"], alone: Bool[np.ndarray, "faces"], graph: FaceGraph
) -> Int[np.ndarray, "faces"]:
    """The same charts with some faces taken out, each a chart of its own."""
    return _connected(graph, np.where(alone, label.max() + 1 + np.arange(len(label)), label))


def chart_normals(graph: FaceGraph, label: Int[np.ndarray, "faces"]) -> Float[np.ndarray, "charts 3"]:
    """Unit mean normal of each chart, by area; zero where it cancels out."""
    count = int(label.max()) + 1 if len(label) else 0
    total = np.stack([np.bincount(label, graph.areas[:, k], count) for k in range(3)], axis=1)
    return _unit(total)


def _meetings(
    points: Float[np.ndarray, "points 3"],
    face_counts: Int[np.ndarray, "faces"],
    face_indices: Int[np.ndarray, "corners"],
) -> tuple[Int[np.ndarray, "pairs"], Int[np.ndarray, "pairs"]]:
    place = np.unique(points, axis=0, return_inverse=True)[1].reshape(-1)[face_indices]
    face, after = face_of_corner(face_counts), next_corner(face_counts)
    low, high = np.minimum(place, place[after]), np.maximum(place, place[after])
    # A copy of a face, turned or not, lies on a sheet of its own: doubled sheets stay two whole sheets.
    sheet = _copies(place, face_counts)[face]
    order = np.lexsort((high, low, sheet))
    new = np.ones(len(order) + 1, bool)
    new[1:-1] = np.any([np.diff(key[order]) != 0 for key in (sheet, low, high)], axis=0)
    begin = np.flatnonzero(new)
    twice = begin[:-1][np.diff(begin) == 2]
    i, j = order[twice], order[twice + 1]
    met = (place[i] == place[after[j]]) & (place[i] != place[j]) & (face[i] != face[j])
    return face[i[met]], face[j[met]]


def _copies(place: Int[np.ndarray, "corners"], face_counts: Int[np.ndarray, "faces"]) -> Int[np.ndarray, "faces"]:
    """How many earlier faces have the same set of places as each face."""
    rank = np.zeros(len(face_counts), np.int64)
    start = np.cumsum(face_counts) - face_counts
    for count in np.unique(face_counts):
        faces = np.flatnonzero(face_counts == count)
        corners = np.sort(place[start[faces, None] + np.arange(count)], axis=1)
        order = np.lexsort(corners.T[::-1])
        new = np.r_[True, (corners[order][1:] != corners[order][:-1]).any(axis=1)]
        begin = np.maximum.accumulate(np.where(new, np.arange(len(order)), 0))
        rank[faces[order]] = np.arange(len(order)) - begin
    return rank


def _smoothed(
    areas: Float[np.ndarray, "faces 3"], first: Int[np.ndarray, "pairs"], second: Int[np.ndarray, "pairs"]
) -> Float[np.ndarray, "faces 3"]:
    ends = (np.r_[first, second], np.r_[second, first])
    neighbours = coo_matrix((np.ones(2 * len(first)), ends), (len(areas), len(areas))).tocsr()
    total = areas
    for _ in range(SMOOTHINGS):
        total = total + neighbours @ total
    return _unit(total)


def _unit(vectors: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.where(length > 0, vectors / np.maximum(length, np.finfo(np.float64).tiny), 0.0)


def _facing(graph: FaceGraph, label: Int[np.ndarray, "faces"]) -> Float[np.ndarray, "faces"]:
    return np.asarray(np.einsum("ij,ij->i", graph.normals, chart_normals(graph, label)[label]))


def _lowest(label: Int[np.ndarray, "faces"], value: Float[np.ndarray, "faces"]) -> Float[np.ndarray, "charts"]:
    lowest = np.full(int(label.max()) + 1 if len(label) else 0, np.inf)
    np.minimum.at(lowest, label, value)
    return lowest


def _least(
    faces: Int[np.ndarray, "n"], group: Int[np.ndarray, "n"], value: Float[np.ndarray, "n"]
) -> Int[np.ndarray, "groups"]:
    """The face of each group with the least value, the first of them where several have it."""
    order = np.lexsort((faces, value, group))
    begin = np.r_[True, group[order][1:] != group[order][:-1]]
    return faces[order[begin]]


def _connected(graph: FaceGraph, label: Int[np.ndarray, "faces"]) -> Int[np.ndarray, "faces"]:
    within = graph.within(label, np.ones(len(graph.first)))
    return np.asarray(connected_components(within, directed=False)[1], np.int64)


def _halves(
    graph: FaceGraph, within: csr_matrix, one: Int[np.ndarray, "marked"], other: Int[np.ndarray, "marked"]
) -> Int[np.ndarray, "faces"]:
    """1 for the faces nearer to their chart's other seed, else 0."""
    near = dijkstra(within, False, np.r_[one, other], return_predecessors=True, min_only=True)[2]
    far = np.zeros(len(graph), np.int64)
    far[other] = 1
    far[one] = 0
    return np.where(near >= 0, far[np.maximum(near, 0)], 0)


def _recentred(
    graph: FaceGraph,
    label: Int[np.ndarray, "faces"],
    faces: Int[np.ndarray, "n"],
    within: csr_matrix,
    one: Int[np.ndarray, "marked"],
    other: Int[np.ndarray, "marked"],
) -> tuple[Int[np.ndarray, "marked"], Int[np.ndarray, "marked"]]:
    """Each half's seed moves to the face most like the half's mean, as in Lloyd's clustering."""
    half = label[faces] * 2 + _halves(graph, within, one, other)[faces]
    kinds, group = np.unique(half, return_inverse=True)
    feature = np.concatenate([graph.normals, graph.centres / FOLD_WALK], axis=1)[faces]
    weight = np.linalg.norm(graph.areas[faces], axis=1) + 1e-12
    total = np.stack([np.bincount(group, f * weight) for f in feature.T], axis=1)
    mean = total / np.bincount(group, weight)[:, None]
    seeds = _least(faces, group, np.square(feature - mean[group]).sum(axis=1))
    # A chart whose seeds fell together (one face, or equal ones) has a single half, and keeps its seeds.
    whole = np.isin(kinds ^ 1, kinds)
    charts = kinds[whole & (kinds % 2 == 0)] // 2
    at = np.searchsorted(label[one], charts)
    one, other = one.copy(), other.copy()
    one[at], other[at] = seeds[whole & (kinds % 2 == 0)], seeds[whole & (kinds % 2 == 1)]
    return one, other


def _merged(graph: FaceGraph, label: Int[np.ndarray, "faces"]) -> Int[np.ndarray, "faces"]:
    """Joins neighbours over their longest shared borders as long as the union still faces one way."""
    edge = np.sort(np.stack([label[graph.first], label[graph.second]], axis=1), axis=1)
    pairs, border = np.unique(edge[edge[:, 0] != edge[:, 1]], axis=0, return_counts=True)
    members = dict(enumerate(np.split(np.argsort(label, kind="stable"), np.cumsum(np.bincount(label))[:-1])))
    parent = np.arange(len(members))
    for a, b in pairs[np.argsort(-border, kind="stable")].tolist():
        keep, gone = sorted((_root(parent, a), _root(parent, b)))
        if keep == gone or not _one_way(graph, union := np.concatenate([members[keep], members[gone]])):
            continue
        members[keep] = union
        parent[gone] = keep
    root = np.array([_root(parent, k) for k in range(len(parent))])
    return np.unique(root[label], return_inverse=True)[1].reshape(-1)


def _straightened(graph: FaceGraph, label: Int[np.ndarray, "faces"]) -> Int[np.ndarray, "faces"]:
    """Hands faces that jut out to the neighbour chart with most of their sides, where they face its way."""
    face, beside = np.r_[graph.first, graph.second], np.r_[graph.second, graph.first]
    for _ in range(STRAIGHTENINGS):
        charts = chart_normals(graph, label)
        key, sides = np.unique(face * len(charts) + label[beside], return_counts=True)
        of_face, towards = np.divmod(key, len(charts))
        own = np.zeros(len(label), np.int64)
        at_home = towards == label[of_face]
        own[of_face[at_home]] = sides[at_home]
        gains = sides > np.maximum(own[of_face], 1)
        gains &= np.einsum("ij,ij->i", graph.normals[of_face], charts[towards]) >= FACING
        label = label.copy()
        label[of_face[gains]] = towards[gains]
        label = _connected(graph, label)
    return label


def _root(parent: Int[np.ndarray, "charts"], chart: int) -> int:
    while parent[chart] != chart:
        chart = parent[chart]
    return int(chart)


def _one_way(graph: FaceGraph, faces: Int[np.ndarray, "n"]) -> bool:
    mean = graph.areas[faces].sum(axis=0)
    return bool((graph.normals[faces] @ mean).min() >= FACING * np.linalg.norm(mean))
