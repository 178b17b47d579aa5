from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from lim_server.models.carve import EMPTY, Carve, Carved
from lim_server.models.hull import EVIDENCE, Cells, evidence
from lim_server.models.presets import Preset, smoke
from lim_server.render.cameras import Cameras, loose_ring, ring
from tests.lim_server.models.networks import shaken, views

SIZE, SIDE = 64, 24
CENTRE, RADIUS = torch.tensor((0.2, -0.1, 0.3)), 0.45


def pictures(cameras: Cameras) -> tuple[Tensor, Tensor]:
    """A ball, seen by every view: coloured by where it is hit."""
    origins, directions = cameras.rays(SIZE)
    off = origins - CENTRE
    along = -(off * directions).sum(-1)
    inside = RADIUS**2 - (off.square().sum(-1) - along**2)
    hit = (inside > 0)[..., None]
    place = origins + (along - inside.clamp(min=0).sqrt())[..., None] * directions
    colour = (place / 2 + 0.5) * hit
    shape = (*colour.shape[:-2], SIZE, SIZE)
    return colour.mT.reshape(*shape[:-2], 3, SIZE, SIZE), hit.mT.reshape(*shape[:-2], 1, SIZE, SIZE).float()


@pytest.fixture(scope="module")
def told() -> tuple[Cells, Tensor]:
    cameras = ring()[None]
    colour, mask = pictures(cameras)
    return evidence(colour, mask, cameras, SIDE)


def middles(cells: Cells) -> Tensor:
    return (cells.at[:, 1:] + 0.5) * (2 / cells.side) - 1


def test_all_that_is_solid_is_listed_and_not_much_else(told: tuple[Cells, Tensor]) -> None:
    cells, _ = told
    at = (torch.arange(SIDE) + 0.5) * (2 / SIDE) - 1
    grid = torch.stack(torch.meshgrid(at, at, at, indexing="ij"), -1)
    ball = ((grid - CENTRE).norm(dim=-1) < RADIUS).flatten()
    listed = torch.zeros(SIDE**3, dtype=torch.bool)
    listed[cells.flat] = True
    assert (listed & ball).sum() == ball.sum()
    assert listed.sum() < 1.9 * ball.sum()  # the hull of four views, and the cells that it cuts
    assert len(cells.flat.unique()) == len(cells.flat)


def test_eighths_say_how_far_a_cell_is_inside(told: tuple[Cells, Tensor]) -> None:
    cells, found = told
    assert found.shape == (len(cells.at), EVIDENCE)
    deep = (middles(cells) - CENTRE).norm(dim=-1) < RADIUS - 0.1
    assert deep.any() and (found[deep, :8] > 0.99).all()
    outside = (middles(cells) - CENTRE).norm(dim=-1) > RADIUS + 0.1
    assert found[:, 8][outside].mean() < found[:, 8][deep].mean()
    assert torch.allclose(found[:, 8], found[:, :8].mean(1), atol=1e-6)
    assert torch.allclose(found[:, 11:14], middles(cells), atol=1e-6)


def test_on_the_surface_colours_are_those_seen_there(told: tuple[Cells, Tensor]) -> None:
    cells, found = told
    at = middles(cells)
    surface = ((at - CENTRE).norm(dim=-1) - RADIUS).abs() < 0.02
    error = (found[:, 17:20] - (at / 2 + 0.5)).norm(dim=-1)  # by the views that have it in front
    blurred = (found[:, 27:30] - (at / 2 + 0.5)).norm(dim=-1)  # by all of them
    assert error[surface].mean() < 0.5 * blurred[surface].mean()


def test_the_order_of_the_views_is_nothing() -> None:
    cameras = loose_ring(torch.Generator().manual_seed(3), 1.0)[None]
    other = cameras[:, torch.tensor((2, 0, 3, 1))]
    (cells, found), (again, same) = (evidence(*pictures(some), some, SIDE) for some in (cameras, other))
    assert torch.equal(cells.at, again.at) and torch.allclose(found, same, atol=2e-3)  # a root of nearly nothing


def test_what_no_view_sees_is_empty() -> None:
    cameras = ring()[None]
    nothing = torch.zeros(1, 4, 1, SIZE, SIZE)
    cells, found = evidence(nothing.expand(-1, -1, 3, -1, -1), nothing, cameras, SIDE)
    assert cells.at.shape == (0, 4) and found.shape == (0, EVIDENCE)


def carved(preset: Preset, batch: int = 2) -> Carved:
    torch.manual_seed(0)
    net = Carve(preset)
    shaken(net)
    rig = loose_ring(torch.Generator().manual_seed(7), 0.3)[None][torch.zeros(batch, dtype=torch.long)]
    made: Carved = net(*views(preset, batch, 0), rig)
    return made


def test_the_cells_say_what_they_are_where_they_are() -> None:
    preset = smoke()
    made = carved(preset)
    sample, x, y, z = made.cells.at[3].tolist()
    middle = ((torch.tensor((x, y, z)) + 0.5) * (2 / preset.cells) - 1).expand(2, 1, -1)
    logit, colour = made.at(middle)
    assert torch.allclose(logit[sample, 0], made.field[3, 0], atol=1e-4)
    assert torch.allclose(colour[sample, 0], made.field[3, 1:].sigmoid(), atol=1e-5)
    none = Cells(made.cells.at[:0], 2, preset.cells)
    alone = replace(made, cells=none, told=None, values=made.values[:0], field=made.field[:0])
    assert (alone.at(middle)[0] == EMPTY).all()


def test_carved_tokens_lie_where_the_triplanes_do() -> None:
    """A cell that is not listed changes the tokens of the three patches that it lies under, and no other."""
    preset = smoke()
    net = Carve(preset)
    shaken(net)
    grid = torch.randn(1, *(preset.cells,) * 3, 8)
    before = net.lift(net._patches(grid))
    x, y, z = 1, 4, 6
    grid[0, x, y, z] += 1
    changed = (net.lift(net._patches(grid)) != before).any(2)[0].view(3, preset.tokens, preset.tokens)
    wanted = torch.zeros_like(changed)
    for plane, (column, row) in enumerate(((x, y), (x, z), (y, z))):
        wanted[plane, row // preset.upsample, column // preset.upsample] = True
    assert torch.equal(changed, wanted)
