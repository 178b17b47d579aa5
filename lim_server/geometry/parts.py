"""Where each part may have gone: laid on the parts of the other side that look like it, from many starts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from lim_server.geometry.cover import Cover
from lim_server.geometry.farthest import farthest_points
from lim_server.geometry.rigid import quarter_turns
from lim_server.geometry.rotations import rotations

MOST_PARTS = 100
SAMPLES, DENSE = 32, 128
UNTURNED, TRIED = 24, 5
"""The start that changes nothing, and how many starts are followed."""
ALONG = 4.0
"""A place off along the surface is as bad as a fourth of that across it: samples seldom coincide."""


@dataclass(frozen=True, eq=False)
class Parts:
    """The parts of a cover, the largest first, with a few samples each (repeated where a part has fewer points)."""

    cover: Cover
    names: Int[ndarray, " p"]
    samples: Int[ndarray, "p k"]
    middle: Float[ndarray, "p 3"]
    axes: Float[ndarray, "p 3 3"]
    radius: Float[ndarray, " p"]
    area: Float[ndarray, " p"]
    look: Float[ndarray, "p c"]

    @classmethod
    def of(cls, cover: Cover, *, colored: bool, least: float = 1e-7) -> Parts:
        """Those with at least that share of the surface, at most MOST_PARTS of them."""
        size = np.bincount(cover.part, cover.area)
        names = np.argsort(-size, kind="stable")
        names = names[size[names] > least * size.sum()][:MOST_PARTS]
        rows = [_describe(cover, np.flatnonzero(cover.part == p), colored) for p in names]
        samples, middle, axes, radius, look = (np.stack(c) for c in zip(*rows, strict=True))
        return cls(cover, names, samples, middle, axes, radius, size[names], look)


def _describe(
    cover: Cover, at: Int[ndarray, " i"], colored: bool
) -> tuple[Int[ndarray, " k"], Float[ndarray, 3], Float[ndarray, "3 3"], Float[ndarray, ""], Float[ndarray, " c"]]:
    points, area = cover.points[at], cover.area[at] + 1e-12
    middle = np.average(points, axis=0, weights=area)
    spread = (points - middle).T @ ((points - middle) * area[:, None]) / area.sum()
    values, axes = np.linalg.eigh(spread)
    axes[:, 0] *= np.sign(np.linalg.det(axes))
    radius = np.sqrt(max(values.sum(), 1e-7))
    look = [np.log(area.sum()) / 0.15, *(0.5 * np.log(np.maximum(values, 0) + 1e-6) / 0.3)]
    if colored and cover.colors is not None:
        mean = np.average(cover.colors[at], axis=0, weights=area)
        look += [*(mean / 0.08), *(np.sqrt(np.average((cover.colors[at] - mean) ** 2, axis=0, weights=area)) / 0.08)]
    chosen = farthest_points(np.concatenate([points / radius, 0.5 * cover.normals[at]], axis=1), DENSE)
    return np.resize(at[chosen], DENSE), middle, axes, np.array(radius), np.array(look)


@dataclass(frozen=True, eq=False)
class Moves:
    """Candidates of one part: turn and shift, cost, and the target's part."""

    turn: Float[ndarray, "c 3 3"]
    shift: Float[ndarray, "c 3"]
    cost: Float[ndarray, " c"]
    goal: Int[ndarray, " c"]


