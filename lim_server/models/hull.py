"""What the views tell of every place of the box, before anything is learned (ours; only the small presets use it).

The cells of a grid that lie inside all masks are listed (the visual hull, Laurentini 1994); all else is empty, and
costs nothing from here on. Of each it is told how far its eighths are inside, and what colour it has: the views' mean,
where a view says the less the farther behind the hull's front it has the cell, and how much they differ about it
(photo consistency, Seitz and Dyer 1997). All of that is the same in whatever order the views come.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import max_pool2d, pad

from lim_server.render.cameras import Cameras

BEHIND = (0.03, 0.12, torch.inf)
"""How far behind the front, in half-sizes of the box, a view's word weighs 1 / e: what it is told of, thrice."""
EVIDENCE = 8 + 3 + 3 + 3 + 5 * len(BEHIND)
"""Eighths; means of these, of the masks and of the distances behind the front; place; range of colours; `_shade`s."""
LEAST = 0.05
"""A cell is listed where an eighth of it is inside by so much,"""
SOLID = 0.4
"""and is part of the front where the whole of it is by so much."""


@dataclass(frozen=True, eq=False)
class Cells:
    """Listed cells of a batch of grids: of each the sample, x, y and z; no cell twice."""

    at: Int[Tensor, "n 4"]
    batch: int
    side: int

    @property
    def flat(self) -> Int[Tensor, " n"]:
        """Number of each among all cells of all grids."""
        sample, x, y, z = self.at.unbind(1)
        return ((sample * self.side + x) * self.side + y) * self.side + z

    @property
    def places(self) -> Float[Tensor, "n 3"]:
        """Their middles in the box."""
        return (2 * self.at[:, 1:] + 1) / self.side - 1

    def dense(self, values: Float[Tensor, "n c"]) -> Float[Tensor, "b x y z c"]:
        """Values of all cells, zero where none is listed."""
        grid = values.new_zeros(self.batch * self.side**3, values.shape[1])
        return grid.index_put((self.flat,), values).view(self.batch, self.side, self.side, self.side, -1)


def eighths(device: torch.device) -> Int[Tensor, "8 3"]:
    """x, y and z of a cell's parts, 0 or 1, in the order in which they are counted."""
    two = torch.arange(2, device=device)
    return torch.cartesian_prod(two, two, two)


def painted(told: Float[Tensor, "n 32"], colour: Float[Tensor, "n 3"]) -> Float[Tensor, "n 32"]:
    """The same evidence where every view agrees on other colours."""
    shades = [
        torch.cat((colour, torch.zeros_like(s[:, :1]), s[:, 4:]), 1) for s in told[:, -5 * len(BEHIND) :].split(5, 1)
    ]
    return torch.cat((told[:, :14], torch.zeros_like(colour), *shades), 1)


@torch.no_grad()
def evidence(
    colour: Float[Tensor, "b v 3 s s"], mask: Float[Tensor, "b v 1 s s"], cameras: Cameras, side: int
) -> tuple[Cells, Float[Tensor, "n 32"]]:
    """The hull's cells, and what is told of each."""
    found = [
        _told(colour[sample], mask[sample], cameras[sample], side)  # one at a time stays in the cache
        for sample in range(len(mask))
    ]
    at = [pad(cells, (1, 0), value=sample) for sample, (cells, _) in enumerate(found)]
    return Cells(torch.cat(at), len(mask), side), torch.cat([told for _, told in found])


def _told(
    colour: Float[Tensor, "v 3 s s"], mask: Float[Tensor, "v 1 s s"], cameras: Cameras, side: int
) -> tuple[Int[Tensor, "n 3"], Float[Tensor, "n 32"]]:
    size = mask.shape[-1]
    image = _softened(torch.cat((colour, mask), 1)).flatten(2)  # the colour is weighed by the mask already
    at = _perhaps(mask, cameras, side)
    parts = ((2 * at[:, None] + eighths(at.device)).flatten(0, 1) + 0.5) / side - 1
    pixel, hit, _ = pixels(cameras, parts, size)
    inside = (image[:, 3].gather(1, pixel) * hit).prod(0).view(-1, 8)
    kept = inside.amax(1) > LEAST
    at, inside = at[kept], inside[kept]
    middle = (2 * at + 1) / side - 1
    pixel, hit, depth = pixels(cameras, middle, size)
    seen = image.gather(2, pixel[:, None].expand(-1, 4, -1)) * hit[:, None]
    there = seen[:, 3]
    tint = seen[:, :3] / there[:, None].clamp(min=1e-3)
    behind = _behind(pixel, depth, inside.mean(1) > SOLID, size)
    shades = [_shade(tint, there * torch.exp(-behind / far) + 1e-4) for far in BEHIND]
    means = torch.stack((inside.mean(1), there.mean(0), behind.mean(0)), 1)
    return at, torch.cat((inside, means, middle, (tint.amax(0) - tint.amin(0)).mT, *shades), 1)


