"""Flattens charts, keeping lengths: as-rigid-as-possible from a projection (Liu et al. 2008, section 4).

Plane coordinates are complex numbers here, so that a rotation is one multiplication.
"""

import numpy as np
from cholespy import CholeskySolverD, MatrixType
from jaxtyping import Complex, Float, Int

from lim_server.geometry.polygons import plane_axes

ITERATIONS = 10
# Cotangents of slivers know no bounds, and a negative one lets its triangle turn over.
COTANGENTS = (0.01, 20.0)
# A chart may float anywhere: this part of the mean weight holds it where it was.
ANCHOR = 1e-6


def flatten(
    points: Float[np.ndarray, "vertices 3"],
    triangles: Int[np.ndarray, "triangles 3"],
    chart: Int[np.ndarray, "vertices"],
    normals: Float[np.ndarray, "charts 3"],
) -> Float[np.ndarray, "vertices 2"]:
    """Plane coordinates in the units of `points`; charts lie over each other.

    No vertex belongs to two charts. Each chart starts as its projection along its normal, and keeps that where
    the relaxed one folds over more.
    """
    across, along = (np.einsum("ij,ij->i", points, axis[chart]) for axis in plane_axes(normals))
    start = across + 1j * along
    relaxed = _relax(points, triangles, start)
    better = _folds(relaxed, triangles, chart, len(normals)) <= _folds(start, triangles, chart, len(normals))
    place = np.where(better[chart], relaxed, start)
    return np.stack([place.real, place.imag], axis=1)


def signed_areas(triangles: Float[np.ndarray, "triangles 3 2"]) -> Float[np.ndarray, "triangles"]:
    """Positive where a triangle runs counter-clockwise."""
    a, b = triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]
    return np.asarray(0.5 * (a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]))


def _folds(
    place: Complex[np.ndarray, "vertices"],
    triangles: Int[np.ndarray, "triangles 3"],
    chart: Int[np.ndarray, "vertices"],
    charts: int,
) -> Int[np.ndarray, "charts"]:
    corners = place[triangles]
    folded = signed_areas(np.stack([corners.real, corners.imag], axis=2)) < 0
    return np.bincount(chart[triangles[folded, 0]], minlength=charts)


def _relax(
    points: Float[np.ndarray, "vertices 3"],
    triangles: Int[np.ndarray, "triangles 3"],
    start: Complex[np.ndarray, "vertices"],
) -> Complex[np.ndarray, "vertices"]:
    edges = _edges_at_rest(points[triangles])
    weights = _cotangents(edges)
    begin, end = triangles[:, [1, 2, 0]], triangles[:, [2, 0, 1]]
    solve = _Solver(begin.ravel(), end.ravel(), weights.ravel(), len(points))
    place = start
    for _ in range(ITERATIONS):
        turn = (weights * (place[end] - place[begin]) * edges.conj()).sum(axis=1)
        turn /= np.maximum(np.abs(turn), np.finfo(np.float64).tiny)
        pull = weights * turn[:, None] * edges
        place = solve(_scatter(end, pull, len(points)) - _scatter(begin, pull, len(points)), place)
    return place


def _edges_at_rest(corners: Float[np.ndarray, "triangles 3 3"]) -> Complex[np.ndarray, "triangles 3"]:
    """Each triangle laid in the plane: the edge across from each corner."""
    a, b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    base = np.maximum(np.linalg.norm(a, axis=1), np.finfo(np.float64).tiny)
    tip = (np.einsum("ij,ij->i", a, b) + 1j * np.linalg.norm(np.cross(a, b), axis=1)) / base
    return np.stack([tip - base, -tip, base.astype(complex)], axis=1)


def _cotangents(edges: Complex[np.ndarray, "triangles 3"]) -> Float[np.ndarray, "triangles 3"]:
    """Cotangent of the angle across from each edge, within bounds."""
    product = -edges[:, [1, 2, 0]] * edges[:, [2, 0, 1]].conj()
    cotangent = product.real / np.maximum(np.abs(product.imag), np.finfo(np.float64).tiny)
    return np.asarray(np.clip(cotangent, *COTANGENTS))


def _scatter(
    at: Int[np.ndarray, "triangles 3"], value: Complex[np.ndarray, "triangles 3"], count: int
) -> Complex[np.ndarray, "vertices"]:
    index = at.ravel()
    real = np.bincount(index, value.real.ravel(), count)
    return np.asarray(real + 1j * np.bincount(index, value.imag.ravel(), count))


class _Solver:
    """Solves (L + anchor) place = pull + anchor * before, with L factored once."""

    def __init__(
        self,
        begin: Int[np.ndarray, "edges"],
        end: Int[np.ndarray, "edges"],
        weight: Float[np.ndarray, "edges"],
        count: int,
    ) -> None:
        self.anchor = ANCHOR * float(weight.mean())
        every = np.arange(count)
        row = np.concatenate([begin, end, begin, end, every]).astype(np.int32)
        column = np.concatenate([end, begin, begin, end, every]).astype(np.int32)
        value = np.concatenate([-weight, -weight, weight, weight, np.full(count, self.anchor)])
        self.factor = CholeskySolverD(count, row, column, value, MatrixType.COO)

    def __call__(self, pull: Complex[np.ndarray, "n"], before: Complex[np.ndarray, "n"]) -> Complex[np.ndarray, "n"]:
        known = pull + self.anchor * before
        found = np.zeros((len(known), 2))
        self.factor.solve(np.stack([known.real, known.imag], axis=1), found)
        return np.asarray(found[:, 0] + 1j * found[:, 1])
