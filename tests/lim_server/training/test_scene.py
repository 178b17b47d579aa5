from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
import torch
from torch import Tensor

from lim_server.training.data.clip import Clip
from lim_server.training.data.procedural import make_clip
from lim_server.training.data.scene import Scene, Shoot, take

SHOOT = Shoot(32, count=96)
SEEDS = (0, 1, 5)


def scene_of(seed: int) -> tuple[Clip, Scene]:
    clip = make_clip(seed)
    return clip, take(clip, SHOOT, seed)


def carried(clip: Clip, time: int, places: Tensor) -> tuple[Tensor, Tensor]:
    """For every place and triangle: where that triangle's point was at frame 0, and how far off the triangle it is."""
    frames, faces = torch.tensor(clip.frames).double(), torch.tensor(clip.faces).long()
    a, b, c = frames[time][faces].unbind(1)
    ab, ac = b - a, c - a
    normal = torch.linalg.cross(ab, ac)
    square = normal.square().sum(-1).clamp(min=1e-18)
    local = places.double()[:, None] - a
    second = (torch.linalg.cross(local, ac.expand_as(local), dim=-1) * normal).sum(-1) / square
    third = (torch.linalg.cross(ab.expand_as(local), local, dim=-1) * normal).sum(-1) / square
    weights = torch.stack((1 - second - third, second, third), -1).clamp(0, 1)
    weights = weights / weights.sum(-1, keepdim=True)
    off = ((frames[time][faces] * weights[..., None]).sum(-2) - places[:, None]).norm(dim=-1)
    return (frames[0][faces] * weights[..., None]).sum(-2), off


def agrees(clip: Clip, time: int, places: Tensor, homes: Tensor, within: float) -> Tensor:
    """Whether a triangle that the place lies on was at its home at frame 0."""
    home, off = carried(clip, time, places)
    there = off < 2e-4
    assert there.any(-1).all()
    return ((home - homes[:, None]).norm(dim=-1) + 9 * ~there).amin(-1) < within


@pytest.mark.parametrize("seed", SEEDS)
def test_what_a_pixel_sees_was_where_its_canonical_colour_says(seed: int) -> None:
    clip, scene = scene_of(seed)
    origins, directions = scene.cameras.rays(SHOOT.size)
    forward = -scene.cameras.world[:, None, :, 2]
    random = torch.Generator().manual_seed(seed)
    for time in range(3):
        depth = scene.depth[time].flatten(1)
        place = origins + directions * (depth / (directions * forward).sum(-1))[..., None]
        home = scene.canonical[time].flatten(2).mT / 255 * 2 - 1
        seen = scene.mask[time].flatten(1).nonzero()
        view, pixel = seen[torch.randperm(len(seen), generator=random)[:120]].T
        within = 3**0.5 / 255 + 1e-3  # eight bits a channel
        assert agrees(clip, time, place[view, pixel], home[view, pixel], within).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_the_paint_of_a_surface_point_is_its_colour_and_its_home(seed: int) -> None:
    clip, scene = scene_of(seed)
    shades = torch.tensor(clip.colours).double() / 255
    for time in range(3):
        places, paint = scene.surface[time], scene.paint[time].double()
        home, off = carried(clip, time, places)
        wrong = (home - (paint[:, None, 3:] * 2 - 1)).norm(dim=-1) + 9 * (off > 2e-4)
        assert wrong.amin(-1).max() < 1e-3
        corners = shades[wrong.argmin(-1)]
        assert ((paint[:, :3] > corners.amin(1) - 1e-3) & (paint[:, :3] < corners.amax(1) + 1e-3)).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_outside_there_is_nothing(seed: int) -> None:
    _, scene = scene_of(seed)
    outside = ~scene.mask
    assert outside.any() and scene.mask.any()
    assert (scene.depth[outside] == 0).all() and (scene.depth[scene.mask] > 0).all()
    for picture in (scene.colour, scene.canonical):
        assert (picture.movedim(2, -1)[outside] == 0).all()


def winding(clip: Clip, time: int, points: Tensor) -> Tensor:
    """Times that the mesh goes round the places (van Oosterom and Strackee 1983)."""
    a, b, c = (torch.tensor(clip.frames[time][clip.faces]).double()[None] - points.double()[:, None, None]).unbind(2)
    la, lb, lc = (v.norm(dim=-1) for v in (a, b, c))
    over = (a * torch.linalg.cross(b, c, dim=-1)).sum(-1)
    under = la * lb * lc + (a * b).sum(-1) * lc + (b * c).sum(-1) * la + (c * a).sum(-1) * lb
    return torch.atan2(over, under).sum(-1) / (2 * torch.pi)


@pytest.mark.parametrize("seed", SEEDS)
def test_inside_is_where_the_mesh_goes_round(seed: int) -> None:
    clip, scene = scene_of(seed)
    for time in range(3):
        told, found = scene.inside[time], winding(clip, time, scene.points[time]) > 0.5
        sure = (told - 0.5).abs() > 0.49  # the others are within a cell of the surface
        assert sure.any() and ((told > 0.5) == found)[sure].float().mean() > 0.95
        assert told.min() >= 0 and told.max() < 1 + 1e-5  # between cells, rounded
        assert (told > 0.9).any() and (told < 0.1).any()


def test_places_are_in_the_box_and_as_many_as_asked() -> None:
    _, scene = scene_of(0)
    assert scene.points.shape == (3, 96, 3) and scene.surface.shape == (3, 48, 3)
    assert scene.points.abs().max() <= 1 and scene.paint.min() >= 0 and scene.paint.max() <= 1
    assert scene.colour.shape == scene.canonical.shape == (3, 4, 3, 32, 32)


def test_the_seed_draws_rig_and_places() -> None:
    clip = make_clip(2)
    one, same, other = take(clip, SHOOT, 2), take(clip, SHOOT, 2), take(clip, SHOOT, 3)
    for f in fields(Scene)[1:]:
        assert torch.equal(getattr(one, f.name), getattr(same, f.name))
    assert torch.equal(one.cameras.world, same.cameras.world)
    assert not torch.equal(one.cameras.world, other.cameras.world) and not torch.equal(one.points, other.points)


def test_stacking_keeps_scenes_whole() -> None:
    scenes = [take(make_clip(seed), SHOOT, seed) for seed in (0, 1)]  # of different numbers of points
    both = Scene.stack(scenes)
    assert both.colour.shape[0] == 2 and torch.equal(both.cameras.world[1], scenes[1].cameras.world)
    for f in fields(Scene)[1:]:
        assert torch.equal(getattr(both, f.name)[1], getattr(scenes[1], f.name))


def test_what_is_buried_in_another_part_is_seldom_asked_for() -> None:
    buried, asked = [], []
    for seed in range(4):
        clip, scene = scene_of(seed)
        even = np.random.default_rng(0).integers(len(clip.faces), size=100)
        middle = torch.tensor(clip.frames[0][clip.faces[even]].mean(1))
        buried.append((winding(clip, 0, middle) > 1.25).float().mean())
        asked.append((winding(clip, 0, scene.surface[0]) > 1.25).float().mean())
    assert torch.stack(buried).mean() > 0.05 and torch.stack(asked).mean() < 0.5 * torch.stack(buried).mean()
