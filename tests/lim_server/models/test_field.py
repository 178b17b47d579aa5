from __future__ import annotations

import torch

from lim_server.models.field import ACROSS, AXES, Decoder, sample_grids, sample_planes
from lim_server.models.lrm import ToPlanes
from lim_server.models.presets import nano, smoke

CELLS = 12


def linear(weights: torch.Tensor) -> torch.Tensor:
    """Planes [1, 3, 2, cells, cells] of a x + b y (+ c) along columns and rows; weights [3, 2, 3]."""
    at = (torch.arange(CELLS) + 0.5) * (2 / CELLS) - 1
    a, b, c = (weights[..., k, None, None] for k in range(3))
    return (a * at[None, None, None, :] + b * at[None, None, :, None] + c)[None]


def test_planes_are_xy_xz_and_yz() -> None:
    random = torch.Generator().manual_seed(0)
    weights = torch.randn(3, 2, 3, generator=random)
    points = (torch.rand(1, 200, 3, generator=random) * 2 - 1) * (1 - 1 / CELLS)  # between the outermost centres
    found = sample_planes(linear(weights), points)[0].unflatten(1, (3, 2))
    x, y, z = points[0].unbind(-1)
    for plane, (first, second) in enumerate(((x, y), (x, z), (y, z))):
        wanted = weights[plane, :, 0] * first[:, None] + weights[plane, :, 1] * second[:, None] + weights[plane, :, 2]
        assert torch.allclose(found[:, plane], wanted, atol=1e-5)


def test_outside_is_as_at_the_edge() -> None:
    planes = torch.randn(1, 3, 2, CELLS, CELLS, generator=torch.Generator().manual_seed(1))
    edge = 1 - 1 / CELLS
    inside, outside = (
        sample_planes(planes, torch.full((1, 1, 3), edge)),
        sample_planes(planes, torch.full((1, 1, 3), 3.0)),
    )
    assert torch.allclose(inside, outside, atol=1e-5) and (inside != 0).any()


def test_a_tri_grid_tells_places_along_the_third_axis_apart() -> None:
    depth = 6
    at = (torch.arange(depth) + 0.5) * (2 / depth) - 1
    deep = torch.cat((at, 2 * at - 1))[:, None, None].expand(-1, CELLS, CELLS)  # two values, layer by layer
    points = (torch.rand(1, 50, 3) * 2 - 1) * (1 - 1 / depth)
    found = sample_grids(deep.expand(1, 3, -1, -1, -1), points, depth)[0].unflatten(1, (3, 2))
    for plane, (pair, across) in enumerate(zip(AXES, ACROSS, strict=True)):
        assert sorted((*pair, across)) == [0, 1, 2]
        along = points[0, :, across]
        assert torch.allclose(found[:, plane], torch.stack((along, 2 * along - 1), 1), atol=1e-5)
    flat = torch.randn(1, 3, 2, CELLS, CELLS)  # the same in every layer: a triplane
    same = sample_grids(flat.repeat_interleave(depth, 2), points, depth)
    assert torch.allclose(same, sample_planes(flat, points), atol=1e-5)


def test_each_token_becomes_its_own_patch_of_cells() -> None:
    preset = smoke()
    head = ToPlanes(preset)
    tokens = torch.randn(1, 3 * preset.tokens**2, preset.width)
    before = head(tokens)
    plane, row, column = 1, 2, 3
    tokens[0, (plane * preset.tokens + row) * preset.tokens + column] += torch.randn(preset.width)
    changed = (head(tokens) != before).any(2)[0]  # [3, cells, cells]
    wanted = torch.zeros_like(changed)
    up = preset.upsample
    wanted[plane, row * up : (row + 1) * up, column * up : (column + 1) * up] = True
    assert torch.equal(changed, wanted)


def test_places_do_not_see_each_other() -> None:
    decoder, planes = Decoder(nano()), torch.randn(2, 3, nano().channels, 40, 40)
    points = torch.rand(2, 30, 3) * 2 - 1
    logit, colour = decoder(planes, points)
    one, tint = decoder(planes[1:], points[1:, 4:5])
    assert torch.allclose(logit[1, 4], one[0, 0], atol=1e-5) and torch.allclose(colour[1, 4], tint[0, 0], atol=1e-5)
    assert colour.min() >= 0 and colour.max() <= 1


def test_the_surface_is_half_the_density() -> None:
    decoder = Decoder(smoke())
    opacity = decoder.opacity(torch.tensor([-9.0, 0.0, 9.0]))
    density = decoder.log_density.exp()
    assert torch.allclose(opacity / density, torch.tensor([0.0, 0.5, 1.0]), atol=1e-6)
