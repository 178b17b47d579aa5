from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from lim_server.models.lim import Lim
from lim_server.models.lrm import Lrm
from lim_server.training.feed import Block, Source, make_block
from lim_server.training.losses import (
    COLOUR,
    DEPTH,
    Truth,
    between_loss,
    causal_planes,
    field_loss,
    ray_loss,
    weighed,
)
from lim_server.training.objective import LAST, LimObjective, LrmObjective, some_rays, truth, views
from lim_server.training.recipes import RECIPES, Recipe, smoke_lim, smoke_lrm, smoke_xyz
from tests.lim_server.models.networks import between, carved, interval, key_of, network

CPU = torch.device("cpu")
FROZEN = ("head.", "ahead.", "sway.carve.", "sway.finder.")


@pytest.fixture(scope="module")
def block() -> Block:
    return make_block(Source(None, 0.0), smoke_lrm().shoot, [11, 12], CPU)


@pytest.fixture(scope="module")
def lrm() -> Lrm:
    return network()


def random(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_between_is_relative_to_the_target() -> None:
    target = torch.randn(2, 3, 4, 8, 8, generator=random())
    assert between_loss(target, target) == 0
    assert torch.allclose(between_loss(1.5 * target, target), torch.tensor(0.25))
    assert torch.allclose(between_loss(15 * target, 10 * target), torch.tensor(0.25))


def test_the_sum_is_weighed_and_takes_nothing_else() -> None:
    parts = {name: torch.tensor(1.0) for name in ("opacity", "colour", "ray depth", "between", "causal")}
    assert weighed(parts) == 1 + COLOUR + DEPTH
    cells = {"cells' opacity": torch.tensor(1.0), "cells' colour": torch.tensor(1.0)}
    assert weighed(parts | cells) == 2 + 2 * COLOUR + DEPTH


def test_the_field_is_held_against_places_and_surface(lrm: Lrm) -> None:
    planes = key_of(lrm).planes
    told = Truth(*(torch.rand(1, n, 3) * 2 - 1 if c else torch.rand(1, n) for n, c in ((6, 1), (6, 0), (4, 1), (4, 1))))
    parts = field_loss(lrm.decoder, planes, told)
    logit, _ = lrm.decoder(planes, told.points)
    _, colour = lrm.decoder(planes, told.surface)
    chance = logit.sigmoid()
    wanted = -(told.inside * chance.log() + (1 - told.inside) * (1 - chance).log()).mean()
    assert torch.allclose(parts["opacity"], wanted, atol=1e-5)
    assert torch.allclose(parts["colour"], (colour - told.colour).abs().mean(), atol=1e-6)


def test_rays_see_what_the_pictures_show(block: Block, lrm: Lrm) -> None:
    clip, frame = torch.tensor([0, 1, 1]), torch.tensor([0, 1, 2])
    colour, _ = views(block.scene, clip, frame, torch.tensor([True, True, True]))
    rays = some_rays(block.scene, clip, frame, colour, 200, random())
    assert 0.4 < rays.hit.mean() < 0.9
    there = rays.origins + rays.distance[..., None] * rays.directions
    cameras = block.scene.cameras[clip]
    for k in range(3):
        hit = rays.hit[k] > 0
        places = cameras[k].project(there[k][hit].expand(4, -1, -1))
        size = colour.shape[-1]
        column = ((places[..., 0] + 1) * size / 2).floor().long().clamp(0, size - 1)
        row = ((1 - places[..., 1]) * size / 2).floor().long().clamp(0, size - 1)
        view = torch.arange(4)[:, None]
        shown = colour[k].movedim(1, -1)[view, row, column]
        depth = block.scene.depth[clip[k], frame[k]][view, row, column]
        same = ((shown - rays.colour[k][hit]).abs().amax(-1) < 1e-6) & ((depth - places[..., 2]).abs() < 1e-4)
        assert same.any(0).all()  # one of the views is the ray's own
    assert (rays.colour[rays.hit == 0] == 0).all()


def test_a_ray_loss_has_gradients_for_the_renderers_numbers(block: Block, lrm: Lrm) -> None:
    own = network().requires_grad_(True)
    clip, frame = torch.tensor([0]), torch.tensor([1])
    colour, _ = views(block.scene, clip, frame, torch.tensor([False]))
    parts = ray_loss(own.decoder, key_of(own).planes, some_rays(block.scene, clip, frame, colour, 50, random()))
    assert parts.keys() == {"ray colour", "ray mask", "ray depth"}
    weighed(parts).backward()
    assert own.decoder.log_density.grad is not None and own.decoder.bias.grad is not None


def test_causal_is_two_passes_towards_the_same_far_key(lrm: Lrm) -> None:
    lim, key, far = between(lrm), key_of(lrm, 2), key_of(lrm, 2, seed=9)
    alpha, share = torch.tensor([0.5, 0.8]), torch.tensor([0.4, 0.0])
    cells = carved(key, far)
    planes = causal_planes(lim, key, None, far.images, cells, alpha, share)
    first = lim(interval(lim, key, far), torch.tensor([0.2, 0.0]))
    # 0.2 to 0.5 of the way from 0.2 to 1 is 3/8; the flow is asked where that is between the keys
    second = lim(interval(lim, key, far, first.features), torch.tensor([0.375, 0.8]), carried=alpha).planes
    assert torch.allclose(planes, second, atol=1e-5)
    late = causal_planes(lim, key, None, far.images, cells, torch.ones(2), torch.tensor([0.9, 0.9]))
    assert torch.isfinite(late).all()


def test_the_lrm_learns_colours_and_places(block: Block) -> None:
    recipe = replace(smoke_lrm(), xyz=1.0)
    clip, frame = torch.tensor([0, 1]), torch.tensor([2, 0])
    both = torch.tensor([True, False])
    colour, mask = views(block.scene, clip, frame, both)
    assert torch.equal(colour[0], block.scene.canonical[0, 2] / 255) and torch.equal(
        colour[1], block.scene.colour[1, 0] / 255
    )
    assert torch.equal(mask[0, :, 0], block.scene.mask[0, 2].float())
    told = truth(block.scene, clip, frame, both)
    assert torch.equal(told.colour[0], block.scene.paint[0, 2, :, 3:])
    assert torch.equal(told.colour[1], block.scene.paint[1, 0, :, :3])
    objective = LrmObjective(recipe, network().requires_grad_(True))
    assert objective.samples(2) == 18
    for step, rays in ((0, False), (recipe.steps - recipe.decay, True)):
        parts = objective(block, torch.tensor([0, 4, 9, 17]), step, random())
        assert ("ray mask" in parts) == rays and torch.isfinite(parts["total"])


def pictures(block: Block, lrm: Lrm, frame: int, xyz: bool) -> tuple[list[Tensor], Tensor, Tensor]:
    clip = torch.tensor([0, 1])
    colour, mask = views(block.scene, clip, torch.full_like(clip, frame), torch.tensor([xyz, xyz]))
    key = lrm(colour, mask, block.scene.cameras)
    return key.features, key.images.values, key.planes


@pytest.mark.parametrize("recipe", [smoke_lim(), smoke_xyz()], ids=lambda r: r.name)
def test_the_frozen_lrm_prepares_both_ends(block: Block, lrm: Lrm, recipe: Recipe) -> None:
    twin = recipe.model == "lim-xyz"
    ready = LimObjective(recipe, lrm, Lim(lrm, twin=twin)).prepare(block)
    for end, frame in enumerate((0, LAST)):
        features, _, _ = pictures(block, lrm, frame, xyz=twin)
        for mine, theirs in zip(ready.features, features, strict=True):
            assert torch.allclose(mine[:, end], theirs, atol=1e-5)
        # what is cross-attended to is RGB, but for the twin's near key
        _, images, _ = pictures(block, lrm, frame, xyz=twin and frame == 0)
        assert torch.allclose(ready.images[:, end], images, atol=1e-5)
    assert torch.allclose(ready.middle, pictures(block, lrm, 1, xyz=twin)[2], atol=1e-4)
    assert torch.allclose(ready.last, pictures(block, lrm, LAST, xyz=twin)[2], atol=1e-4)


@pytest.mark.parametrize("target", ["lrm", "direct"])
def test_every_part_of_lim_learns_but_not_what_is_frozen(block: Block, lrm: Lrm, target: str) -> None:
    for recipe in (replace(smoke_lim(), target=target), replace(smoke_xyz(), causal=0.5)):
        lim = between(lrm, twin=recipe.model == "lim-xyz")
        lim.learn()
        objective = LimObjective(recipe, lrm, lim)
        parts = objective(objective.prepare(block), torch.tensor([0, 3, 7, 11]), 0, random())
        assert {"between", "causal", "opacity", "colour", "total"} <= parts.keys()
        parts["total"].backward()
        still = {name for name, weight in lim.named_parameters() if weight.grad is None}
        assert still == {name for name, _ in lim.named_parameters() if name.startswith(FROZEN)}
        assert all(p.grad is None for p in lrm.parameters())


def test_time_runs_both_ways_for_lim_and_one_way_for_its_twin(block: Block, lrm: Lrm) -> None:
    lim = between(lrm)
    objective = LimObjective(smoke_lim(), lrm, lim)
    ready = objective.prepare(block)
    clip = torch.zeros(1, dtype=torch.long)
    answers = []
    for back in (0, 1):
        key = [f[:1, back] for f in ready.features]
        cells = [ready.carved[end][0] for end in (back, 1 - back)]
        time = block.times[:1] if back == 0 else 1 - block.times[:1]
        begun = lim.interval(key, objective._images(ready, clip, torch.tensor([1 - back])), carved=cells)
        answers.append(between_loss(lim(begun, time).planes, ready.middle[:1]))
    found = [objective(ready, clip, 0, random(seed))["between"] for seed in range(12)]
    nearest = [int((a - answers[1]).abs() < (a - answers[0]).abs()) for a in found]
    assert all(torch.allclose(a, answers[n], rtol=1e-4) for a, n in zip(found, nearest, strict=True))
    assert set(nearest) == {0, 1}


def test_recipes_are_named_and_whole() -> None:
    for name, make in RECIPES.items():
        recipe = make()
        assert recipe.name == name and recipe.decay < recipe.steps and recipe.warmup < recipe.steps
        uses = 3 * recipe.uses if recipe.model == "lrm" else recipe.uses
        assert recipe.batch <= recipe.clips * uses and recipe.shoot.size % 2 == 0
