"""Things with two legs that look alike and swing past each other, in one piece and in several."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from lim_protocol.types import Mesh
from lim_server.geometry.isosurface import isosurface
from tests.lim_server.geometry.things import about, box, together
from tests.lim_server.stages.creatures import mesh

HIP = 0.12
"""Height of the joint that the legs turn about, hidden in the trunk."""


def puppet(swing: float, cuts: int) -> Mesh:
    """A trunk with a nose and two legs, all apart; the legs swing about hips in the trunk, one the other way."""
    pieces = [box((0.6, 0.4, 0.7), (0, 0, 0.3), cuts), box((0.15, 0.3, 0.15), (0, 0.3, 0.5), cuts)]
    for side in (1, -1):
        points, faces = box((0.2, 0.22, 0.75), (0.18 * side, 0, -0.3), cuts)
        points[:, 1] += 0.4 * np.maximum(-0.45 - points[:, 2], 0)  # toes
        hip = np.array([0.18 * side, 0, HIP])
        pieces.append(((points - hip) @ about((1, 0, 0), side * swing).T + hip, faces))
    made = together(*pieces)
    at_rest = made.points if not swing else puppet(0, cuts).points
    return replace(made, colors=(127 + 60 * np.sin(4 * np.abs(at_rest) + [0, 1, 2])).astype(np.uint8))


def walker(swing: float, side: int) -> Mesh:
    """One surface with four legs, a head and a tail; the front legs swing about hips in the body, one the other way."""
    points, triangles = isosurface(_body, 0.0, side)
    moved = points.copy()
    for sign in (1, -1):
        hip = np.array([0.2 * sign, 0.0, 0.45])
        leg = (np.sign(points[:, 0]) == sign) & (points[:, 2] > 0.1)
        share = np.clip((0.02 - points[:, 1]) / 0.25, 0, 1) * leg
        turned = (points - hip) @ about((1, 0, 0), sign * swing).T + hip
        moved += share[:, None] * (turned - points)
    return mesh(moved, triangles, _coat(points))


def _body(x: torch.Tensor) -> torch.Tensor:
    bones = [((0, 0.1, -0.5), (0, 0.1, 0.5), 0.2), ((0, 0.15, 0.5), (0, 0.4, 0.8), 0.1)]
    bones += [((0.2 * s, 0, 0.45), (0.2 * s, -0.75, 0.45), 0.09) for s in (1, -1)]
    bones += [((0.15 * s, 0, -0.55), (0.15 * s, -0.8, -0.6), 0.07) for s in (1, -1)]
    return torch.stack([radius - _apart(x, *torch.tensor((a, b))) for a, b, radius in bones]).amax(0)


def _apart(x: torch.Tensor, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    along = ((x - a) @ (b - a) / (b - a).square().sum()).clamp(0, 1)
    return torch.linalg.vector_norm(x - a - along[:, None] * (b - a), dim=1)


def _coat(points: NDArray[np.float64]) -> NDArray[np.uint8]:
    """The same left and right."""
    return (127 + 60 * np.sin(3 * points * np.sign(points[:, :1]) ** [1, 0, 0] + [0, 1, 2])).astype(np.uint8)
