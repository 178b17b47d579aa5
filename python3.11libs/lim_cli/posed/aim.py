"""Photographs as a camera would have taken them that stands in the same place and looks at the box's middle.

Turning a camera changes no perspective, so the new picture is the old one through a homography (and its lens): any rig
becomes one that looks as the model is used to, whatever the images' sizes, crops and lenses were.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lim_cli.errors import BadInput
from lim_cli.posed.cameras import Camera, Floats, unit
from lim_cli.posed.placement import Placement
from lim_protocol.types import UInt8

AROUND = 1.09
"""Radius of the ball that fills a picture: the thing's and some air."""
SMALLEST, LARGEST = 192, 640
"""Pixels of a picture's side: the models see fewer, colours are taken from these."""


@dataclass(frozen=True, eq=False)
class Aim:
    """A camera of the box: world [3, 4] as in `lim_protocol.views`, and its focal length."""

    world: Floats
    focal: float


def aimed(camera: Camera, placement: Placement, label: str) -> Aim:
    """The camera, turned. Raises BadInput where it stands in the box."""
    position = placement.camera(camera)[:, 3]
    away = float(np.linalg.norm(position))
    if away < 1.1 * AROUND:
        raise BadInput(f"{label}: its camera stands within the thing's box. Check the matrices, or the aabb.")
    back = position / away
    right = np.array([back[2], 0, -back[0]])
    if np.linalg.norm(right) < 1e-6:  # from straight above or below: the picture's own right is as good as any
        right = (placement.turn @ camera.world[:, 0]) * [1, 0, 1]
    right = unit(right)
    world = np.stack([right, np.cross(back, right), back, position], axis=1)
    return Aim(world, float(np.sqrt(away**2 - AROUND**2) / AROUND))


def pixels_across(aim: Aim, camera: Camera) -> float:
    """Pixels of the photograph over the width of the aimed picture."""
    return float(2 * camera.focal.max() / aim.focal)


def side(across: list[float]) -> int:
    """The pictures' side: as fine as the photographs, within bounds."""
    return int(np.clip(np.ceil(max(across) / 32) * 32, SMALLEST, LARGEST))


def taken(pixels: NDArray[np.float32], camera: Camera, aim: Aim, placement: Placement, size: int) -> UInt8:
    """The aimed picture, [size, size, 4]; beyond the photograph's edge nothing is covered.

    `pixels` are colours times alpha, and alpha, of a photograph at the camera's size, about as fine as the picture.
    """
    at = (np.arange(size) + 0.5) * (2 / size) - 1
    x, y = np.meshgrid(at, -at)
    local = np.stack([x / aim.focal, y / aim.focal, -np.ones_like(x)], axis=-1)
    directions = local @ (placement.turn.T @ aim.world[:, :3]).T
    place, ahead = camera.pixels(directions)
    found = _between(pixels, place) * ahead[..., None]
    found[..., :3] /= np.maximum(found[..., 3:], 1e-6)
    return np.asarray(np.round(np.clip(found, 0, 1) * 255).astype(np.uint8))


def _between(pixels: NDArray[np.float32], place: Floats) -> NDArray[np.float32]:
    """Bilinear between the pixels' centres; 0 outside."""
    padded = np.pad(pixels, ((1, 1), (1, 1), (0, 0)))
    height, width = padded.shape[:2]
    x = np.clip(place[..., 0] + 0.5, 0, width - 1.001)
    y = np.clip(place[..., 1] + 0.5, 0, height - 1.001)
    left, top = x.astype(np.int64), y.astype(np.int64)
    right, lower = (x - left).astype(np.float32)[..., None], (y - top).astype(np.float32)[..., None]
    upper_row = padded[top, left] * (1 - right) + padded[top, left + 1] * right
    lower_row = padded[top + 1, left] * (1 - right) + padded[top + 1, left + 1] * right
    return np.asarray(upper_row * (1 - lower) + lower_row * lower)
