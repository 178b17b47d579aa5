"""Which places are inside a mesh: winding numbers on a grid, from the crossings along three axes."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lim_server.render.rasterize import covered


def solid(points: Float[Tensor, "t n 3"], faces: Int[Tensor, "f 3"], size: int) -> Bool[Tensor, "t size size size"]:
    """Cells of [-1, 1]^3 whose centres are inside, indexed x, y, z; parts of a mesh may overlap.

    Along each axis the signed crossings add up to the winding number; a column that does not come back to zero runs
    through a hole and does not vote. Inside is what at least two axes, or the only one that votes, call inside.
    """
    votes = torch.zeros(len(points), size, size, size, dtype=torch.int8, device=points.device)
    voters = torch.zeros_like(votes)
    for axis, back in ((0, (0, 3, 1, 2)), (1, (0, 2, 3, 1)), (2, (0, 1, 2, 3))):
        inside, sound = _along(points.roll(2 - axis, -1)[:, faces], size)
        votes += inside.permute(back)
        voters += sound[..., None].expand_as(inside).permute(back)
    return (votes * 2 > voters) & (votes > 0)


def _along(
    corners: Float[Tensor, "t f 3 3"], size: int
) -> tuple[Bool[Tensor, "t size size size"], Bool[Tensor, "t size size"]]:
    """Inside by the crossings along the last axis, and the columns that end outside."""
    pairs = covered(corners[..., :2], size)
    flat = corners.reshape(-1, 3, 3)
    a, b, c = flat[..., :2].unbind(1)
    facing = torch.sign((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]).to(torch.int8)
    height = (flat[..., 2][pairs.triangle] * pairs.weights).sum(-1)
    cell = ((height + 1) * (size / 2) + 0.5).floor().clamp(0, size).long()  # the first centre above the crossing
    crossings = torch.zeros(len(corners) * size * size, size + 1, dtype=torch.int8, device=corners.device)
    crossings.view(-1).index_add_(0, pairs.pixel * (size + 1) + cell, facing[pairs.triangle])
    winding = crossings.cumsum(1, dtype=torch.int8).view(len(corners), size, size, size + 1)
    sound = winding[..., -1] == 0
    # rows of the image run from the top down, columns along x
    inside = ((winding[..., :-1] != 0) & sound[..., None]).flip(1).transpose(1, 2)
    return inside, sound.flip(1).transpose(1, 2)
