"""As-rigid-as-possible energy on a triangle mesh (Sorkine and Alexa 2007), with a scalar Laplacian."""

from __future__ import annotations

import copy
from functools import cached_property

import numpy as np
import torch
from cholespy import CholeskySolverD, MatrixType
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.sparse import coo_matrix, csr_matrix, diags, spmatrix

from lim_server.geometry.elastic import Elastic

TIE = 0.1
"""Weight of an edge that is not the mesh's own; a cotangent of an even triangle is 0.58."""
SOFTEST, STIFFEST = 1e-3, 1e4
"""Beyond these times the usual stiffness the equations lose more digits than the surface gains freedom or hold."""


class Rigidity:
    """The energy, its Laplacian and the pieces of a local/global step.

    edges    int64   [e, 2]
    weights  float64 [e]     cotangents (mean of the two sides), at least a small share of the median, times the mean
                             stiffness of the two ends
    """

    def __init__(
        self,
        rest: Float[ndarray, "n 3"],
        triangles: Int[ndarray, "t 3"],
        extra: Int[ndarray, "x 2"] | None = None,
        stiffness: Float[ndarray, " n"] | None = None,
    ):
        n = len(rest)
        half = _cotangents(rest, triangles)
        sides = np.concatenate([triangles[:, [1, 2]], triangles[:, [2, 0]], triangles[:, [0, 1]]])
        sides.sort(axis=1)
        sum_ = coo_matrix((half, (sides[:, 0], sides[:, 1])), shape=(n, n)).tocsr().tocoo()
        self.edges = np.stack([sum_.row, sum_.col], axis=1).astype(np.int64)
        self.weights = np.maximum(sum_.data, 0.05)
        if extra is not None and len(extra):
            self.edges = np.concatenate([self.edges, extra])
            self.weights = np.concatenate([self.weights, np.full(len(extra), TIE)])
        if stiffness is not None:
            self.weights *= np.clip(stiffness, SOFTEST, STIFFEST)[self.edges].mean(axis=1)
        self.rest = rest
        self.vectors = rest[self.edges[:, 1]] - rest[self.edges[:, 0]]
        i, j = self.edges.T
        e = np.arange(len(i))
        self.outward = csr_matrix(
            (np.r_[np.ones(len(i)), -np.ones(len(i))], (np.r_[j, i], np.r_[e, e])), shape=(n, len(i))
        )
        self.laplacian = self._laplacian()

    def _laplacian(self) -> csr_matrix:
        return (self.outward @ diags(self.weights) @ self.outward.T).tocsr()

    def stiffened(self, times: Float[ndarray, " n"]) -> Rigidity:
        """The same surface, around each point so many times stiffer."""
        out = copy.copy(self)
        out.__dict__.pop("elastic", None)
        out.weights = self.weights * np.sqrt(times[self.edges].prod(axis=1))
        out.laplacian = out._laplacian()
        return out

    @cached_property
    def elastic(self) -> Elastic:
        """The same for what goes step by step."""
        edges, rest, weights = (torch.from_numpy(x) for x in (self.edges, self.vectors, self.weights))
        return Elastic(edges, rest, weights, len(self.rest))

    def fit(self, points: Float[ndarray, "n 3"]) -> Float[ndarray, "n 3 3"]:
        """The rotation of every point's surroundings."""
        turned: Float[ndarray, "n 3 3"] = self.elastic.fit(torch.from_numpy(points)).numpy()
        return turned

    def goal(self, turned: Float[ndarray, "n 3 3"]) -> Float[ndarray, "n 3"]:
        """The right side of the Laplace equation: rest edges, turned by the mean of their ends."""
        right: Float[ndarray, "n 3"] = self.elastic.goal(torch.from_numpy(turned)).numpy()
        return right


def _cotangents(rest: Float[ndarray, "n 3"], triangles: Int[ndarray, "t 3"]) -> Float[ndarray, " t3"]:
    """Half the cotangent opposite to sides 12, 20, 01 of every triangle, within -1..5."""
    out = []
    for k in range(3):
        a, b, c = (rest[triangles[:, (k + s) % 3]] for s in range(3))
        u, v = b - a, c - a
        cross = np.linalg.norm(np.cross(u, v), axis=1)
        out.append(0.5 * np.clip((u * v).sum(1) / np.maximum(cross, 1e-18), -1.0, 5.0))
    return np.concatenate(out)


def laplacian(points: Float[ndarray, "n 3"], triangles: Int[ndarray, "t 3"]) -> csr_matrix:
    """Cotangent Laplacian, positive semidefinite, without negative weights."""
    n = len(points)
    sides = np.concatenate([triangles[:, [1, 2]], triangles[:, [2, 0]], triangles[:, [0, 1]]])
    half = coo_matrix((_cotangents(points, triangles), (sides[:, 0], sides[:, 1])), shape=(n, n)).tocsr()
    both = half + half.T
    both.data = np.maximum(both.data, 1e-3)
    return (diags(np.asarray(both.sum(axis=1)).ravel()) - both).tocsr()


def solver(matrix: spmatrix) -> CholeskySolverD:
    """Cholesky factors of a symmetric positive definite matrix."""
    c = matrix.tocoo()
    return CholeskySolverD(
        matrix.shape[0], c.row.astype(np.int32), c.col.astype(np.int32), c.data.astype(np.float64), MatrixType.COO
    )


def solve(factors: CholeskySolverD, right: Float[ndarray, "n c"]) -> Float[ndarray, "n c"]:
    """The solution for each column."""
    right = np.ascontiguousarray(right)
    out = np.zeros_like(right)
    factors.solve(right, out)
    return out