def moves(one: Parts, other: Parts, device: str, alike: int = 6, most: int = 12) -> list[Moves]:
    """For every part of the one its cheapest different places on the other."""
    unlike = np.sqrt(((one.look[:, None] - other.look) ** 2).sum(axis=2))
    near = np.argsort(unlike, axis=1, kind="stable")[:, :alike]
    part, goal = np.repeat(np.arange(len(one.names)), near.shape[1]), near.ravel()
    keep = unlike[part, goal] <= np.maximum(12, 1.5 * unlike.min(axis=1)[part])
    part, goal = part[keep], goal[keep]
    rough = _Laying(one, other, part, goal, SAMPLES, device)
    turn, shift = rough.starts()
    # of the ways to lay a symmetric part those that turn it least are worth a try first, and no turn at all always
    score = rough.score(turn, shift, 0.3) - 0.1 * turn.diagonal(dim1=-2, dim2=-1).sum(-1)
    score[:, UNTURNED] = -1e3
    best = torch.sort(score, dim=1, stable=True).indices[:, :TRIED]
    turn, shift = torch.take_along_dim(turn, best[..., None, None], dim=1), shift[:, :TRIED]
    turn, shift = rough.refine(turn, shift, 0.35, 0.1, 8)
    kept = _different(rough, turn, shift, rough.score(turn, shift, 0.12), part, most)
    row, at = kept.T
    dense = _Laying(one, other, part[row], goal[row], DENSE, device)
    turn, shift = dense.refine(turn[row, at][:, None], shift[row, at][:, None], 0.1, 0.06, 3)
    cost = dense.score(turn, shift, 0.06)[:, 0].cpu().double().numpy()
    turns, shifts = (x[:, 0].cpu().double().numpy() for x in dense.world(turn, shift))
    mine = [np.flatnonzero(part[row] == p) for p in range(len(one.names))]
    return [Moves(turns[i], shifts[i], cost[i], goal[row][i]) for i in mine]


