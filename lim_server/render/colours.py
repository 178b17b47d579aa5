"""Colours of a surface from the pictures that see it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int, UInt8
from numpy import ndarray
from torch import Tensor
from torch.nn.functional import grid_sample

from lim_server.render.cameras import Cameras
from lim_server.render.rasterize import see

SIZE = 256
"""Pixels across the depth pictures that tell what is hidden."""
BEHIND = 0.04
"""How far behind what a view sees first, in the box's unit, a point may be and is still taken as seen."""
COVERED = 0.5
"""A pixel of which the thing covers less says more of what is beside it."""
STEEP = 4
"""Power of the cosine between normal and ray: the view that looks straightest wins nearly alone, and nothing blurs."""
DOUBT = 0.01
"""Weight of the guess beside a view that looks straight on."""


@dataclass(frozen=True, eq=False)
class Pictures:
    """Views of one key: colour times alpha, and alpha, [v, 4, s, s]."""

    whole: Float[Tensor, "v 4 s s"]
    cameras: Cameras

    @classmethod
    def of(cls, images: UInt8[ndarray, "v s s 4"], cameras: Cameras, device: torch.device) -> Pictures:
        """From pixels as they travel, colours not multiplied."""
        whole = torch.tensor(images, device=device).movedim(-1, 1).float() / 255
        whole = torch.cat((whole[:, :3] * whole[:, 3:], whole[:, 3:]), 1)
        return cls(whole, cameras.to(device))


def colours_seen(
    pictures: Pictures,
    points: Float[Tensor, "n 3"],
    normals: Float[Tensor, "n 3"],
    faces: Int[Tensor, "f 3"],
    guess: Float[Tensor, "n 3"],
) -> Float[Tensor, "n 3"]:
    """Each point's colour from the views that see it, by how straight they look; the guess where none does."""
    cameras = pictures.cameras
    place = cameras.project(points.expand(len(cameras.focal), -1, -1))
    at = place[..., :2] * torch.tensor([1.0, -1.0], device=points.device)
    found = grid_sample(pictures.whole, at[:, None], align_corners=False)[:, :, 0]  # v 4 n
    cover = found[:, 3]
    rays = torch.nn.functional.normalize(cameras.world[:, None, :, 3] - points, dim=-1)
    straight = (rays * normals).sum(-1).clamp(min=0)
    # one view at a time: the rasterizer's table of all of them may be large
    first = torch.cat([see(points[None], faces, cameras[v : v + 1], SIZE).depth for v in range(len(place))])
    depth = grid_sample(first.view(-1, 1, SIZE, SIZE), at[:, None], "nearest", align_corners=False)[:, 0, 0]
    seen = (depth == 0) | (place[..., 2] < depth + BEHIND)
    weight = straight**STEEP * cover * (cover > COVERED) * seen
    total = (found[:, :3] / cover[:, None].clamp(min=1e-6) * weight[:, None]).sum(0).mT
    return (total + guess * DOUBT) / (weight.sum(0)[:, None] + DOUBT)
