"""Places of the surface that rays see: each ray's depth, carried back into space (LIM, section 3.4)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lim_server.render.volume import Rendered

LEAST = 0.5
"""Of a ray that must be stopped for it to see a surface."""


@dataclass(frozen=True, eq=False)
class SurfacePoints:
    """What rays see of the surface.

    points  [b, r, 3]  in the rays' own space; where nothing is seen, 0
    colour  [b, r, 3]  the surface's own, not darkened by what passes through; where nothing is seen, 0
    seen    [b, r]     whether the ray was stopped
    """

    points: Float[Tensor, "b r 3"]
    colour: Float[Tensor, "b r 3"]
    seen: Bool[Tensor, "b r"]


def surface_points(
    rendered: Rendered, origins: Float[Tensor, "b r 3"], directions: Float[Tensor, "b r 3"], least: float = LEAST
) -> SurfacePoints:
    """Origin + distance * direction of each ray of which at least `least` (0 to 1) was stopped.

    The distance is a mean over what stopped the ray: one that grazes an edge and is stopped behind it lies in between,
    and a greater `least` leaves out those that are half stopped only.
    """
    seen = rendered.hit >= least
    points = origins + rendered.distance[..., None] * directions
    colour = rendered.colour / rendered.hit[..., None].clamp(min=1e-6)
    nothing = torch.zeros_like(points)
    return SurfacePoints(
        torch.where(seen[..., None], points, nothing), torch.where(seen[..., None], colour, nothing), seen
    )
