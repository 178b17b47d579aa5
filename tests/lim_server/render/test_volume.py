from __future__ import annotations

import torch
from torch import Tensor

from lim_server.render.cameras import ring
from lim_server.render.volume import render, span


def lines(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Rays from anywhere to anywhere, some along the axes."""
    random = torch.Generator().manual_seed(seed)
    origins = 2.5 * torch.randn(1, count, 3, generator=random)
    directions = torch.nn.functional.normalize(torch.randn(1, count, 3, generator=random) - 0.4 * origins, dim=-1)
    directions[0, :6] = torch.cat((torch.eye(3), -torch.eye(3)))
    origins[0, :6] = -2 * directions[0, :6] + torch.tensor([0.1, 0.2, 0.3])
    return origins, directions


def test_span_is_where_the_ray_is_in_the_box() -> None:
    origins, directions = lines(60, 0)
    near, far = span(origins, directions)
    along = torch.linspace(0, 12, 24001)
    inside = ((origins[..., None, :] + along[:, None] * directions[..., None, :]).abs() <= 1).all(-1)
    length = inside.sum(-1) * (along[1] - along[0])
    assert (length > 0).sum() > 20 and (length == 0).sum() > 5
    assert torch.allclose(far - near, length, atol=2e-3)
    hit = length > 0
    first = along[inside.float().argmax(-1)]
    assert torch.allclose(near[hit], first[hit], atol=1e-3)


def test_a_camera_inside_starts_where_it_is() -> None:
    near, far = span(torch.tensor([[[0.5, 0.0, 0.0]]]), torch.tensor([[[1.0, 0.0, 0.0]]]))
    assert near.item() == 0 and far.item() == 0.5


def test_a_constant_medium_has_its_closed_form() -> None:
    colour = torch.tensor([0.2, 0.5, 0.9])

    def field(points: Tensor) -> tuple[Tensor, Tensor]:
        return torch.full(points.shape[:2], 0.8), colour.expand_as(points)

    origins, directions = ring().rays(5)
    near, far = span(origins, directions)
    length = far - near
    hit = 1 - torch.exp(-0.8 * length)
    for samples in (1, 7, 64):
        seen = render(field, origins, directions, samples)
        assert torch.allclose(seen.hit, hit, atol=1e-5)
        assert torch.allclose(seen.colour, hit[..., None] * colour, atol=1e-5)
    # mean of t over the density 0.8 exp(-0.8 (t - near))
    mean = near + 1 / 0.8 - length / (torch.exp(0.8 * length) - 1)
    there = hit > 0
    fine = render(field, origins, directions, 512)
    assert torch.allclose(fine.distance[there], mean[there], atol=1e-3)


def test_a_wall_hides_what_is_behind_it() -> None:
    red, green = torch.tensor([1.0, 0, 0]), torch.tensor([0.0, 1, 0])

    def field(points: Tensor) -> tuple[Tensor, Tensor]:
        wall = (points[..., 2].abs() - 0.5).abs() < 0.1
        return wall * 200.0, torch.where(points[..., 2:] > 0, red, green)

    origins = torch.tensor([[[0.1, 0.2, 3.0]]])
    seen = render(field, origins, torch.tensor([[[0.0, 0.0, -1.0]]]), 400)
    assert torch.allclose(seen.colour[0, 0], red, atol=1e-4) and abs(seen.hit.item() - 1) < 1e-4
    assert abs(seen.distance.item() - 2.4) < 0.02


def test_what_misses_the_box_is_black_and_has_gradients() -> None:
    density = torch.tensor(3.0, requires_grad=True)

    def field(points: Tensor) -> tuple[Tensor, Tensor]:
        return density.expand(points.shape[:2]), torch.ones_like(points)

    origins = torch.tensor([[[0.0, 0.0, 3.0], [0.0, 5.0, 3.0]]])
    seen = render(field, origins, torch.tensor([[[0.0, 0.0, -1.0], [0.0, 0.0, -1.0]]]), 8)
    assert seen.hit[0, 1] == 0 and (seen.colour[0, 1] == 0).all() and seen.distance[0, 1] == 0
    seen.hit.sum().backward()
    assert density.grad is not None and torch.allclose(density.grad, 2 * torch.exp(torch.tensor(-6.0)))


def test_jitter_moves_samples_within_their_steps() -> None:
    at: list[Tensor] = []

    def field(points: Tensor) -> tuple[Tensor, Tensor]:
        at.append(points[0, :, 2])
        return torch.ones(points.shape[:2]), points

    origins, directions = torch.tensor([[[0.0, 0.0, 3.0]]]), torch.tensor([[[0.0, 0.0, -1.0]]])
    for jitter in (0.0, 0.25, 0.99):
        render(field, origins, directions, 4, torch.full((1, 1, 1), jitter))
        assert torch.allclose(at[-1], 1 - (torch.arange(4) + jitter) * 0.5, atol=1e-6)