def _softened(image: Float[Tensor, "v c s s"]) -> Float[Tensor, "v c s s"]:
    """Mean over 3 x 3 pixels."""
    across = pad(image, (1, 1, 1, 1))
    down = across[..., :-2] + across[..., 1:-1] + across[..., 2:]
    return (down[..., :-2, :] + down[..., 1:-1, :] + down[..., 2:, :]) / 9


def _perhaps(mask: Float[Tensor, "v 1 s s"], cameras: Cameras, side: int) -> Int[Tensor, "n 3"]:
    """Cells that may be in the hull: parts of cells twice as large whose middle is inside masks grown by their size."""
    size, half = mask.shape[-1] // 2, side // 2
    grow = 2
    wide = max_pool2d(max_pool2d(mask, 2), 2 * grow + 1, 1, grow)[:, 0].flatten(1) > 0
    line = torch.arange(half, device=mask.device)
    coarse = torch.cartesian_prod(line, line, line)
    pixel, hit, _ = pixels(cameras, (2 * coarse + 1) / half - 1, size)
    live = coarse[(wide.gather(1, pixel) & hit).all(0)]
    return (2 * live[:, None] + eighths(mask.device)).flatten(0, 1)


def _behind(
    pixel: Int[Tensor, "v n"], depth: Float[Tensor, "v n"], solid: Bool[Tensor, " n"], size: int
) -> Float[Tensor, "v n"]:
    """How far behind the first solid cell each view has each cell; of the views, 2 x 2 pixels together."""
    coarse = (pixel // size // 2) * (size // 2) + pixel % size // 2
    first = depth.new_full((len(pixel), (size // 2) ** 2), torch.inf)
    first = first.scatter_reduce(1, coarse, torch.where(solid, depth, torch.inf), "amin")
    return (depth - first.gather(1, coarse)).clamp(0, 2)


def _shade(tint: Float[Tensor, "v 3 n"], weight: Float[Tensor, "v n"]) -> Float[Tensor, "n 5"]:
    """Mean colour of the views, how far they are apart, and the sum of their weights."""
    total = weight.sum(0)
    mean = (tint * weight[:, None]).sum(0) / total
    apart = ((tint.square() * weight[:, None]).sum(0) / total - mean.square()).clamp(min=0).mean(0).sqrt()
    return torch.cat((mean, apart[None], total[None])).mT


def pixels(
    cameras: Cameras, points: Float[Tensor, "n 3"], size: int
) -> tuple[Int[Tensor, "v n"], Bool[Tensor, "v n"], Float[Tensor, "v n"]]:
    """Which pixel of every view each place lies in, whether that is in the picture at all, and how deep (`project`)."""
    own = cameras.world[..., :3].mT  # rows: the camera's x, y and z
    across, up, back = torch.baddbmm(-own @ cameras.world[..., 3:], own, points.mT.expand(len(own), -1, -1)).unbind(1)
    near = (-size / 2) / back
    focal, centre = cameras.focal[..., None], (cameras.centre[..., None] + 1) * (size / 2)
    column = (across * near).mul_(focal[:, 0]).add_(centre[:, 0]).floor_().int()
    row = (up * near).mul_(-focal[:, 1]).add_(size - centre[:, 1]).floor_().int()
    hit = (column >= 0) & (column < size) & (row >= 0) & (row < size) & (back < 0)
    return (row.clamp_(0, size - 1) * size + column.clamp_(0, size - 1)).long(), hit, -back
