"""A mesh in motion: what training and evaluation are given, made up or read from a studio's own assets."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from jaxtyping import Float32, Int32, UInt8
from numpy import ndarray

from lim_server.render.cameras import REACH


@dataclass(frozen=True, eq=False)
class Clip:
    """The same faces at every frame, in the ball of radius REACH over all frames.

    faces    int32 [f, 3]
    colours  uint8 [f, 3, 3]       sRGB albedo per face corner
    frames   float32 [t, n, 3]
    """

    faces: Int32[ndarray, "f 3"]
    colours: UInt8[ndarray, "f 3 3"]
    frames: Float32[ndarray, "t n 3"]

    def at(self, frames: list[int]) -> Clip:
        """These frames only, scaled into the ball anew."""
        return Clip(self.faces, self.colours, into_ball(self.frames[frames]))

    def turned(self, turn: Float32[ndarray, "3 3"]) -> Clip:
        """The same, turned as a whole."""
        return Clip(self.faces, self.colours, into_ball(self.frames @ turn.T))

    def motion(self) -> float:
        """How far points go from the first to the last frame on average, in half-sizes of the box."""
        return float(np.linalg.norm(self.frames[-1] - self.frames[0], axis=-1).mean())


def into_ball(frames: Float32[ndarray, "t n 3"]) -> Float32[ndarray, "t n 3"]:
    """Moved and scaled, all frames alike, so that the ball of radius REACH holds them."""
    centre = (frames.min(axis=(0, 1)) + frames.max(axis=(0, 1))) / 2
    radius = np.sqrt(((frames - centre) ** 2).sum(-1).max())
    return ((frames - centre) * (REACH / max(float(radius), 1e-9))).astype(np.float32)


class BadClip(ValueError):
    """A file that is no clip; the message names it, what was found and what to do."""


ARRAYS = {"faces": (np.int32, (-1, 3)), "colours": (np.uint8, (-1, 3, 3)), "frames": (np.float32, (-1, -1, 3))}
FEWEST = 3
"""Frames: two ends and one between."""


def read_clip(path: Path) -> Clip:
    """A clip that `lim clips` wrote; BadClip where it is none."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            faces, colours, frames = (arrays[name] for name in ARRAYS)
    except (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile, zlib.error) as error:
        raise BadClip(f"{path}: cannot be read as a clip ({error}). Make it anew with lim clips.") from error
    if fault := _fault(faces, colours, frames):
        raise BadClip(f"{path}: {fault}. Make it anew with lim clips, or take it out of the folder.")
    return Clip(faces, colours, into_ball(frames))


def _fault(faces: ndarray, colours: ndarray, frames: ndarray) -> str:
    for value, (name, (kind, shape)) in zip((faces, colours, frames), ARRAYS.items(), strict=True):
        fits = len(shape) == value.ndim and all(n in (-1, have) for n, have in zip(shape, value.shape, strict=True))
        if value.dtype != kind or not fits:
            return f"{name} is {value.dtype} {list(value.shape)}, wanted is {np.dtype(kind)} {list(shape)}"
    if len(faces) == 0 or len(colours) != len(faces):
        return f"{len(faces)} faces, colours for {len(colours)}"
    if len(frames) < FEWEST:
        return f"{len(frames)} frames, training takes {FEWEST} or more"
    if faces.min() < 0 or faces.max() >= frames.shape[1]:
        return f"faces name points {faces.min()} to {faces.max()}, there are {frames.shape[1]}"
    return "" if np.isfinite(frames).all() else "points that are not finite"
