"""Emission-absorption rendering along rays, and the surface that it sees (LIM, section 3.1; Max 1995)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

Field = Callable[[Float[Tensor, "b n 3"]], tuple[Float[Tensor, "b n"], Float[Tensor, "b n 3"]]]
"""Opacity per unit length, and colour, at places of the box."""


@dataclass(frozen=True, eq=False)
class Rendered:
    """Along each ray: colour [b, r, 3] over black, how much was hit [b, r], and how far away on average [b, r]."""

    colour: Float[Tensor, "b r 3"]
    hit: Float[Tensor, "b r"]
    distance: Float[Tensor, "b r"]


def span(
    origins: Float[Tensor, "b r 3"], directions: Float[Tensor, "b r 3"]
) -> tuple[Float[Tensor, "b r"], Float[Tensor, "b r"]]:
    """Where rays enter and leave the box; equal where they miss it."""
    safe = torch.where(directions.abs() < 1e-9, 1e-9, directions)
    one, other = (-1 - origins) / safe, (1 - origins) / safe
    near = torch.minimum(one, other).amax(-1).clamp(min=0)
    return near, torch.maximum(torch.maximum(one, other).amin(-1), near)


def render(
    field: Field,
    origins: Float[Tensor, "b r 3"],
    directions: Float[Tensor, "b r 3"],
    samples: int,
    jitter: Float[Tensor, "b r 1"] | float = 0.5,
) -> Rendered:
    """Each ray's share of the box in `samples` steps; jitter from 0 to 1 says where in its step a sample stands."""
    near, far = span(origins, directions)
    step = (far - near) / samples
    along = near[..., None] + (torch.arange(samples, device=near.device) + jitter) * step[..., None]
    points = origins[..., None, :] + along[..., None] * directions[..., None, :]
    opacity, colour = field(points.flatten(1, 2))
    thick = opacity.unflatten(1, along.shape[1:]) * step[..., None]
    through = torch.exp(-thick.cumsum(-1))
    before = torch.cat((torch.ones_like(through[..., :1]), through[..., :-1]), -1)
    weight = before - through
    hit = weight.sum(-1)
    seen = (weight[..., None] * colour.unflatten(1, along.shape[1:])).sum(-2)
    return Rendered(seen, hit, (weight * along).sum(-1) / hit.clamp(min=1e-6))
