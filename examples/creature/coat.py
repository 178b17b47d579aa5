"""The creature's coat: a colour for each place of the body at rest. Left and right differ on purpose."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy.spatial import cKDTree

from examples.creature.body import CONES, Points, onto_surface

APRICOT, CREAM, COCOA = (232, 142, 62), (250, 234, 208), (92, 52, 40)
TEAL, MINT, ROSE = (22, 118, 126), (128, 206, 190), (238, 150, 150)
INK, WHITE, GOLD = (24, 18, 22), (252, 252, 250), (246, 196, 64)

LETTERS = "LIM"
# The flank that carries them: left, bottom, right, top in x and y, on the creature's right side.
FLANK = (-0.205, 0.375, 0.105, 0.505)
# Metres over which one colour turns into the next.
EDGE = 0.003


def coat(places: Points) -> Points:
    """sRGB colours, 0 to 255, [places, 3]."""
    x, y, z = places.T
    right = z > 0
    paint = _Paint(places)
    paint.over(CREAM, _below(y, 0.345 + 0.03 * np.sin(14 * x)) * _within(x, -0.36, 0.30) * _below(np.abs(z), 0.135))
    paint.over(COCOA, _saddle(places))
    paint.over(TEAL, _stripes(x, y) * _within(x, -0.42, 0.22))
    paint.over(MINT, _spots(places) * _within(x, -0.36, 0.26) * _above(y, 0.36) * _below(y, 0.60))
    for joint, color in (("wrist.left", COCOA), ("wrist.right", CREAM), ("ankle.left", COCOA), ("ankle.right", TEAL)):
        paint.over(color, _near(places, joint, 0.062))
    _paint_tail(paint, places)
    paint.over(TEAL, _above(y, 0.600) * _within(x, -0.30, 0.16))
    _paint_ears(paint, places)
    _paint_face(paint, places, right)
    paint.over(WHITE, _letters(x, y) * (z > 0.06))
    return paint.color


class _Paint:
    def __init__(self, places: Points) -> None:
        self.color = np.tile(np.array(APRICOT, float), (len(places), 1))

    def over(self, color: tuple[int, int, int], cover: Points | NDArray[np.bool_]) -> None:
        """Lays a colour over what is there; `cover` from 0 to 1."""
        self.color += np.asarray(cover, float)[:, None] * (np.array(color) - self.color)


def _above(value: Points, limit: float | Points, edge: float = EDGE) -> Points:
    ramp = np.clip((value - limit) / edge + 0.5, 0, 1)
    return ramp * ramp * (3 - 2 * ramp)


def _below(value: Points, limit: float | Points, edge: float = EDGE) -> Points:
    return 1 - _above(value, limit, edge)


def _within(value: Points, low: float, high: float, edge: float = EDGE) -> Points:
    return _above(value, low, edge) * _below(value, high, edge)


def _ball(places: Points, centre: tuple[float, float, float], radius: float) -> Points:
    return _below(np.linalg.norm(places - np.array(centre), axis=1), radius)


def _near(places: Points, joint: str, reach: float) -> Points:
    """Close to the axis of a joint's cones."""
    cones = [cone for cone in CONES if cone.joint == joint]
    return np.asarray(np.max([_below(cone.distance(places) + max(cone.radii), reach) for cone in cones], axis=0))


def _saddle(places: Points) -> Points:
    """One big patch over the back, most of it on the left."""
    x, y, z = places.T
    edge = 0.13 + 0.022 * np.sin(31 * x + 3) + 0.016 * np.sin(47 * y + 60 * z)
    return _below(np.linalg.norm((places - [-0.13, 0.53, -0.09]) * [0.8, 1.0, 1.0], axis=1), edge)


def _stripes(x: Points, y: Points) -> Points:
    """Bands across the back that end in points on the flanks, no two alike."""
    wave = np.sin(2 * np.pi * (x / 0.082 + 0.35 * np.sin(9 * x)) + 5 * (y - 0.5))
    return _above(wave, 1.62 - 9.0 * (y - 0.45), 0.12)


