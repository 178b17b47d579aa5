"""One mesh of a pair, with all that matching asks of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from scipy.spatial import cKDTree

from lim_protocol.types import Mesh
from lim_server.geometry.cover import Cover
from lim_server.geometry.descriptors import Descriptors
from lim_server.geometry.graph import Graph
from lim_server.geometry.shape import Frame, Shape, sum_at
from lim_server.geometry.visibility import seen

LEAST_TRUST = 0.02
LONGEST = 0.025
"""Longest edge of a cover, in diagonals."""


@dataclass(frozen=True, eq=False)
class Side:
    """The source or the target. Lengths in diagonals of the source.

    nearest  int64 [m]    the graph's sample nearest to each point of the cover
    share    float64 [s]  part of the surface that each of the graph's samples stands for; sums to one
    seen     bool [s]     whether it can be seen from outside
    """

    shape: Shape
    cover: Cover
    graph: Graph
    nearest: Int[ndarray, " m"]
    share: Float[ndarray, " s"]
    seen: Bool[ndarray, " s"]
    look: Descriptors

    @classmethod
    def of(cls, mesh: Mesh, frame: Frame) -> Side:
        """The mesh as the frame's unit sees it; its surface has an area."""
        shape = Shape.of(mesh, frame)
        size = float(np.linalg.norm(np.ptp(shape.points, axis=0)))
        cover = Cover.of(shape, LONGEST * max(1.0, size))
        graph = Graph.of(cover)
        nearest = cKDTree(cover.points[graph.samples]).query(cover.points)[1]
        area = np.bincount(nearest, cover.area, minlength=len(graph.samples)) + 1e-9
        visible = seen(shape, cover.points[graph.samples], cover.normals[graph.samples])
        return cls(shape, cover, graph, nearest, area / area.sum(), visible, Descriptors.of(cover, graph))

    @property
    def points(self) -> Float[ndarray, "s 3"]:
        """The samples."""
        return self.cover.points[self.graph.samples]

    @property
    def normals(self) -> Float[ndarray, "s 3"]:
        """The samples' directions."""
        return self.cover.normals[self.graph.samples]

    @property
    def pinned(self) -> Bool[ndarray, " s"]:
        """Whether all that a sample is made of stays at rest."""
        made: Float[ndarray, " m"] = self.cover.blend @ self.shape.pinned.astype(np.float64)
        return made[self.graph.samples] > 1 - 1e-9

    @property
    def mass(self) -> Float[ndarray, " p"]:
        """Share of the surface that each part has, by its number."""
        area: Float[ndarray, " p"] = np.bincount(self.cover.part, self.cover.area)
        return area / area.sum()

    def carried(self, turn: Float[ndarray, "k 3 3"], place: Float[ndarray, "k 3"]) -> Float[ndarray, "n 3"]:
        """The shape's points where the graph takes them whose nodes are turned and placed so."""
        rest, nodes = self.shape.points, self.cover.points[self.graph.nodes]
        weights = self.graph.weights[: len(rest)].tocoo()
        own, to = weights.col, weights.row
        moved = np.einsum("eij,ej->ei", turn[own], rest[to] - nodes[own]) + place[own]
        return sum_at(to, weights.data[:, None] * moved, len(rest))

    def trust_beside(self, other: Side) -> Float[ndarray, " s"]:
        """How much of each sample the other side can hold.

        A scan has no inner surfaces: what nobody sees counts only as far as the other side has hidden surface too.
        """
        mine, theirs = (float(side.share[~side.seen].sum()) for side in (self, other))
        return np.where(self.seen, 1.0, np.clip(theirs / max(mine, 1e-9), LEAST_TRUST, 1.0))
