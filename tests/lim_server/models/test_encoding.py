from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from lim_server.models.encoding import encode_alpha, encode_planes, encode_points, encode_rays
from lim_server.render.cameras import ring

WIDTH = 96


@pytest.mark.parametrize("width", [6, 128, 1024])
def test_alpha_is_the_supplements(width: int) -> None:
    # phi has a cosine and a sine of each of D rates f_i = exp(-(ln 10000 / D) i), i from 1 to D, width = 2 D
    rates = [math.exp(-math.log(10000) / (width // 2) * i) for i in range(1, width // 2 + 1)]
    for alpha in (0.0, 0.3, 1.0):
        found = encode_alpha(torch.tensor([0.5, alpha]), width)[1]
        wanted = torch.tensor([wave(alpha * rate) for rate in rates for wave in (math.cos, math.sin)])
        assert torch.allclose(found, wanted, atol=1e-6)
    assert abs(rates[-1] - 1e-4) < 1e-9


def test_alphas_are_told_apart() -> None:
    codes = encode_alpha(torch.linspace(0, 1, 25), 128)
    apart = torch.cdist(codes, codes) + 10 * torch.eye(25)
    assert (apart.argmin(0) - torch.arange(25)).abs().max() == 1  # the nearest is a neighbour in time
    assert apart.min() > 0.05


def test_places_are_waves_of_each_axis() -> None:
    found = encode_points(torch.tensor([[0.25, -0.5, 1.0]]), 15)[0]  # 15: two octaves, and zeros
    angles = [axis * math.pi / 2 * rate for axis in (0.25, -0.5, 1.0) for rate in (1, 2)]
    wanted = [math.cos(a) for a in angles] + [math.sin(a) for a in angles] + [0.0] * 3
    assert torch.allclose(found, torch.tensor(wanted), atol=1e-6)


def test_planes_stand_for_the_lines_across_them() -> None:
    side = 5
    found = encode_planes(side, WIDTH).unflatten(0, (3, side, side))
    at = (torch.arange(side) + 0.5) * (2 / side) - 1
    across = torch.linspace(-1, 1, 4001)
    for plane, (first, second, deep) in enumerate(((0, 1, 2), (0, 2, 1), (1, 2, 0))):
        line = torch.zeros(len(across), 3)
        line[:, first], line[:, second], line[:, deep] = at[3], at[1], across  # column 3, row 1
        wanted = encode_points(line, 24).mean(0)  # four octaves, which the samples of a line resolve
        assert torch.allclose(encode_planes(side, 24).unflatten(0, (3, side, side))[plane, 1, 3], wanted, atol=0.02)
    assert len(torch.unique(found.reshape(-1, WIDTH).round(decimals=4), dim=0)) == 3 * side * side


def unit(x: Tensor) -> Tensor:
    return torch.nn.functional.normalize(x, dim=-1)


def test_lines_that_meet_are_alike() -> None:
    # a token's line is more like rays that pass near it than like others, from any camera
    side = 8
    cameras = ring()
    rays = encode_rays(cameras, side, WIDTH).unflatten(0, (4, side * side))
    lines = encode_planes(side, WIDTH)
    image = torch.stack(torch.meshgrid(-at_of(side), at_of(side), indexing="ij")[::-1], -1).reshape(-1, 2)
    origins, directions = cameras.through(image.expand(4, -1, -1))
    gap = torch.stack([distance(origins, directions, *line) for line in token_lines(side)], -1)
    alike = torch.einsum("vpw,tw->vpt", unit(rays), unit(lines))
    for view in range(4):
        meet, miss = alike[view][gap[view] < 0.08], alike[view][gap[view] > 0.6]
        assert len(meet) > 50 and len(miss) > 50
        assert meet.mean() > miss.mean() + 0.15


def at_of(side: int) -> Tensor:
    return (torch.arange(side) + 0.5) * (2 / side) - 1


def token_lines(side: int) -> list[tuple[Tensor, Tensor]]:
    """A place on each token's line and the line's direction."""
    lines = []
    for first, second, deep in ((0, 1, 2), (0, 2, 1), (1, 2, 0)):
        for row in at_of(side):
            for column in at_of(side):
                place, direction = torch.zeros(3), torch.zeros(3)
                place[first], place[second], direction[deep] = column, row, 1.0
                lines.append((place, direction))
    return lines


def distance(origins: Tensor, directions: Tensor, place: Tensor, direction: Tensor) -> Tensor:
    """Between two lines where they are nearest, if that is in the box; else far."""
    normal = torch.linalg.cross(directions, direction.expand_as(directions), dim=-1)
    apart = ((place - origins) * unit(normal)).sum(-1).abs()
    along = (torch.linalg.cross(place - origins, direction.expand_as(directions), dim=-1) * normal).sum(-1)
    nearest = origins + (along / normal.square().sum(-1).clamp(min=1e-9))[..., None] * directions
    return torch.where(nearest.abs().amax(-1) < 0.9, apart, apart + 1)


def test_rays_need_cameras_only_and_any_number_of_them() -> None:
    four = encode_rays(ring(), 4, WIDTH)
    assert four.shape == (4 * 16, WIDTH)
    two = encode_rays(ring()[1:3], 4, WIDTH)
    assert torch.allclose(two, four.unflatten(0, (4, 16))[1:3].flatten(0, 1))
