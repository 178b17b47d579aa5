"""Where the whole thing went: one rotation and shift, from many starts, by form, colour and place together."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations, product

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from lim_server.geometry.rotations import rotations
from lim_server.geometry.transport import shares

VAGUE = 0.01
"""Places closer together than this (diagonals) say little of how something is turned."""


def quarter_turns() -> Float[Tensor, "24 3 3"]:
    """The rotations of a cube; the first changes nothing."""
    eye = np.eye(3)
    signed = [eye[list(p)] * np.array(s)[:, None] for p in permutations(range(3)) for s in product((1, -1), repeat=3)]
    return torch.as_tensor(np.stack([m for m in signed if np.linalg.det(m) > 0]), dtype=torch.float32)


@dataclass(frozen=True, eq=False)
class Samples:
    """Points with unit normals and shares that sum to one."""

    points: Float[Tensor, "n 3"]
    normals: Float[Tensor, "n 3"]
    share: Float[Tensor, " n"]

    def first(self, count: int) -> Samples:
        """Only the first of them."""
        share = self.share[:count]
        return Samples(self.points[:count], self.normals[:count], share / share.sum())


def laid(
    x: Float[Tensor, "k 3"], y: Float[Tensor, "k 3"], turn: Float[Tensor, "3 3"]
) -> tuple[Float[Tensor, "3 3"], Float[Tensor, 3]]:
    """The rotation and shift that take x to y; what few places, or places on a line, leave open is as in `turn`."""
    here, there = x.mean(0), y.mean(0)
    turned = rotations((y - there).T @ (x - here) + VAGUE**2 * turn)
    return turned, there - turned @ here


def poses(
    one: Samples, other: Samples, unlike: Float[Tensor, "n m"], steps: int = 12
) -> tuple[Float[Tensor, "h 3 3"], Float[Tensor, "h 3"], Float[Tensor, " h"]]:
    """Rotation, shift and cost from every quarter turn, the cheapest first."""
    x, y = one.points, other.points
    middle, goal = one.share @ x, other.share @ y
    turn = quarter_turns().to(x.device)
    shift = goal - turn @ middle
    for i in range(steps):
        width = 0.25 * (0.08 / 0.25) ** (i / (steps - 1))
        kernel = torch.exp(-(_cost(one, other, turn, shift, width, 0.5) + 2 * unlike).clamp(max=60)) + 1e-20
        u, v = shares(kernel, one.share, other.share)
        weight, pull = (u * (kernel @ v))[..., 0], u * (kernel @ (v * y))
        total = weight.sum(1, keepdim=True)
        here, there = weight @ x / total, pull.sum(1) / total
        lever = torch.einsum("hni,hnj->hij", pull - weight[..., None] * there[:, None], x - here[:, None])
        turn = rotations(lever + 1e-6 * turn)
        shift = there - torch.einsum("hij,hj->hi", turn, here)
    cost = _cost(one, other, turn, shift, 0.08, 1.0) + unlike
    total = (one.share * cost.amin(2).clamp(max=8)).sum(1) + (other.share * cost.amin(1).clamp(max=8)).sum(1)
    order = torch.sort(total, stable=True).indices
    return turn[order], shift[order], total[order]


def _cost(
    one: Samples, other: Samples, turn: Float[Tensor, "h 3 3"], shift: Float[Tensor, "h 3"], width: float, facing: float
) -> Float[Tensor, "h n m"]:
    moved = one.points @ turn.transpose(1, 2) + shift[:, None]
    apart = torch.cdist(moved, other.points.expand(len(turn), -1, -1))
    cosine = (one.normals @ turn.transpose(1, 2)) @ other.normals.T
    return 0.5 * (apart / width) ** 2 + facing * (1 - cosine)
