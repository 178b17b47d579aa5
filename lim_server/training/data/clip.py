"""A mesh in motion: what training and evaluation are given, made up or read from a studio's own assets."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

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


def read_clip(path: Path) -> Clip:
    """A clip that `lim clips` wrote."""
    with np.load(path, allow_pickle=False) as arrays:
        return Clip(arrays["faces"], arrays["colours"], into_ball(arrays["frames"]))
