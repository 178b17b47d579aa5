"""Folders of clips as `lim clips` writes them, whose every frame tells its own time."""

from __future__ import annotations

from pathlib import Path

import numpy as np

DRIFT = np.array([0.4, 0.1, -0.3], np.float32)
"""How far the last point goes in a frame; all others stand still."""


def arrays(frames: int = 9, seed: int = 0) -> dict[str, np.ndarray]:
    """A tetrahedron, one point of which moves evenly."""
    points = np.random.default_rng(seed).normal(size=(4, 3)).astype(np.float32)
    moving = np.repeat(points[None], frames, 0)
    moving[:, 3] += np.arange(frames, dtype=np.float32)[:, None] * DRIFT
    faces = np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [2, 0, 3]], np.int32)
    colours = (np.arange(36, dtype=np.uint8) * 7).reshape(4, 3, 3)
    return {"faces": faces, "colours": colours, "frames": moving}


def write(path: Path, **changed: object) -> Path:
    """One clip, with arrays replaced, or left out where None is given."""
    held = arrays() | {"fps": np.float64(24), "name": np.str_("a")} | changed
    np.savez_compressed(path, **{name: value for name, value in held.items() if value is not None})  # type: ignore[arg-type]
    return path
