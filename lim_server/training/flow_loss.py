"""What the flow is held against: where points of either key's surface are at the other key, and in between (ours)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import cross_entropy

from lim_server.models.carve import Carve, Carved
from lim_server.models.flow import Flow
from lim_server.models.hull import Cells
from lim_server.training.data.scene import Scene


@dataclass(frozen=True, eq=False)
class Ways:
    """Points on the surface of b near keys, then of their far ones: there, at the time between, and at the other key.

    time  [2 b]  of the time between, from the key that the points are on
    """

    here: Float[Tensor, "k q 3"]
    middle: Float[Tensor, "k q 3"]
    there: Float[Tensor, "k q 3"]
    time: Float[Tensor, " k"]


def ways(scene: Scene, clip: Int[Tensor, " b"], frames: list[Int[Tensor, " b"]], time: Float[Tensor, " b"]) -> Ways:
    """Of the frames of the near key, between, and of the far key."""
    near, middle, far = frames
    twice = torch.cat((clip, clip))
    way = scene.way[twice, torch.cat((near, far))]
    row = torch.arange(len(twice), device=twice.device)
    here, between, there = (way[row, :, torch.cat(pair)] for pair in ((near, far), (middle, middle), (far, near)))
    return Ways(here, between, there, torch.cat((time, 1 - time)))


def flow_loss(keys: Cells, flow: Flow, told: Ways) -> dict[str, Tensor]:
    """How far off the flow's answers are, in half-sizes of the box, and how unlikely it held what is true."""
    row = _rows(keys, told.here)
    known, at = row >= 0, row.clamp(min=0)
    time = told.time[:, None, None]
    midway = time * flow.shift[at] + 4 * time * (1 - time) * flow.arc[at]

    def off(answer: Float[Tensor, "k q 3"], truth: Float[Tensor, "k q 3"]) -> Tensor:
        return ((told.here + answer - truth).norm(dim=-1) * known).sum() / known.sum().clamp(min=1)

    parts = {"flow": off(flow.shift[at], told.there), "matched": off(flow.matched[at], told.there)}
    return parts | {"midway": off(midway, told.middle), "unlikely": _unlikely(flow, told)}


def _unlikely(flow: Flow, told: Ways) -> Tensor:
    """Cross entropy of each point's large cell being the one that it is in at the other key."""
    large, half = flow.large, len(told.here) // 2
    first = (
        torch.bincount(large.at[:, 0], minlength=large.batch).cumsum(0).roll(1).index_fill(0, large.at.new_zeros(1), 0)
    )
    here = _rows(large, told.here) - first[:, None]
    there = _rows(large, told.there, half) - first.roll(half)[:, None]
    known = (here >= 0) & (there >= 0)
    lost = [
        cross_entropy(logit.index_select(0, mine[both]), theirs[both], reduction="sum")
        for logit, mine, theirs, both in zip(flow.likely, here, there, known, strict=True)
    ]
    return torch.stack(lost).sum() / known.sum().clamp(min=1)


def _rows(cells: Cells, points: Float[Tensor, "k q 3"], ahead: int = 0) -> Int[Tensor, "k q"]:
    """Which of the listed cells each point is in, of the grid so far ahead in the batch; far below 0 where of none."""
    row = torch.full((cells.batch * cells.side**3,), -len(cells.at) - 1, device=points.device)
    row[cells.flat] = torch.arange(len(cells.at), device=points.device)
    x, y, z = ((points + 1) * (cells.side / 2)).long().clamp(0, cells.side - 1).unbind(-1)
    grid = (torch.arange(cells.batch, device=points.device) + ahead) % cells.batch
    return row[((grid[:, None] * cells.side + x) * cells.side + y) * cells.side + z]


def words_loss(carve: Carve, carved: Carved, target: Carved) -> Tensor:
    """The squared distance of what columns are made of, over the target's own size."""
    wanted = target.cells.dense(carve.say(target.values).float())
    return (carved.cells.dense(carve.say(carved.values).float()) - wanted).square().sum() / wanted.square().sum()
