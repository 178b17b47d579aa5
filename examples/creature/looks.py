"""What a shot is painted with: texture, checker, error. Colours at its hits, linear light, [hits, 3]."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from examples.creature.render import Floats, Shot
from lim_protocol.types import Mesh, UInt8, fan
from lim_usd.color import linear

CLAY = (196, 190, 182)
SHADES = ((58, 110, 165), (120, 190, 190), (240, 232, 200), (238, 150, 70), (190, 30, 45), (90, 10, 60))


def surface(shot: Shot, mesh: Mesh, texture: UInt8 | None) -> Floats:
    """The mesh's texture, or else its colours, or clay."""
    if texture is not None and mesh.st is not None:
        return _looked_up(shot, mesh, linear(texture).astype(np.float64))
    if mesh.colors is not None:
        return shot.of_points(linear(mesh.colors).astype(np.float64))
    return np.tile(linear(np.array([CLAY], np.uint8)), (len(shot.triangle), 1)).astype(np.float64)


def checker(shot: Shot, mesh: Mesh) -> Floats:
    """`uv_checker` in the mesh's texture coordinates; without them its colours."""
    if mesh.st is None:
        return surface(shot, mesh, None)
    return _looked_up(shot, mesh, linear(uv_checker()).astype(np.float64))


def uv_checker(size: int = 1024, cells: int = 40) -> UInt8:
    """Squares whose hue turns along u and whose lightness goes along v: no two places look alike."""
    row, column = np.mgrid[0:size, 0:size] / size
    hue = 2 * np.pi * column
    light = 0.78 - 0.28 * row
    pure = np.stack([0.5 + 0.5 * np.cos(hue + shift) for shift in (0.0, 4.2, 2.1)], axis=-1)
    color = light[..., None] * (0.45 + 0.55 * pure)
    dark = (np.floor(row * cells) + np.floor(column * cells)) % 2 == 1
    color[dark] = 0.30 * color[dark] + 0.66
    return np.asarray(np.rint(np.clip(255 * color, 0, 255)), np.uint8)


def _looked_up(shot: Shot, mesh: Mesh, texture: Floats) -> Floats:
    """Bilinear, from the mip level that fits the shot."""
    assert mesh.st is not None and mesh.st_indices is not None
    corners = mesh.st[fan(mesh.face_counts, mesh.st_indices)].astype(np.float64)
    on_screen = shot.view.project(shot.points, shot.width, shot.height)[shot.triangles]
    texels = _areas(corners)[shot.triangle].sum() * texture.shape[0] * texture.shape[1]
    pixels = max(float(_areas(on_screen)[shot.triangle].sum()), 1e-9)
    for _ in range(max(0, int(np.log2(max(texels / pixels, 1.0)) / 2 - 0.8))):
        texture = texture[: len(texture) // 2 * 2, : texture.shape[1] // 2 * 2]
        texture = texture.reshape(len(texture) // 2, 2, -1, 2, 3).mean(axis=(1, 3))
    st = np.einsum("nk,nkc->nc", shot.weights, corners[shot.triangle])
    height, width = texture.shape[:2]
    x, y = st[:, 0] * width - 0.5, (1 - st[:, 1]) * height - 0.5
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    fx, fy = (x - left)[:, None], (y - top)[:, None]

    def texel(row: NDArray[np.int64], column: NDArray[np.int64]) -> Floats:
        return np.asarray(texture[row % height, column % width])

    upper = texel(top, left) * (1 - fx) + texel(top, left + 1) * fx
    lower = texel(top + 1, left) * (1 - fx) + texel(top + 1, left + 1) * fx
    return np.asarray(upper * (1 - fy) + lower * fy)


def _areas(triangles: Floats) -> Floats:
    a, b = triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]
    return np.abs(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]) / 2


def heat(shot: Shot, error: Floats | None, top: float) -> Floats:
    """Errors of points on a scale up to `top`; clay where there are none."""
    if error is None:
        return np.tile(linear(np.array([CLAY], np.uint8)), (len(shot.triangle), 1)).astype(np.float64)
    return linear(shade(shot.of_points(error[:, None])[:, 0] / top)).astype(np.float64)


def shade(part: Floats) -> UInt8:
    """The scale's colour, sRGB, for each part of its top."""
    stops = np.linspace(0, 1, len(SHADES))
    channels = [np.interp(part, stops, [shade[k] for shade in SHADES]) for k in range(3)]
    return np.rint(np.stack(channels, axis=-1)).astype(np.uint8)
