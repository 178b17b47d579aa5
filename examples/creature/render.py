"""A small studio: a mesh on a floor under two lights, ray cast with Embree. Colours are linear light, 0 to 1."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from embreex import rtcore_scene
from embreex.mesh_construction import TriangleMesh
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from lim_protocol.types import UInt8
from lim_usd.color import srgb

Floats = NDArray[np.float64]

SAMPLES = 3  # rays across a pixel, each way
SHADOW_RAYS, SKY_RAYS, FLOOR_RAYS = 2, 6, 24
SUN_WIDTH = 0.07
FLOOR = 0.90
LINE = 0.80
# Of the diagonal: how far the floor is seen, and what stands nearer than this darkens it.
FLOOR_REACH, SKY_REACH = 0.95, 0.35


@dataclass(frozen=True)
class View:
    """A camera at `eye`, looking at `target`; `fov` is its vertical opening in degrees."""

    eye: Floats
    target: Floats
    up: Floats
    fov: float

    def axes(self) -> tuple[Floats, Floats, Floats]:
        """Right, up and forward, unit length."""
        forward = _unit(self.target - self.eye)
        right = _unit(np.cross(forward, self.up))
        return right, np.cross(right, forward), forward

    def rays(self, width: int, height: int) -> Floats:
        """Unit directions through the pixels' centres, [height * width, 3]."""
        right, up, forward = self.axes()
        half = np.tan(np.radians(self.fov) / 2)
        x = ((np.arange(width) + 0.5) * 2 - width) / height * half
        y = (height - (np.arange(height) + 0.5) * 2) / height * half
        return _unit((forward + x[None, :, None] * right + y[:, None, None] * up).reshape(-1, 3))

    def project(self, places: Floats, width: int, height: int) -> Floats:
        """Columns and rows of places in front of the camera, [..., 2]."""
        right, up, forward = self.axes()
        off = places - self.eye
        scale = height / 2 / np.tan(np.radians(self.fov) / 2) / (off @ forward)
        return np.stack([width / 2 + (off @ right) * scale, height / 2 - (off @ up) * scale], axis=-1)


@dataclass(frozen=True)
class Floor:
    """A level floor, under everything, with lines at multiples of `spacing`."""

    height: float
    spacing: float
    reach: float


