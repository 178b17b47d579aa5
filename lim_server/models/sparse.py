"""Convolution over listed cells of a grid only (submanifold sparse convolution, Graham et al. 2018), a U-Net of it.

A visual hull is a twentieth of the box. `around` says where in the list a cell's 27 neighbours are, so a convolution is
a gathering of rows and one product of matrices, a few thousand rows at a time so that they stay in the cache.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import pad, silu

from lim_server.models.hull import Cells

ROWS = 2048
"""That are gathered at a time on a CPU."""
NEIGHBOURS = 27


def around(cells: Cells) -> Int[Tensor, "n 27"]:
    """Number in the list of every cell's neighbours, itself among them; the list's length where there is none."""
    n, wide = len(cells.at), cells.side + 2
    sample, x, y, z = cells.at.unbind(1)
    flat = ((sample * wide + x + 1) * wide + y + 1) * wide + z + 1
    grid = torch.full((cells.batch * wide**3,), n, dtype=torch.int32, device=flat.device)
    grid[flat] = torch.arange(n, dtype=torch.int32, device=flat.device)
    step = torch.arange(-1, 2, device=flat.device)
    offset = (step[:, None, None] * wide + step[:, None]) * wide + step
    return grid[flat[:, None] + offset.flatten()]


@dataclass(frozen=True, eq=False)
class Halved:
    """Cells twice as large: where each one's eighths are in the finer list (its length: nowhere), and the way back."""

    cells: Cells
    parts: Int[Tensor, "m 8"]
    place: Int[Tensor, " n"]

    def gathered(self, x: Float[Tensor, "n c"]) -> Float[Tensor, "m eight_c"]:
        """Of each larger cell what its eighths have, zero where one is not listed."""
        return pad(x, (0, 0, 0, 1)).index_select(0, self.parts.flatten()).view(len(self.parts), 8 * x.shape[1])

    def spread(self, x: Float[Tensor, "m eight_c"]) -> Float[Tensor, "n c"]:
        """The way back: each cell's share."""
        return x.view(8 * len(x), x.shape[1] // 8).index_select(0, self.place)


def halved(cells: Cells) -> Halved:
    """The cells that these are parts of."""
    above = Cells(torch.cat((cells.at[:, :1], cells.at[:, 1:] // 2), 1), cells.batch, cells.side // 2)
    flat, parent = above.flat.unique(return_inverse=True)
    side, n = above.side, len(cells.at)
    at = torch.stack((flat // side**3, flat // side**2 % side, flat // side % side, flat % side), 1)
    place = parent * 8 + (cells.at[:, 1:] % 2 * torch.tensor((4, 2, 1), device=flat.device)).sum(1)
    parts = torch.full((len(flat) * 8,), n, device=flat.device)
    parts[place] = torch.arange(n, device=flat.device)
    return Halved(Cells(at, cells.batch, side), parts.view(-1, 8), place)


class Gathered(torch.autograd.Function):
    """Rows of x around each cell, side by side, times w. Its plain twin: pad(x)[table].flatten(1) @ w."""

    @staticmethod
    def forward(ctx: Any, x: Float[Tensor, "n c"], w: Float[Tensor, "27*c d"], table: Int[Tensor, "n 27"]) -> Tensor:
        """Keeps nothing but what it is given: to gather once more is quicker than to remember."""
        ctx.save_for_backward(x, w, table)
        out = x.new_empty(len(table), w.shape[1])
        _products(x, w, table, out)
        return out

    @staticmethod
    def backward(ctx: Any, *above: Tensor) -> tuple[Tensor | None, Tensor, None]:
        """A cell is its neighbour's opposite neighbour, so the way back is the same with the kernel mirrored."""
        x, w, table = ctx.saved_tensors
        of_out, of_x = above[0].contiguous(), None
        if ctx.needs_input_grad[0]:
            of_x = torch.empty_like(x)
            _products(of_out, w.unflatten(0, (NEIGHBOURS, -1)).flip(0).mT.flatten(0, 1).contiguous(), table, of_x)
        of_w = torch.zeros_like(w, dtype=torch.float32)
        whole, rows = pad(x, (0, 0, 0, 1)), _rows(x)
        for start in range(0, len(table), rows):
            some = slice(start, start + rows)
            of_w += whole.index_select(0, table[some].flatten()).view(-1, len(w)).mT @ of_out[some]
        return of_x, of_w.to(w.dtype), None


def _products(x: Tensor, w: Tensor, table: Tensor, out: Tensor) -> None:
    whole, rows = pad(x, (0, 0, 0, 1)), _rows(x)
    for start in range(0, len(table), rows):
        some = slice(start, start + rows)
        torch.matmul(whole.index_select(0, table[some].flatten()).view(-1, len(w)), w, out=out[some])


def _rows(x: Tensor) -> int:
    return ROWS if x.device.type == "cpu" else max(1, len(x))


class Convolution(nn.Module):
    """3 x 3 x 3 over listed cells."""

    def __init__(self, width: int):
        super().__init__()
        self.kernel = nn.Linear(NEIGHBOURS * width, width)

    def forward(self, x: Float[Tensor, "n c"], table: Int[Tensor, "n 27"]) -> Float[Tensor, "n c"]:
        """What each cell gathers."""
        out: Tensor = Gathered.apply(x, self.kernel.weight.mT.to(x.dtype).contiguous(), table)
        return out + self.kernel.bias.to(x.dtype)


class Residual(nn.Module):
    """Two convolutions beside the way through."""

    def __init__(self, width: int):
        super().__init__()
        self.first, self.second = Convolution(width), Convolution(width)
        self.second.kernel.weight.data.zero_()

    def forward(self, x: Float[Tensor, "n c"], table: Int[Tensor, "n 27"]) -> Float[Tensor, "n c"]:
        """The same cells, each having looked around."""
        return x + self.second(silu(self.first(silu(x), table)), table)


class Unet(nn.Module):
    """Residuals at ever larger cells and back (Ronneberger et al. 2015), `widths` from the finest on."""

    def __init__(self, widths: tuple[int, ...]):
        super().__init__()
        width, *coarser = widths
        self.there = Residual(width)
        self.below = Unet(tuple(coarser)) if coarser else None
        if coarser:
            self.down, self.up = nn.Linear(8 * width, coarser[0]), nn.Linear(coarser[0], 8 * width)
            self.back = Residual(width)

    def forward(self, x: Float[Tensor, "n c"], cells: Cells) -> Float[Tensor, "n c"]:
        """What is known of each cell, having seen what is around it, near and far."""
        table = around(cells)
        x = self.there(x, table)
        if self.below is None:
            return x
        larger = halved(cells)
        found = self.up(self.below(self.down(larger.gathered(x)), larger.cells))
        out: Tensor = self.back(x + larger.spread(found), table)
        return out
