"""Both keys' cells, carried along the flow to a time between, and made one (ours; see flow.py).

Each cell's values are laid down where the flow has it by then, shared out among the eight cells around that place, the
more so the more solid it is. A U-Net sees what came from either key, and how much of it, and mends what the two say.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import silu

from lim_server.models.carve import Carved
from lim_server.models.flow import Flow
from lim_server.models.hull import Cells, eighths
from lim_server.models.presets import Preset
from lim_server.models.sparse import Unet

LEAST = 0.05
"""Cells with less than that laid down in them are empty."""
MOST = 2.0


@dataclass(frozen=True, eq=False)
class Laid:
    """What each of a list of cells was given by each key: means of values, and how much.

    alpha  [m]  time of the grid that a cell is in
    """

    cells: Cells
    near: Float[Tensor, "m c"]
    far: Float[Tensor, "m c"]
    much: Float[Tensor, "m 2"]
    alpha: Float[Tensor, " m"]


def lay_down(keys: Carved, values: Float[Tensor, "n c"], flow: Flow, alpha: Float[Tensor, " b"]) -> Laid:
    """Values of b near keys, then of their far ones, at times between."""
    batch, side = len(alpha), keys.cells.side
    sample = keys.cells.at[:, 0]
    way = torch.cat((alpha, 1 - alpha))[sample, None]
    place = keys.cells.places + way * flow.shift + 4 * way * (1 - way) * flow.arc
    cell, share = _shares(place, keys.solid, side)
    cell = cell + (sample % batch * side**3)[:, None]
    total = share.new_zeros(batch * side**3).index_add_(0, cell.flatten(), share.flatten())
    listed = (total > LEAST).nonzero()[:, 0]
    row = torch.full_like(total, len(listed), dtype=torch.long)
    row[listed] = torch.arange(len(listed), device=row.device)
    one = torch.cat((values.float(), torch.ones_like(share[:, :1])), 1)
    sums = [_sums(one[mine], row[cell[mine]], share[mine], len(listed)) for mine in (sample < batch, sample >= batch)]
    near, far = (s[:, :-1] / s[:, -1:].clamp(min=1e-2) for s in sums)
    at = torch.stack((listed // side**3, listed // side**2 % side, listed // side % side, listed % side), 1)
    return Laid(Cells(at, batch, side), near, far, torch.cat([s[:, -1:] for s in sums], 1), alpha[at[:, 0]])


def _shares(
    place: Float[Tensor, "n 3"], solid: Float[Tensor, " n"], side: int
) -> tuple[Int[Tensor, "n 8"], Float[Tensor, "n 8"]]:
    """The cells around each place, and what each of them gets of it; nothing beyond the box."""
    at = (place + 1) * (side / 2) - 0.5
    low = at.floor()
    part, corner = (at - low)[:, None], eighths(place.device)
    cell = low.long()[:, None] + corner
    share = torch.where(corner.bool(), part, 1 - part).prod(-1) * solid[:, None]
    share = share * ((cell >= 0) & (cell < side)).all(-1)
    x, y, z = cell.clamp(0, side - 1).unbind(-1)
    return (x * side + y) * side + z, share


def _sums(
    values: Float[Tensor, "n c"], row: Int[Tensor, "n 8"], share: Float[Tensor, "n 8"], count: int
) -> Float[Tensor, "m c"]:
    total = values.new_zeros(count + 1, values.shape[1])
    for corner in range(8):
        total = total.index_add(0, row[:, corner], values * share[:, corner, None])
    return total[:-1]


class Carry(nn.Module):
    """What was laid down by both keys, as one."""

    def __init__(self, preset: Preset):
        super().__init__()
        width = preset.carve[0]
        self.begin, self.trunk, self.out = nn.Linear(2 * width + 6, width), Unet(preset.carve), nn.Linear(width, width)
        self.out.weight.data.mul_(0.1)
        self.out.bias.data.zero_()

    def forward(self, laid: Laid) -> Float[Tensor, "m c"]:
        """Values of the cells, as the LRM would know them had it seen the time between."""
        alpha = laid.alpha[:, None]
        weight = torch.cat((1 - alpha, alpha), 1) * laid.much + 5e-4
        weight = weight / weight.sum(1, keepdim=True)
        blend = weight[:, :1] * laid.near + weight[:, 1:] * laid.far
        told = torch.cat((laid.near, laid.far, laid.much.clamp(max=MOST), alpha, laid.cells.places), 1)
        return blend + self.out(silu(self.trunk(self.begin(told), laid.cells)))
