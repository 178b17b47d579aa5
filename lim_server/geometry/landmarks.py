"""Places of the source that somebody has recognised on a keyframe."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.sparse import csr_matrix, diags
from scipy.spatial import cKDTree

from lim_protocol.types import Mesh
from lim_server.geometry.shape import Frame, Shape

PATCH = 0.01
"""How far around itself (diagonals) a landmark takes its surroundings along."""


@dataclass(frozen=True, eq=False)
class Landmarks:
    """Pairs of places, none of them where nobody gave any. Lengths in diagonals of the source.

    blend  [k, n] sparse   each as a mean of the source's points
    goals  float64 [k, 3]  where it is on the keyframe
    part   int64   [k]     the source's part that it is on
    """

    blend: csr_matrix
    goals: Float[ndarray, "k 3"]
    part: Int[ndarray, " k"]

    @classmethod
    def of(cls, source: Shape, key: Mesh, frame: Frame) -> Landmarks:
        """Those that the keyframe has."""
        if key.landmarks is None or key.landmark_weights is None:
            return cls(csr_matrix((0, len(source.points))), np.zeros((0, 3)), np.zeros(0, np.int64))
        mine, theirs = key.landmarks.transpose(1, 0, 2)
        here, there = key.landmark_weights.astype(np.float64).transpose(1, 0, 2)
        corners, count = source.welded[mine], len(mine)
        rows = np.repeat(np.arange(count), 3)
        blend = csr_matrix((here.ravel(), (rows, corners.ravel())), shape=(count, len(source.points)))
        goals = np.einsum("kc,kcx->kx", there, frame.apply(key.points[theirs].reshape(-1, 3)).reshape(-1, 3, 3))
        strongest = corners[np.arange(count), here.argmax(axis=1)]
        return cls(blend, goals, source.part[strongest])

    def around(self, source: Shape) -> csr_matrix:
        """How much each of the source's points goes along with each landmark, [k, n]; rows sum to one.

        A single point of a dense mesh that is drawn aside would turn its triangles over.
        """
        at = self.blend @ source.points
        apart = cKDTree(at).sparse_distance_matrix(cKDTree(source.points), 3 * PATCH, output_type="coo_matrix")
        own = source.part[apart.col] == self.part[apart.row]
        near = np.exp(-0.5 * (apart.data[own] / PATCH) ** 2)
        patch = csr_matrix((near, (apart.row[own], apart.col[own])), shape=self.blend.shape) + self.blend
        return diags(1 / np.asarray(patch.sum(axis=1)).ravel()) @ patch
