"""Small shapes for the tests of geometry: boxes, balls and what is made of them."""

from __future__ import annotations

import numpy as np
import trimesh
from numpy.typing import NDArray

from lim_protocol.types import Mesh
from lim_server.geometry.shape import Frame, Shape


def box(
    size: tuple[float, float, float], at: tuple[float, float, float], cuts: int = 3
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Points and triangles of a box, its faces cut `cuts` times."""
    made = trimesh.creation.box(extents=size).subdivide()
    for _ in range(cuts - 1):
        made = made.subdivide()
    return np.asarray(made.vertices) + at, np.asarray(made.faces, np.int64)


def ball(radius: float, at: tuple[float, float, float] = (0, 0, 0)) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Points and triangles of a ball."""
    made = trimesh.creation.icosphere(subdivisions=3, radius=radius)
    return np.asarray(made.vertices) + at, np.asarray(made.faces, np.int64)


def together(*pieces: tuple[NDArray[np.float64], NDArray[np.int64]]) -> Mesh:
    """One mesh of several pieces, in their order."""
    points = np.concatenate([p for p, _ in pieces])
    starts = np.cumsum([0, *(len(p) for p, _ in pieces[:-1])])
    faces = np.concatenate([f + start for (_, f), start in zip(pieces, starts, strict=True)])
    return Mesh(points.astype(np.float32), np.full(len(faces), 3, np.int32), faces.ravel().astype(np.int32))


def shape(mesh: Mesh) -> Shape:
    """The mesh in diagonals of its own."""
    return Shape.of(mesh, Frame.of(mesh.points))


def about(axis: tuple[float, float, float], degrees: float) -> NDArray[np.float64]:
    """Rotation matrix."""
    turn: NDArray[np.float64] = trimesh.transformations.rotation_matrix(np.radians(degrees), axis)[:3, :3]
    return turn
