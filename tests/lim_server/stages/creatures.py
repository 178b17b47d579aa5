"""Little meshes that bend, for the tracker's tests."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lim_protocol.types import Mesh


def mesh(points: NDArray[np.floating], triangles: NDArray[np.integer], colors: NDArray[np.uint8] | None = None) -> Mesh:
    faces = np.asarray(triangles, np.int32)
    return Mesh(points.astype(np.float32), np.full(len(faces), 3, np.int32), faces.ravel(), colors=colors)


def limb(rings: int, around: int, bend: float, colored: bool = False) -> Mesh:
    """A closed tapering tube of length 2, its upper half turned about its middle by an angle (radians)."""
    z = np.linspace(-1, 1, rings)
    angle = np.linspace(0, 2 * np.pi, around, endpoint=False)
    radius = 0.3 - 0.1 * z
    side = np.stack(
        [radius[:, None] * np.cos(angle), 0.6 * radius[:, None] * np.sin(angle), np.repeat(z[:, None], around, 1)],
        axis=-1,
    ).reshape(-1, 3)
    points = np.concatenate([side, [[0, 0, -1.1], [0, 0, 1.1]]])
    a = np.arange(rings * around).reshape(rings, around)
    b = np.roll(a, -1, axis=1)
    quads = np.stack([a[:-1], b[:-1], b[1:], a[1:]], axis=-1).reshape(-1, 4)
    low = np.stack([np.full(around, len(side)), b[0], a[0]], axis=1)
    high = np.stack([np.full(around, len(side) + 1), a[-1], b[-1]], axis=1)
    triangles = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]], low, high])
    colors = None
    if colored:
        colors = (127 + 120 * np.sin(3 * points + [0, 1, 2])).astype(np.uint8)
    t = bend * np.clip(points[:, 2] + 0.3, 0, 0.6) / 0.6
    h = points[:, 2]
    pivot = np.stack([h * 0, h * 0, np.clip(h, -0.3, 0.3)], axis=1)
    r = points - pivot
    sin, cos = np.sin(t), np.cos(t)
    turned = np.stack([r[:, 0] * cos + r[:, 2] * sin, r[:, 1], r[:, 2] * cos - r[:, 0] * sin], axis=1)
    return mesh(turned + pivot, triangles, colors)
