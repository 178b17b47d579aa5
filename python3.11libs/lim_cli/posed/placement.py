"""The box [-1, 1]^3, y up, that the model works in, and its place in the world."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lim_cli.posed.cameras import Camera, Floats
from lim_protocol.types import Float32
from lim_usd.source import UpAxis

REACH = 0.95
"""Radius of the ball that the thing fills in the box: what the models were trained with."""


@dataclass(frozen=True, eq=False)
class Placement:
    """From the world to the box and back: shifted, turned, scaled.

    centre  [3]     the box's middle, in the world
    turn    [3, 3]  world to box
    scale           of lengths
    """

    centre: Floats
    turn: Floats
    scale: float

    def camera(self, camera: Camera) -> Floats:
        """A camera's axes and position in the box, [3, 4]."""
        position = self.turn @ (camera.position - self.centre) * self.scale
        return np.concatenate([self.turn @ camera.world[:, :3], position[:, None]], axis=1)

    def undo(self, points: Float32) -> Float32:
        """Points of the box, [n, 3], in the world."""
        return ((points.astype(np.float64) / self.scale) @ self.turn + self.centre).astype(np.float32)


def fitted(hulls: Sequence[Floats], turn: Floats) -> list[Placement]:
    """A placement per key: in the middle of each key's hull, and as large for all, so that none changes its size."""
    middles = [(hull.min(axis=0) + hull.max(axis=0)) / 2 for hull in hulls]
    radius = max(float(np.linalg.norm(hull - middle, axis=1).max()) for hull, middle in zip(hulls, middles))
    return [Placement(middle, turn, REACH / radius) for middle in middles]


def boxed(aabb: Floats, turn: Floats) -> Placement:
    """The box that somebody gave, its longest side filling ours."""
    return Placement(aabb.mean(axis=0), turn, 2 / float((aabb[1] - aabb[0]).max()))


def up_of(cameras: Sequence[Camera]) -> UpAxis:
    """The axis of the world that the cameras' own up is nearer to."""
    mean = np.mean([camera.world[:, 1] for camera in cameras], axis=0)
    return "Z" if mean[2] > mean[1] else "Y"


def upright(up_axis: UpAxis) -> Floats:
    """World to a world with y up."""
    return np.eye(3) if up_axis == "Y" else np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])


def facing(directions: Floats) -> Floats:
    """The turn about y, [3, 3], that brings views nearest to the rig that the model was trained with: from the four
    sides, from in front and behind looking down, from the sides looking up. `directions` [views, 3] go to the cameras.
    """
    azimuth = np.arctan2(directions[:, 0], directions[:, 2])
    off = np.angle(np.exp(4j * azimuth).mean()) / 4
    elevation = directions[:, 1] / np.linalg.norm(directions, axis=1)
    if (elevation * np.cos(2 * (azimuth - off))).sum() < -1e-9:
        off += np.pi / 2
    c, s = np.cos(off), np.sin(off)
    return np.array([[c, 0, -s], [0, 1, 0], [s, 0, c]])


def spread(directions: Floats, most: int) -> list[int]:
    """Which views to take of many: the farthest from those taken already, again and again; sorted."""
    taken = [int(directions[:, 1].argmin())] if len(directions) > most else list(range(len(directions)))
    alike = directions @ directions.T
    while len(taken) < min(most, len(directions)):
        taken.append(int(alike[:, taken].max(axis=1).argmin()))
    return sorted(taken)
