from __future__ import annotations

import torch
from torch import Tensor

from lim_server.render.cameras import ring
from lim_server.render.surface import surface_points
from lim_server.render.volume import Rendered, render

CENTRE = torch.tensor([0.1, -0.2, 0.3])
RADIUS = 0.5
RED = torch.tensor([0.8, 0.3, 0.1])


def ball(points: Tensor) -> tuple[Tensor, Tensor]:
    opacity = 2000.0 * ((points - CENTRE).norm(dim=-1) < RADIUS)
    return opacity, RED.expand_as(points)


def test_points_lie_on_the_ball_and_face_the_camera() -> None:
    cameras = ring()
    origins, directions = cameras.rays(24)
    found = surface_points(render(ball, origins, directions, 400), origins, directions)
    # those that run through the ball's middle part, exactly (the rim is a matter of one step)
    along = ((CENTRE - origins) * directions).sum(-1)
    apart = (origins + along[..., None] * directions - CENTRE).norm(dim=-1)
    assert found.seen[apart < 0.98 * RADIUS].all()
    assert not found.seen[apart > RADIUS].any()
    first = along - (RADIUS**2 - apart**2).clamp(min=0).sqrt()
    exact = origins + first[..., None] * directions
    inner = apart < 0.98 * RADIUS
    assert torch.allclose(found.points[inner], exact[inner], atol=0.01)
    assert torch.allclose(found.colour[inner], RED.expand_as(found.colour)[inner], atol=1e-5)
    assert not found.points[~found.seen].any() and not found.colour[~found.seen].any()


def test_half_stopped_rays_keep_their_colour_and_are_left_out_on_demand() -> None:
    origins, directions = torch.zeros(1, 3, 3), torch.tensor([0.0, 0, 1]).expand(1, 3, 3)
    hit = torch.tensor([[0.2, 0.6, 1.0]])
    rendered = Rendered(hit[..., None] * RED, hit, torch.tensor([[1.0, 2.0, 3.0]]))
    found = surface_points(rendered, origins, directions)
    assert found.seen.tolist() == [[False, True, True]]
    assert found.points[0, :, 2].tolist() == [0.0, 2.0, 3.0]
    assert torch.allclose(found.colour[0, 1:], RED)
    assert surface_points(rendered, origins, directions, 0.9).seen.tolist() == [[False, False, True]]
