"""Folders of posed images for the tests: a ball of known place and colour, drawn exactly."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

ANGLE = 0.7
SIZE = (120, 90)
AROUND = ((0, 20), (90, -20), (180, 20), (270, -20))


def pose(azimuth: float, elevation: float, away: float = 4.0, up: str = "Y") -> np.ndarray:
    """Camera to world, [4, 4], of one that looks at the origin; degrees."""
    a, e = np.radians([azimuth, elevation])
    back = np.array([np.cos(e) * np.sin(a), np.sin(e), np.cos(e) * np.cos(a)])
    right = np.array([np.cos(a), 0, -np.sin(a)])
    axes = np.stack([right, np.cross(back, right), back, back * away], axis=1)
    if up == "Z":
        axes = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]]) @ axes
    return np.concatenate([axes, [[0, 0, 0, 1]]])


def ball_image(matrix: np.ndarray, centre: Sequence[float], radius: float, size: tuple[int, int] = SIZE) -> np.ndarray:
    """RGBA [height, width, 4]: a ball whose colour is its normal: red along x, green y, blue z."""
    width, height = size
    focal = width / 2 / np.tan(ANGLE / 2)
    x, y = np.meshgrid(np.arange(width) + 0.5 - width / 2, height / 2 - np.arange(height) - 0.5)
    rays = np.stack([x / focal, y / focal, -np.ones_like(x)], -1) @ matrix[:3, :3].T
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    to = matrix[:3, 3] - np.asarray(centre)
    b = rays @ to
    inside = b * b - to @ to + radius**2
    normal = (to + rays * (-b - np.sqrt(np.maximum(inside, 0)))[..., None]) / radius
    colour = np.clip(normal * 100 + 128, 0, 255)
    return np.concatenate([colour, np.where(inside > 0, 255, 0)[..., None]], -1).round().astype(np.uint8)


def write_views(
    folder: Path,
    centre: Sequence[float] = (0, 0, 0),
    radius: float = 0.6,
    around: Sequence[tuple[float, float]] = AROUND,
    up: str = "Y",
    **more: Any,
) -> Path:
    """A folder of views of the ball; `more` goes into cameras.json as it is, None takes out."""
    folder.mkdir(parents=True, exist_ok=True)
    frames = []
    for k, (azimuth, elevation) in enumerate(around):
        matrix = pose(azimuth, elevation, up=up)
        Image.fromarray(ball_image(matrix, centre, radius)).save(folder / f"r_{k}.png")
        frames.append({"file_path": f"./r_{k}", "transform_matrix": matrix.tolist()})
    whole = {"camera_angle_x": ANGLE, "frames": frames, **more}
    (folder / "cameras.json").write_text(json.dumps({name: v for name, v in whole.items() if v is not None}))
    return folder
