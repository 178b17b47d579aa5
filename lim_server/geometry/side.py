"""One mesh of a pair, with all that matching asks of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.spatial import cKDTree

from lim_protocol.types import Mesh
from lim_server.geometry.cover import Cover
from lim_server.geometry.descriptors import Descriptors
from lim_server.geometry.graph import Graph
from lim_server.geometry.shape import Frame, Shape, sum_at

LONGEST = 0.025
"""Longest edge of a cover, in diagonals."""


@dataclass(frozen=True, eq=False)
class Side:
    """The source or the target. Lengths in diagonals of the source.

    share  float64 [s]  part of the surface that each of the graph's samples stands for; sums to one
    """

    shape: Shape
    cover: Cover
    graph: Graph
    share: Float[ndarray, " s"]
    look: Descriptors

    @classmethod
    def of(cls, mesh: Mesh, frame: Frame) -> Side:
        """The mesh as the frame's unit sees it; its surface has an area."""
        shape = Shape.of(mesh, frame)
        size = float(np.linalg.norm(np.ptp(shape.points, axis=0)))
        cover = Cover.of(shape, LONGEST * max(1.0, size))
        graph = Graph.of(cover)
        share = _shares(cover, graph)
        return cls(shape, cover, graph, share, Descriptors.of(cover, graph))

    @property
    def points(self) -> Float[ndarray, "s 3"]:
        """The samples."""
        return self.cover.points[self.graph.samples]

    @property
    def normals(self) -> Float[ndarray, "s 3"]:
        """The samples' directions."""
        return self.cover.normals[self.graph.samples]

    @property
    def held(self) -> Float[ndarray, " l"]:
        """Of each of the graph's links the share of the surface that the smaller of its two parts has."""
        area = np.bincount(self.cover.part, self.cover.area)
        smaller: Float[ndarray, " l"] = area[self.cover.part[self.graph.nodes[self.graph.links]]].min(axis=1)
        return smaller / area.sum()

    def carried(self, turn: Float[ndarray, "k 3 3"], place: Float[ndarray, "k 3"]) -> Float[ndarray, "n 3"]:
        """The shape's points where the graph takes them whose nodes are turned and placed so."""
        rest, nodes = self.shape.points, self.cover.points[self.graph.nodes]
        weights = self.graph.weights[: len(rest)].tocoo()
        own, to = weights.col, weights.row
        moved = np.einsum("eij,ej->ei", turn[own], rest[to] - nodes[own]) + place[own]
        return sum_at(to, weights.data[:, None] * moved, len(rest))


def _shares(cover: Cover, graph: Graph) -> Float[ndarray, " s"]:
    nearest = cKDTree(cover.points[graph.samples]).query(cover.points)[1]
    area = np.bincount(nearest, cover.area, minlength=len(graph.samples)) + 1e-9
    share: Float[ndarray, " s"] = area / area.sum()
    return share
