"""The body's surface at rest as meshes that have nothing in common but their shape.

Each is closed, its faces counter-clockwise from outside, its points on the surface (`body.onto_surface`).
"""

from __future__ import annotations

from collections.abc import Sequence

import igl
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import zoom
from scipy.spatial.transform import Rotation

from examples.creature.body import BOUNDS, Points, field, onto_surface
from lim_protocol.types import Mesh

Faces = NDArray[np.int64]
# The field is known to lie within so many coarse steps of a coarse sample's value: only near zero is it worked out.
COARSE = 4


def quads(step: float, shift: float) -> Mesh:
    """Quads, as a remesher makes them: one point in each cell that the surface passes, one quad for each edge.

    Where two walls pass one cell they would share its point: `shift`, in steps, moves the lattice off such cells.
    """
    grid, value = _lattice(step, np.eye(3), shift * step)
    inside = value < 0
    cell = np.stack([inside[i : i - 1 or None, j : j - 1 or None, k : k - 1 or None] for i, j, k in _CORNERS])
    passed = cell.any(axis=0) & ~cell.all(axis=0)
    number = np.full(passed.shape, -1)
    number[passed] = np.arange(passed.sum())
    points = grid[:-1, :-1, :-1][passed] + step / 2
    faces = np.concatenate([_across(inside, number, axis) for axis in range(3)])
    return _mesh(_relaxed(onto_surface(points, 8), faces, 4), faces)


def triangles(step: float, turned: Sequence[float]) -> Mesh:
    """Marching cubes on a lattice turned by a rotation vector, left as uneven as it comes."""
    points, faces = _marching_cubes(step, turned)
    return _mesh(onto_surface(points), faces)


def coarse_triangles(count: int, turned: Sequence[float]) -> Mesh:
    """So many triangles, by edge collapse, evened out."""
    return _mesh(*_decimated(count, turned))


def honeycomb(count: int, turned: Sequence[float]) -> Mesh:
    """Polygons with mostly six corners: the dual of so many triangles."""
    points, faces = _decimated(count, turned)
    centres = onto_surface(points[faces].mean(axis=1))
    follows = {(int(f[k]), int(f[k - 2])): t for t, f in enumerate(faces) for k in range(3)}
    after = [{int(f[k]): int(f[k - 1]) for k in range(3)} for f in faces]
    rings = []
    for point, first in zip(*np.unique(faces.ravel(), return_index=True), strict=True):
        ring: list[int] = []
        face = int(first) // 3
        while not ring or face != ring[0]:
            ring.append(face)
            face = follows[int(point), after[face][int(point)]]
        rings.append(ring)
    counts = np.array([len(ring) for ring in rings], np.int32)
    return Mesh(centres.astype(np.float32), counts, np.concatenate(rings).astype(np.int32))


_CORNERS = [(i, j, k) for i in (0, 1) for j in (0, 1) for k in (0, 1)]


def _mesh(points: Points, faces: Faces) -> Mesh:
    counts = np.full(len(faces), faces.shape[1], np.int32)
    return Mesh(points.astype(np.float32), counts, faces.astype(np.int32).ravel())


def _lattice(step: float, turn: NDArray[np.float64], shift: float = 0.0) -> tuple[Points, Points]:
    """Places [x, y, z, 3] of a turned lattice around the body, and the field there [x, y, z]."""
    box = np.array([[x, y, z] for x in BOUNDS[:, 0] for y in BOUNDS[:, 1] for z in BOUNDS[:, 2]]) @ turn
    low, high = box.min(axis=0), box.max(axis=0)
    count = COARSE * np.ceil((high - low + shift) / step / COARSE).astype(int) + 1
    axes = [low[k] - shift + step * np.arange(count[k]) for k in range(3)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1) @ turn.T
    coarse = grid[::COARSE, ::COARSE, ::COARSE]
    rough = field(coarse.reshape(-1, 3)).reshape(coarse.shape[:3])
    value = zoom(rough, count / rough.shape, order=1, grid_mode=False)
    near = np.abs(value) < 1.2 * COARSE * step
    value[near] = field(grid[near])
    return grid, value


def _across(inside: NDArray[np.bool_], number: Faces, axis: int) -> Faces:
    """Quads around the lattice edges along an axis that pass the surface."""
    inside = np.moveaxis(inside, axis, 0)
    # The two other axes in cyclic order, so that a quad runs counter-clockwise about its edge.
    number = np.moveaxis(number, (axis, (axis + 1) % 3, (axis + 2) % 3), (0, 1, 2))
    inside = inside if axis != 1 else np.swapaxes(inside, 1, 2)
    here, there = inside[:-1, 1:-1, 1:-1], inside[1:, 1:-1, 1:-1]
    ring = [number[:, :-1, :-1], number[:, 1:, :-1], number[:, 1:, 1:], number[:, :-1, 1:]]
    out = np.stack([part[here & ~there] for part in ring], axis=1)
    back = np.stack([part[there & ~here] for part in ring[::-1]], axis=1)
    return np.concatenate([out, back])


def _marching_cubes(step: float, turned: Sequence[float]) -> tuple[Points, Faces]:
    grid, value = _lattice(step, Rotation.from_rotvec(turned).as_matrix())
    # A corner on the surface would make triangles without area.
    value = np.copysign(np.maximum(np.abs(value), 0.08 * step), value)
    order = (2, 1, 0)
    places = grid.transpose(*order, 3).reshape(-1, 3)
    points, faces, _ = igl.marching_cubes(value.transpose(order).ravel(), places, *value.shape, 0.0)
    volume = np.einsum("ij,ij->", points[faces[:, 0]], np.cross(points[faces[:, 1]], points[faces[:, 2]]))
    return points, faces if volume > 0 else faces[:, ::-1].copy()


def _decimated(count: int, turned: Sequence[float]) -> tuple[Points, Faces]:
    points, faces = _marching_cubes(0.0125, turned)
    points, faces, _, _ = igl.qslim(np.asfortranarray(points), np.asfortranarray(faces.astype(np.int32)), count)
    return _relaxed(onto_surface(np.ascontiguousarray(points)), np.ascontiguousarray(faces), 4), faces


def _relaxed(points: Points, faces: Faces, rounds: int) -> Points:
    """Every point moved towards the mean of its neighbours, and back onto the surface."""
    begin, end = faces.ravel(), np.roll(faces, -1, axis=1).ravel()
    begin, end = np.r_[begin, end], np.r_[end, begin]
    degree = np.bincount(begin)[:, None]
    for _ in range(rounds):
        mean = np.stack([np.bincount(begin, points[end, k]) for k in range(3)], axis=1) / degree
        points = onto_surface(0.5 * points + 0.5 * mean, 2)
    return onto_surface(points)