@cache
def _speckles() -> tuple[cKDTree, Points]:
    rng = np.random.default_rng(20)
    seeds = onto_surface(rng.uniform([-0.36, 0.36, -0.17], [0.26, 0.60, 0.17], (170, 3)), 8)
    return cKDTree(seeds), rng.uniform(0.004, 0.0115, len(seeds))


def _spots(places: Points) -> Points:
    tree, radius = _speckles()
    distance, seed = tree.query(places, k=3)
    return np.asarray(_below(distance - radius[seed], 0.0).max(axis=1))


def _paint_tail(paint: _Paint, places: Points) -> None:
    x, y, _ = places.T
    along = x - 0.9 * y
    for start, end in ((-0.845, -0.815), (-0.965, -0.92), (-1.09, -1.03)):
        paint.over(COCOA, _within(along, start, end) * _below(x, -0.37))
    jagged = -1.335 + 0.020 * np.sin(90 * x) + 0.010 * np.sin(150 * places[:, 2])
    paint.over(CREAM, _below(along, jagged) * _below(x, -0.5))


def _paint_ears(paint: _Paint, places: Points) -> None:
    x, y, z = places.T
    base = 0.770
    paint.over(COCOA, _above(y, base + 0.02) * (z < 0) * (x > 0.1))
    paint.over(GOLD, _above(y, 0.905) * (z > 0) * (x > 0.1))
    # The hollow side: in front of the ear's middle plane, away from its rim.
    ahead = (x - 0.345) * 0.986 + (y - 0.745) * 0.164
    middle = 0.080 + (y - 0.745) * 0.56
    half = np.clip(0.045 - 0.16 * np.abs(y - 0.835), 0.0, 0.05)
    paint.over(ROSE, _above(ahead, 0.008) * _below(np.abs(np.abs(z) - middle), half) * _within(y, 0.765, 0.915))


def _paint_face(paint: _Paint, places: Points, right: NDArray[np.bool_]) -> None:
    x, y, z = places.T
    front = x > 0.30
    muzzle = _above(x + 0.25 * np.abs(z), 0.505) * _below(y, 0.655 - 0.3 * (x - 0.5))
    paint.over(CREAM, np.maximum(muzzle, _below(y, 0.575) * _above(x, 0.36)) * front)
    paint.over(CREAM, _below(np.abs(z), 0.016 + 0.05 * (0.60 - x)) * _above(x, 0.42) * _above(y, 0.62) * front)
    paint.over(COCOA, _ball(places, (0.465, 0.690, 0.090), 0.082) * right)
    for side in (-1, 1):
        eye = (0.481, 0.691, side * 0.086)
        paint.over(INK, _ball(places, eye, 0.0495) * front)
        iris = (0.512, 0.699, side * 0.117)
        paint.over(GOLD if side > 0 else TEAL, _ball(places, iris, 0.034))
        paint.over(INK, _ball(places, (0.514, 0.699, side * 0.119), 0.021))
        paint.over(WHITE, _ball(places, (0.512, 0.722, side * 0.112), 0.0125))
    paint.over(INK, _ball(places, (0.634, 0.620, 0.0), 0.034))
    smile = 0.553 + 4.0 * (x - 0.572) ** 2
    paint.over(INK, _below(np.abs(y - smile), 0.0035, 0.003) * _within(x, 0.487, 0.612, 0.01))


@cache
def _stencil() -> NDArray[np.float64]:
    height, width = 260, 620
    image = Image.new("L", (width, height), 0)
    font = ImageFont.load_default(250)
    ImageDraw.Draw(image).text((width / 2, height / 2), LETTERS, 255, font, "mm", stroke_width=6)
    return np.asarray(image, float) / 255


def _letters(x: Points, y: Points) -> Points:
    left, bottom, right, top = FLANK
    stencil = _stencil()
    height, width = stencil.shape
    column = np.rint((x - left) / (right - left) * (width - 1)).astype(int)
    row = np.rint((top - y) / (top - bottom) * (height - 1)).astype(int)
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    return np.where(inside, stencil[np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)], 0.0)
