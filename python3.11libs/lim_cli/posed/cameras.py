"""A camera as a photograph has it: pinhole, in pixels, bent by a lens where it says so."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
AHEAD = 1e-9


@dataclass(frozen=True, eq=False)
class Camera:
    """Looks along its own -z, y up; pixels count from the upper left corner, their centres at halves.

    world   [3, 4]  camera to world: right, up and back as columns, then the position
    focal   [2]     in pixels, across and down
    centre  [2]     pixel on the axis
    size            width and height
    bend    [5]     the lens: k1, k2, p1, p2, k3 of OpenCV
    """

    world: Floats
    focal: Floats
    centre: Floats
    size: tuple[int, int]
    bend: Floats

    @property
    def position(self) -> Floats:
        """In the world."""
        return self.world[:, 3]

    def at_size(self, size: tuple[int, int]) -> Camera:
        """The same camera, its picture scaled to this size."""
        scale = np.array(size) / np.array(self.size)
        return replace(self, focal=self.focal * scale, centre=self.centre * scale, size=size)

    def project(self, points: Floats) -> tuple[Floats, NDArray[np.bool_]]:
        """Pixels [..., 2] of points in the world, and which of them are in front; behind, the pixel says nothing."""
        return self.pixels(points - self.position)

    def pixels(self, directions: Floats) -> tuple[Floats, NDArray[np.bool_]]:
        """Likewise of directions from the camera, in the world."""
        local = directions @ self.world[:, :3]
        ahead = -local[..., 2] > AHEAD
        flat = local[..., :2] / np.where(ahead, -local[..., 2], 1)[..., None]
        bent = self._bent(flat) if self.bend.any() else flat
        return bent * [1, -1] * self.focal + self.centre, ahead

    def directions(self, pixels: Floats) -> Floats:
        """Unit directions in the world through pixels [n, 2], as if the lens bent nothing."""
        flat = (pixels - self.centre) / self.focal * [1, -1]
        local = np.concatenate([flat, -np.ones_like(flat[:, :1])], axis=1)
        return unit(local @ self.world[:, :3].T)

    def _bent(self, flat: Floats) -> Floats:
        """OpenCV's radial and tangential distortion; its y runs down."""
        k1, k2, p1, p2, k3 = self.bend
        x, y = flat[..., 0], -flat[..., 1]
        square = x * x + y * y
        radial = 1 + square * (k1 + square * (k2 + square * k3))
        across = x * radial + 2 * p1 * x * y + p2 * (square + 2 * x * x)
        down = y * radial + p1 * (square + 2 * y * y) + 2 * p2 * x * y
        return np.stack([across, -down], axis=-1)


def unit(vectors: Floats) -> Floats:
    """Vectors [..., 3] of length 1."""
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True))
