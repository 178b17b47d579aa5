"""Where in the world the thing is: the places that lie inside its mask in every view (visual hull, Laurentini 1994)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lim_cli.errors import BadInput
from lim_cli.posed.cameras import Camera, Floats

COARSE, CELLS = 40, 64
WIDER = 5
"""How often the place that is searched may double."""
PARALLEL = 0.002
"""Least share of a ray's cross directions that the views add: rays less than some 5 degrees apart say no depth."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Silhouette:
    """A view as the hull needs it: the camera at the mask's size, and the mask [height, width]."""

    label: str
    camera: Camera
    mask: Mask

    def sees(self, points: Floats, reach: float) -> Mask:
        """Which points lie in the mask, or not farther beside it than `reach` (in the world) can look from here."""
        pixels, ahead = self.camera.project(points)
        away = float(np.linalg.norm(points.mean(axis=0) - self.camera.position))
        grown = _grown(self.mask, int(np.ceil(reach / away * self.camera.focal.max())) if reach else 0)
        column, row = np.floor(pixels).astype(np.int64).T
        height, width = self.mask.shape
        inside = ahead & (column >= 0) & (column < width) & (row >= 0) & (row < height)
        found: Mask = inside & grown[row.clip(0, height - 1), column.clip(0, width - 1)]
        return found

    def corners(self) -> Floats:
        """Directions to the corners of the mask's bounding rectangle, and to its middle last, [5, 3]."""
        rows, columns = np.flatnonzero(self.mask.any(axis=1)), np.flatnonzero(self.mask.any(axis=0))
        (top, bottom), (left, right) = (rows[0], rows[-1] + 1), (columns[0], columns[-1] + 1)
        at = [[left, top], [right, top], [left, bottom], [right, bottom], [(left + right) / 2, (top + bottom) / 2]]
        return self.camera.directions(np.array(at, np.float64))

    def is_cut_off(self) -> bool:
        """Does the thing run over the picture's edge?"""
        m = self.mask
        return bool(m[0].any() or m[-1].any() or m[:, 0].any() or m[:, -1].any())


def hull_of(views: Sequence[Silhouette], key: str, box: Floats | None = None) -> Floats:
    """Middles of the cells inside all masks, [n, 3], in the box [2, 3] where one is given.

    Raises BadInput where there are none, or no end of them.
    """
    if box is not None:
        points, cell = _grid(box[0], box[1], CELLS)
        return points[_inside_all(views, points, cell, key)]
    middle, radius = _first_guess(views, key)
    for _ in range(WIDER):
        low, high = middle - radius, middle + radius
        points, cell = _grid(low, high, COARSE)
        found = points[_inside_all(views, points, cell, key)]
        if (found.min(axis=0) > low + cell).all() and (found.max(axis=0) < high - cell).all():
            points, cell = _grid(found.min(axis=0) - cell, found.max(axis=0) + cell, CELLS)
            return points[_inside_all(views, points, cell, key)]
        radius *= 2
    raise BadInput(
        f"{key}: the views leave open how far the thing goes. Add a view from another side, or say its box: "
        '"aabb": [[x, y, z], [x, y, z]] in cameras.json.'
    )


def _first_guess(views: Sequence[Silhouette], key: str) -> tuple[Floats, float]:
    """The point nearest to all rays through the masks' middles, and how far the masks reach around it."""
    rays = np.stack([view.corners()[-1] for view in views])
    across = np.eye(3) - rays[:, :, None] * rays[:, None, :]
    total = across.mean(axis=0)
    if np.linalg.eigvalsh(total)[0] < PARALLEL:
        raise BadInput(f"{key}: all {len(views)} views look the same way, which tells no depth. Add one from a side.")
    positions = np.stack([view.camera.position for view in views])
    middle = np.linalg.solve(total, np.einsum("vij,vj->i", across, positions) / len(views))
    radius = 0.0
    for view in views:
        to = middle - view.camera.position
        away = float(np.linalg.norm(to))
        slant = np.clip(view.corners() @ to / max(away, 1e-12), 0.2, 1)
        radius = max(radius, float((away * np.sqrt(1 - slant**2) / slant).max()))
    return middle, 1.3 * radius


def _grid(low: Floats, high: Floats, cells: int) -> tuple[Floats, float]:
    """Middles of cubes that fill a box, [n, 3], and their side."""
    side = float((high - low).max()) / cells
    axes = [np.arange(lo + side / 2, hi + side / 2, side) for lo, hi in zip(low, high)]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3), side


def _inside_all(views: Sequence[Silhouette], points: Floats, cell: float, key: str) -> Mask:
    """Which cells touch every mask. Raises BadInput, naming the views that are against the rest, where none does."""
    seen = np.stack([view.sees(points, cell * 0.87) for view in views])
    inside = seen.all(axis=0)
    if inside.any():
        return np.asarray(inside)
    best = int(seen.sum(axis=0).argmax())
    against = [view.label for view, sees in zip(views, seen[:, best]) if not sees]
    raise BadInput(
        f"{key}: the views do not overlap: at most {len(views) - len(against)} of {len(views)} see the thing in one "
        f"place, and not {against[0]}. Check that all matrices are camera to world, in one world, and looking along -z."
    )


def _grown(mask: Mask, by: int) -> Mask:
    """The mask and what is not farther from it than `by` pixels along rows and columns."""
    wide = mask.copy()
    for axis in (0, 1):
        total = np.cumsum(np.pad(wide, [(by + 1, by) if k == axis else (0, 0) for k in (0, 1)]), axis=axis)
        count = mask.shape[axis]
        last = total.take(range(2 * by + 1, 2 * by + 1 + count), axis=axis)
        wide = last > total.take(range(count), axis=axis)
    return wide