class Shot:
    """One mesh seen once, to be painted as often as wanted.

    hit       bool  [samples of the image]  where the mesh is
    triangle  int   [hits]                  the triangle there
    weights   float [hits, 3]               its corners' weights
    """

    def __init__(
        self,
        points: Floats,
        triangles: NDArray[np.int64],
        view: View,
        width: int,
        height: int,
        floor: Floor,
        flat: bool,
    ) -> None:
        self.view, self.width, self.height = view, width, height
        self.points, self.triangles = points.astype(np.float64), triangles
        self.scene = rtcore_scene.EmbreeScene()
        TriangleMesh(self.scene, points.astype(np.float32), triangles.astype(np.int32))
        self.rng = np.random.default_rng(7)
        self.sun = _unit(view.up * 1.0 - view.axes()[0] * 0.55 - view.axes()[2] * 0.75)
        self.fill = _unit(view.axes()[0] * 0.9 + view.up * 0.15 - view.axes()[2] * 0.5)
        rays = view.rays(width * SAMPLES, height * SAMPLES)
        found = self.scene.run(*_bundle(view.eye, rays), output=1)
        self.hit = found["primID"] >= 0
        self.triangle = found["primID"][self.hit]
        u, v = found["u"][self.hit].astype(np.float64), found["v"][self.hit].astype(np.float64)
        self.weights = np.stack([1 - u - v, u, v], axis=1)
        self.light = self._lit(rays[self.hit], floor.reach, flat)
        self.backdrop = self._floor(floor)

    def of_points(self, values: Floats) -> Floats:
        """Values of points at the hits."""
        return np.asarray(np.einsum("nk,nkc->nc", self.weights, values[self.triangles[self.triangle]]))

    def painted(self, color: Floats) -> UInt8:
        """The image, uint8 [height, width, 3], for colours at the hits."""
        image = np.repeat(np.repeat(self.backdrop, SAMPLES, axis=0), SAMPLES, axis=1).reshape(-1, 3)
        image[self.hit] = color * self.light[:, None]
        image = image.reshape(self.height, SAMPLES, self.width, SAMPLES, 3)
        return srgb(np.clip(image, 0, 1).mean(axis=(1, 3)))

    def lines(self, edges: NDArray[np.bool_], thickness: float) -> Floats:
        """How much of a line each hit is on, 0 to 1; `edges` tells which side across from a corner is drawn."""
        size = np.array([self.width, self.height])
        corners = self.view.project(self.points, *size)[self.triangles[self.triangle]]
        here = np.einsum("nk,nkc->nc", self.weights, corners)
        cover = np.zeros(len(here))
        for k in range(3):
            a, b = corners[:, (k + 1) % 3], corners[:, (k + 2) % 3]
            length = np.maximum(np.linalg.norm(b - a, axis=1), 1e-9)
            away = np.abs(_cross(b - a, here - a)) / length
            strength = np.clip((length - 1.0) / 5.0, 0.12, 1.0) * edges[self.triangle, k]
            cover = np.maximum(cover, strength * np.clip(thickness - away + 0.5, 0, 1))
        return cover

    def _lit(self, rays: Floats, reach: float, flat: bool) -> Floats:
        corners = self.points[self.triangles]
        facing = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        smooth = np.zeros_like(self.points)
        np.add.at(smooth, self.triangles, facing[:, None])
        face = _unit(facing[self.triangle])
        normal = face if flat else _unit(self.of_points(smooth))
        # What is seen from behind is a hole or turned inside out, and shows as dark.
        inside = np.einsum("ij,ij->i", face, rays) > 0
        places = self.of_points(self.points) + face * 1e-4 * reach
        sun = np.maximum(normal @ self.sun, 0) * self._seen(places, self.sun, SUN_WIDTH, SHADOW_RAYS, np.inf)
        sky = self._seen(places, normal, 1.0, SKY_RAYS, SKY_REACH * reach)
        light = 0.44 * sky * (0.8 + 0.2 * (normal @ self.view.up))
        light += 0.80 * sun + 0.16 * np.maximum(normal @ self.fill, 0)
        return np.where(inside, 0.1, light)

    def _floor(self, floor: Floor) -> Floats:
        rays = self.view.rays(self.width, self.height)
        depth = (floor.height - self.view.eye @ self.view.up) / np.minimum(rays @ self.view.up, -1e-9)
        places = self.view.eye + depth[:, None] * rays
        below = self.view.target + (floor.height - self.view.target @ self.view.up) * self.view.up
        away = np.linalg.norm(places - below, axis=1) / floor.reach
        seen = np.flatnonzero((rays @ self.view.up < 0) & (away < 1))
        places = places[seen] + 1e-4 * floor.reach * self.view.up
        up = np.broadcast_to(self.view.up, places.shape)
        sun = self._calmed(seen, self._seen(places, self.sun, SUN_WIDTH, FLOOR_RAYS, np.inf))
        sky = self._calmed(seen, self._seen(places, up, 1.0, FLOOR_RAYS, SKY_REACH * floor.reach))
        fade = np.square(1 - np.square(away[seen]))
        dark = 1 - (1 - (0.62 + 0.38 * sun) * (0.55 + 0.45 * sky)) * np.minimum(3 * fade, 1)
        image = np.full((len(rays), 3), FLOOR)
        line = self._grid(places, rays[seen], depth[seen], floor.spacing)
        image[seen] = (FLOOR + (LINE - FLOOR) * (line * fade)[:, None]) * dark[:, None]
        return image.reshape(self.height, self.width, 3)

    def _calmed(self, seen: NDArray[np.int64], values: Floats) -> Floats:
        """Values at some pixels without the grain of few rays."""
        image = np.ones(self.width * self.height)
        image[seen] = values
        return np.asarray(gaussian_filter(image.reshape(self.height, self.width), 1.2).ravel()[seen])

    def _grid(self, places: Floats, rays: Floats, depth: Floats, spacing: float) -> Floats:
        pixel = 2 * np.tan(np.radians(self.view.fov) / 2) / self.height * depth
        slant = np.maximum(-(rays @ self.view.up), 0.05)
        cover = np.zeros(len(places))
        for axis in np.flatnonzero(self.view.up == 0):
            off = np.abs(places[:, axis] / spacing - np.rint(places[:, axis] / spacing)) * spacing
            cover = np.maximum(cover, np.clip(1.0 - off / (pixel * (0.5 + 0.5 / slant)), 0, 1))
        return cover

    def _seen(self, places: Floats, towards: Floats, spread: float, count: int, reach: float) -> Floats:
        """Share of rays that leave each place without meeting the mesh within reach; cosine-weighted at spread 1."""
        free = np.zeros(len(places))
        start = places.astype(np.float32)
        for _ in range(count):
            ball = _unit(self.rng.normal(size=places.shape))
            rays = (towards + spread * ball * (0.999 if spread == 1.0 else 1.0)).astype(np.float32)
            far = self.scene.run(start, _unit(rays).astype(np.float32), query="DISTANCE")
            free += far > reach if np.isfinite(reach) else far > 1e30
        return free / count


def _unit(vectors: NDArray[np.floating]) -> Floats:
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.maximum(length, 1e-20), np.float64)


def _cross(a: Floats, b: Floats) -> Floats:
    return np.asarray(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0])


def _bundle(eye: Floats, rays: Floats) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    return np.tile(eye.astype(np.float32), (len(rays), 1)), rays.astype(np.float32)
