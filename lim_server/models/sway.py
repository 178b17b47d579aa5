"""What the LRM would have carved at a time between two keys: flow (flow.py), and what it carries there (carry.py).

The twin carries canonical coordinates. At key k they are what its canonical pictures show; a cell of key k + 1 has
those of the place that the flow takes it to, as if every view showed them (hull.py, `painted`).
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import grid_sample

from lim_server.models.carry import Carry, lay_down
from lim_server.models.carve import Carve, Carved
from lim_server.models.flow import Flow, FlowFinder
from lim_server.models.hull import Cells, painted
from lim_server.models.lrm import Lrm


@dataclass(frozen=True, eq=False)
class Pair:
    """Both keys of an interval (or of b of them: all near keys, then all far ones), ready to be asked at any alpha.

    values  [n, c]  what is carried: what the LRM knows of the cells, in colours, for the twin in canonical coordinates
    """

    keys: Carved
    flow: Flow
    values: Float[Tensor, "n c"]

    def home(self, points: Float[Tensor, "b p 3"]) -> Float[Tensor, "b p 3"]:
        """Where places on the far keys are at the near ones; beside all cells they stay where they are."""
        far = self.keys.cells.batch // 2
        known = torch.cat((self.flow.shift, torch.ones_like(self.flow.shift[:, :1])), 1)
        grid = self.keys.cells.dense(known)[far:].permute(0, 4, 3, 2, 1)
        found = grid_sample(grid, points[:, None, None], align_corners=False)[:, :, 0, 0].mT
        return points + found[..., :3] / found[..., 3:].clamp(min=1e-3)

    def for_each(self, count: int) -> Pair:
        """One interval, so many times."""
        if count == self.keys.cells.batch // 2:
            return self
        near = self.keys.cells.at[:, 0] == 0
        order = torch.cat([mine.nonzero()[:, 0].repeat(count) for mine in (near, ~near)])
        sample = torch.cat([torch.arange(count).repeat_interleave(int(mine.sum())) for mine in (near, ~near)])
        sample = sample.to(order.device) + count * (~near)[order]
        cells = Cells(torch.cat((sample[:, None], self.keys.cells.at[order, 1:]), 1), 2 * count, self.keys.cells.side)
        shift, arc, matched = (t[order] for t in (self.flow.shift, self.flow.arc, self.flow.matched))
        flow = Flow(shift, arc, matched, self.flow.large, self.flow.likely)
        keys = Carved(self.keys.tokens, cells, None, self.keys.values[order], self.keys.field[order])
        return Pair(keys, flow, self.values[order])


class Sway(nn.Module):
    """Carved keys to what is carved between; `carve` is the LRM's own, frozen."""

    def __init__(self, lrm: Lrm):
        super().__init__()
        assert isinstance(lrm.encoder.carve, Carve)
        self.finder, self.carry = FlowFinder(lrm.preset), Carry(lrm.preset)
        self.carve: Carve = copy.deepcopy(lrm.encoder.carve)

    def learn(self, *, flow: bool) -> None:
        """What is carried may change, or with it the flow; not what is the LRM's own."""
        self.finder.requires_grad_(flow)
        self.carry.requires_grad_(True)
        self.carve.requires_grad_(False)

    def pair(self, near: Carved, far: Carved, canonical: Carved | None = None) -> Pair:
        """Both keys as carved from colours; for the twin key k from canonical coordinates too."""
        keys = Carved.joined((near, far))
        flow = self.finder(keys)
        if canonical is None:
            return Pair(keys, flow, keys.values)
        assert far.told is not None
        there = keys.cells.at[:, 0] >= near.cells.batch
        home = (far.cells.places + flow.shift[there]) / 2 + 0.5
        values = self.carve.known(far.cells, painted(far.told, home.clamp(0, 1)))
        return Pair(keys, flow, torch.cat((canonical.values.to(values.dtype), values)))

    def at(self, pair: Pair, alpha: Float[Tensor, " a"]) -> Carved:
        """Carved at as many times as there are intervals, or at any number of them where there is one."""
        pair = pair.for_each(len(alpha))
        laid = lay_down(pair.keys, pair.values, pair.flow, alpha)
        values = self.carry(laid)
        return self.carve.carved(laid.cells, values)