def _different(
    laying: _Laying,
    turn: Float[Tensor, "q s 3 3"],
    shift: Float[Tensor, "q s 3"],
    cost: Float[Tensor, "q s"],
    part: Int[ndarray, " q"],
    most: int,
) -> Int[ndarray, "kept 2"]:
    """Which (row, start) to keep: of each part the cheapest that lie a tenth of its radius apart."""
    place = laying.placed(turn, shift).cpu().numpy()
    price = cost.cpu().numpy()
    out = []
    for p in np.unique(part):
        rows = np.flatnonzero(part == p)
        kept: list[tuple[int, int]] = []
        for flat in np.argsort(price[rows], axis=None, kind="stable"):
            at = (int(rows[flat // price.shape[1]]), int(flat % price.shape[1]))
            if all(np.linalg.norm(place[at] - place[k], axis=1).mean() > 0.01 for k in kept):
                kept.append(at)
            if len(kept) == most:
                break
        out += kept
    return np.array(out)


class _Laying:
    """Pairs of parts, one to be laid on the other as if rigid; lengths in radii of the first."""

    def __init__(
        self, one: Parts, other: Parts, part: Int[ndarray, " q"], goal: Int[ndarray, " q"], count: int, device: str
    ):
        def tensor(x: Float[ndarray, ...]) -> Float[Tensor, ...]:
            return torch.as_tensor(x, dtype=torch.float32, device=device)

        mine, theirs = one.samples[part, :count], other.samples[goal, :count]
        self.size = tensor(one.radius[part])[:, None, None]
        self.middle, self.goal = tensor(one.middle[part]), tensor(other.middle[goal])
        self.x = ((tensor(one.cover.points[mine]) - self.middle[:, None]) / self.size)[:, None]
        self.y = ((tensor(other.cover.points[theirs]) - self.goal[:, None]) / self.size)[:, None]
        self.x_normals = tensor(one.cover.normals[mine])[:, None]
        self.y_normals = tensor(other.cover.normals[theirs])[:, None]
        self.axes = tensor(one.axes[part]), tensor(other.axes[goal])
        self.paint = torch.zeros((len(part), 1, 1, 1), device=device)
        if one.look.shape[1] > 4 and one.cover.colors is not None and other.cover.colors is not None:
            a, b = tensor(one.cover.colors[mine]), tensor(other.cover.colors[theirs])
            self.paint = (0.5 * (torch.cdist(a, b) / 0.1) ** 2).clamp(max=3)[:, None]

    def starts(self) -> tuple[Float[Tensor, "q s 3 3"], Float[Tensor, "q s 3"]]:
        """The quarter turns, as the parts stand and from main axes to main axes."""
        cube = quarter_turns().to(self.x.device)
        own = self.axes[1][:, None] @ cube @ self.axes[0].transpose(1, 2)[:, None]
        turn = torch.cat([own, cube.expand(len(own), -1, -1, -1)], dim=1)
        return turn, torch.zeros((*turn.shape[:2], 3), device=self.x.device)

    def cost(
        self, turn: Float[Tensor, "q s 3 3"], shift: Float[Tensor, "q s 3"], width: float
    ) -> Float[Tensor, "q s k k"]:
        back = turn.transpose(-1, -2)
        apart = torch.cdist(self.x @ back + shift[..., None, :], self.y.expand(-1, turn.shape[1], -1, -1))
        cosine = (self.x_normals @ back) @ self.y_normals.transpose(-1, -2)
        return 0.5 * (apart / width) ** 2 + 1.5 * (1 - cosine) + self.paint

    def score(
        self, turn: Float[Tensor, "q s 3 3"], shift: Float[Tensor, "q s 3"], width: float
    ) -> Float[Tensor, "q s"]:
        """Mean cost of the nearest, both ways, across the surface far more than along it: samples seldom coincide."""
        back = turn.transpose(-1, -2)
        moved = self.x @ back + shift[..., None, :]
        normals = self.y_normals.transpose(-1, -2)
        across = moved @ normals - (self.y * self.y_normals).sum(-1)[..., None, :]
        apart = torch.cdist(moved, self.y.expand(-1, turn.shape[1], -1, -1))
        off = across**2 + ((apart**2 - across**2) / ALONG**2).clamp(min=0)
        cost = 0.5 * off / width**2 + 1.5 * (1 - (self.x_normals @ back) @ normals) + self.paint
        cost = cost.clamp(max=8)
        return cost.amin(-1).mean(-1) + cost.amin(-2).mean(-1)

    def refine(
        self, turn: Float[Tensor, "q s 3 3"], shift: Float[Tensor, "q s 3"], wide: float, narrow: float, steps: int
    ) -> tuple[Float[Tensor, "q s 3 3"], Float[Tensor, "q s 3"]]:
        """Soft matching both ways and the rigid motion that fits it, narrower step by step."""
        for i in range(steps):
            kernel = torch.exp(-self.cost(turn, shift, wide * (narrow / wide) ** (i / (steps - 1))).clamp(max=40))
            match = kernel / (kernel.sum(-1, keepdim=True) + 1e-4) + kernel / (kernel.sum(-2, keepdim=True) + 1e-4)
            weight, pull = match.sum(-1, keepdim=True), match @ self.y
            whole = weight.sum(-2) + 1e-9
            here, there = (weight * self.x).sum(-2) / whole, pull.sum(-2) / whole
            lever = (pull - weight * there[..., None, :]).transpose(-1, -2) @ (self.x - here[..., None, :])
            turn = rotations(lever + 1e-6 * turn)
            shift = there - (turn @ here[..., None])[..., 0]
        return turn, shift

    def world(
        self, turn: Float[Tensor, "q s 3 3"], shift: Float[Tensor, "q s 3"]
    ) -> tuple[Float[Tensor, "q s 3 3"], Float[Tensor, "q s 3"]]:
        """The motions in the frame's units."""
        turned = (turn @ self.middle[:, None, :, None])[..., 0]
        return turn, self.goal[:, None] + shift * self.size - turned

    def placed(self, turn: Float[Tensor, "q s 3 3"], shift: Float[Tensor, "q s 3"]) -> Float[Tensor, "q s k 3"]:
        """The samples where the motions take them, in the frame's units."""
        local = self.x @ turn.transpose(-1, -2) + shift[..., None, :]
        return local * self.size[..., None] + self.goal[:, None, None]
