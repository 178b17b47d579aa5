"""A small picture of a mesh, drawn without a renderer: for thumbnails and reports."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lim_protocol.types import Float32, Int32, UInt8

SIZE = 256
BACKGROUND = 40
GREY = 190
_SMOOTHING = 2  # samples per pixel, along each side
_SPOTS = 1.5  # on twice the area of a triangle, in samples
_RUN = 20_000  # triangles at a time: memory stays small

# From a little above and to the side; the light comes over the viewer's left shoulder.
_TURN, _TILT = np.radians(30), np.radians(15)
_LIGHT = np.array([-0.35, 0.45, 0.82])


def draw(points: Float32, triangles: Int32, colors: UInt8 | None, up_axis: str, size: int = SIZE) -> UInt8:
    """Three quarters of a mesh as seen from the front, uint8 [size, size, 3] sRGB.

    colors  uint8 [points, 3] sRGB, shaded as they are; grey without
    """
    side = size * _SMOOTHING
    image = np.full((side * side, 3), float(BACKGROUND), np.float32)
    depths = np.full(side * side, -np.inf, np.float32)
    seen = _placed(points, up_axis, side)
    for first in range(0, len(triangles), _RUN):
        run = triangles[first : first + _RUN]
        corners = seen[run]
        normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        counts = np.maximum(np.ceil(np.abs(normals[:, 2]) * _SPOTS), 1)  # areas in samples, and none is missed
        counts = np.minimum(counts, side * side).astype(np.int64)
        owner = np.repeat(np.arange(len(run)), counts)
        weights = _spread(np.arange(len(owner)))
        lengths = np.linalg.norm(normals, axis=1)
        shade = 0.25 + 0.75 * np.abs(normals @ _LIGHT) / np.where(lengths > 0, lengths, 1)
        base = np.float32(GREY) if colors is None else _mixed(colors.astype(np.float32), run, owner, weights)
        _hide(image, depths, _mixed(seen, run, owner, weights), base * shade[owner, None].astype(np.float32), side)
    smooth = image.reshape(size, _SMOOTHING, size, _SMOOTHING, 3).mean((1, 3))
    result: UInt8 = smooth.round().astype(np.uint8)
    return result


def _placed(points: Float32, up_axis: str, side: int) -> Float32:
    """Points as (column, row from below, towards the viewer), filling the picture."""
    x, y, z = np.nan_to_num(points.astype(np.float64)).T
    if up_axis == "Z":
        y, z = z, -y
    x, z = x * np.cos(_TURN) + z * np.sin(_TURN), z * np.cos(_TURN) - x * np.sin(_TURN)
    y, z = y * np.cos(_TILT) - z * np.sin(_TILT), z * np.cos(_TILT) + y * np.sin(_TILT)
    seen = np.stack([x, y, z], axis=1)
    low, high = seen.min(0), seen.max(0)
    scale = 0.9 * side / max(float((high - low)[:2].max()), 1e-30)
    centred: Float32 = ((seen - (low + high) / 2) * scale + side / 2).astype(np.float32)
    return centred


def _spread(numbers: NDArray[np.int64]) -> Float32:
    """Barycentric weights that cover a triangle evenly for runs of numbers (the R2 sequence of Roberts, folded)."""
    u = (0.5 + numbers * 0.7548776662466927) % 1
    v = (0.5 + numbers * 0.5698402909980532) % 1
    over = u + v > 1
    u, v = np.where(over, 1 - u, u), np.where(over, 1 - v, v)
    return np.stack([1 - u - v, u, v], axis=1).astype(np.float32)


def _mixed(values: Float32, run: Int32, owner: NDArray[np.int64], weights: Float32) -> Float32:
    """Values [points, 3] at spots of triangles, [spots, 3]."""
    corners = run[owner]
    first, second, third = (values[corners[:, corner]] * weights[:, corner, None] for corner in range(3))
    mixed: Float32 = first + second + third
    return mixed


def _hide(image: Float32, depths: Float32, spots: Float32, colors: Float32, side: int) -> None:
    """Give each sample of the picture the colour of the spot that hides the others."""
    column, row = np.clip(spots[:, :2].astype(np.int64), 0, side - 1).T
    place, depth = (side - 1 - row) * side + column, spots[:, 2]
    nearer = depth > depths[place]
    place, depth, colors = place[nearer], depth[nearer], colors[nearer]
    order = np.argsort(depth, kind="stable")  # of equal places the last one stays
    image[place[order]] = colors[order]
    depths[place[order]] = depth[order]
