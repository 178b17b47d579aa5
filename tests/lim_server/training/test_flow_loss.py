from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from lim_server.models.carve import Carve, Carved
from lim_server.models.flow import Flow
from lim_server.models.hull import Cells
from lim_server.models.lim import Lim
from lim_server.training.feed import Block, Source, make_block
from lim_server.training.flow_loss import Ways, flow_loss, ways, words_loss
from lim_server.training.flow_objective import FlowObjective
from lim_server.training.recipes import smoke_flow
from tests.lim_server.models.networks import key_of, network

SIDE = 8


@pytest.fixture(scope="module")
def block() -> Block:
    return make_block(Source(None, 0.0), smoke_flow().shoot, [11, 12], torch.device("cpu"))


def full(batch: int, side: int) -> Cells:
    line = torch.arange(side)
    return Cells(torch.cartesian_prod(torch.arange(batch), line, line, line), batch, side)


def moved(shift: Tensor) -> tuple[Cells, Ways, Flow]:
    """Points of a key that all go the same way to the other, halfway a bit beside the straight line; and that flow."""
    cells, large = full(2, SIDE), full(2, SIDE // 2)
    here = torch.rand(2, 50, 3, generator=torch.Generator().manual_seed(0)) - 0.5
    way = torch.stack((shift, -shift))
    there = here + way[:, None]
    arc = torch.tensor([0.0, 0.1, 0.0])
    told = Ways(here, (here + there) / 2 + arc, there, torch.tensor([0.5, 0.5]))
    count = SIDE**3
    flow = Flow(
        way.repeat_interleave(count, 0), arc.expand(2 * count, 3), torch.zeros(2 * count, 3), large, sure(shift)
    )
    return cells, told, flow


def sure(shift: Tensor) -> list[Tensor]:
    """Of each large cell of either key: the one of the other key that is so far away."""
    place = full(1, SIDE // 2).places
    return [-1e3 * torch.cdist(place + way, place) for way in (shift, -shift)]


def test_the_true_flow_is_not_off_and_another_is_by_what_it_says() -> None:
    cells, told, flow = moved(torch.tensor([0.5, 0.0, 0.0]))
    parts = flow_loss(cells, flow, told)
    assert parts["flow"] < 1e-6 and parts["midway"] < 1e-6 and parts["unlikely"] < 1e-6
    assert torch.allclose(parts["matched"], torch.tensor(0.5))
    other = replace(flow, shift=flow.shift + torch.tensor([0.0, 0.0, 0.2]), likely=[-m for m in flow.likely])
    parts = flow_loss(cells, other, told)
    assert torch.allclose(parts["flow"], torch.tensor(0.2), atol=1e-5)
    assert torch.allclose(parts["midway"], torch.tensor(0.1), atol=1e-5) and parts["unlikely"] > 100


def test_a_point_in_no_listed_cell_says_nothing() -> None:
    cells, told, flow = moved(torch.tensor([0.25, 0.0, 0.0]))
    row = cells.at[:, 1] < SIDE // 2  # x below zero
    few = Cells(cells.at[row], 2, SIDE)
    some = replace(flow, shift=flow.shift[row] + 0.3, arc=flow.arc[row], matched=flow.matched[row])
    off = flow_loss(few, some, replace(told, here=told.here.clone()))["flow"]
    assert torch.allclose(off, torch.tensor(0.3 * 3**0.5), atol=1e-4)


def test_ways_follow_the_surface(block: Block) -> None:
    scene, clip = block.scene, torch.tensor([0, 1, 1])
    frames = [torch.tensor([0, 2, 0]), torch.tensor([1, 1, 1]), torch.tensor([2, 0, 2])]
    told = ways(scene, clip, frames, torch.tensor([0.2, 0.4, 0.6]))
    assert torch.equal(told.here[0], scene.surface[0, 0]) and torch.equal(told.here[4], scene.surface[1, 0])
    home = scene.paint[..., 3:] * 2 - 1
    assert torch.allclose(told.there[3], home[0, 2], atol=1e-6)
    assert torch.equal(told.middle[1], scene.way[1, 2, :, 1])
    assert torch.allclose(told.time, torch.tensor([0.2, 0.4, 0.6, 0.8, 0.6, 0.4]))


def test_words_are_held_against_those_of_the_true_views() -> None:
    lrm = network()
    carve, carved = lrm.encoder.carve, key_of(lrm).carved
    assert isinstance(carve, Carve) and carved is not None
    assert words_loss(carve, carved, carved) == 0
    none = Cells(carved.cells.at[:0], 1, carved.cells.side)
    nothing = Carved(carved.tokens, none, None, carved.values[:0], carved.field[:0])
    assert torch.allclose(words_loss(carve, nothing, carved), torch.tensor(1.0))


def test_the_flow_learns_by_itself(block: Block) -> None:
    lrm = network()
    lim = Lim(lrm)
    lim.learn(flow=True)
    objective = FlowObjective(smoke_flow(), lrm, lim)
    parts = objective(objective.prepare(block), torch.tensor([0, 3, 7, 11]), 0, torch.Generator().manual_seed(0))
    assert {"flow", "matched", "midway", "unlikely", "cells' opacity", "cells' colour", "cells' words"} < parts.keys()
    parts["total"].backward()
    learned = {name for name, weight in lim.named_parameters() if weight.grad is not None}
    assert learned == {name for name, _ in lim.named_parameters() if name.startswith(("sway.finder.", "sway.carry."))}
