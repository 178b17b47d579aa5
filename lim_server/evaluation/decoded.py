"""A triplane decoded once, and looked at with any density threshold.

A constant added to the logit of opacity moves the threshold: what is solid, and how dense it is rendered. Blends make
opacity thin, so that a fixed threshold would judge a method by its calibration; every method is given its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import max_pool3d

from lim_server.evaluation.heldout import CELLS
from lim_server.models.field import Decoder
from lim_server.models.lrm import Planes
from lim_server.render.cameras import Cameras
from lim_server.render.volume import span

STEPS = 48
EMPTY = -6.0
"""Below this logit, in a cell and in all around it, nothing is rendered.

As trained, less than 0.001 of opacity per unit length is lost to it, and at the densest threshold 0.03.
"""
AT_ONCE = 1 << 14


@dataclass(frozen=True, eq=False)
class Rays:
    """The samples along the rays through every pixel: points [r * STEPS, 3], distance from one to the next [r]."""

    views: int
    size: int
    points: Float[Tensor, "n 3"]
    step: Float[Tensor, " r"]

    @cached_property
    def cell(self) -> Int[Tensor, " n"]:
        """Which cell of the box each sample is in."""
        x, y, z = ((self.points + 1) * (CELLS / 2)).long().clamp(0, CELLS - 1).unbind(-1)
        return (x * CELLS + y) * CELLS + z


def rays_of(cameras: Cameras, size: int) -> Rays:
    """STEPS samples on each ray's share of the box."""
    origins, directions = cameras.rays(size)
    near, far = span(origins, directions)
    step = (far - near) / STEPS
    along = near[..., None] + (torch.arange(STEPS, device=near.device) + 0.5) * step[..., None]
    points = origins[..., None, :] + along[..., None] * directions[..., None, :]
    return Rays(len(step), size, points.reshape(-1, 3), step.flatten())


def cell_centres(device: str | torch.device = "cpu") -> Float[Tensor, "cells 3"]:
    """By x, y and z."""
    at = (torch.arange(CELLS, device=device) + 0.5) * (2 / CELLS) - 1
    return torch.stack(torch.meshgrid(at, at, at, indexing="ij"), -1).reshape(-1, 3)


@dataclass(frozen=True, eq=False)
class Decoded:
    """Logits at the cells' centres, and logits and colours along those rays that come near anything."""

    decoder: Decoder
    rays: Rays
    cells: Float[Tensor, " cells"]
    live: Int[Tensor, " l"]
    logit: Float[Tensor, "l s"]
    colour: Float[Tensor, "l s 3"]

    def inside(self, bias: float) -> Bool[Tensor, " cells"]:
        """Which cells' centres are solid."""
        return self.cells + bias > 0

    def picture(self, bias: float) -> Float[Tensor, "v 3 s s"]:
        """Rendered over black (render/volume.py, which its test holds this against)."""
        thick = self.decoder.opacity(self.logit + bias) * self.rays.step[self.live, None]
        through = torch.exp(-thick.cumsum(-1))
        before = torch.cat((torch.ones_like(through[:, :1]), through[:, :-1]), -1)
        shown = ((before - through)[..., None] * self.colour).sum(-2)
        whole = shown.new_zeros(len(self.rays.step), 3)
        whole[self.live] = shown
        size = self.rays.size
        return whole.reshape(self.rays.views, size, size, 3).movedim(-1, 1)


def decode(decoder: Decoder, planes: Planes, rays: Rays) -> Decoded:
    """A single triplane, at the cells' centres and, where these find something, along the rays."""
    planes = planes.float()
    centres = cell_centres(planes.device)
    cells = torch.cat([decoder(planes, some[None])[0][0] for some in centres.split(AT_ONCE)])
    around = max_pool3d(cells.view(1, 1, CELLS, CELLS, CELLS), 3, 1, 1).flatten() > EMPTY
    busy = around[rays.cell].view(-1, STEPS)
    live = busy.any(1).nonzero()[:, 0]
    busy, points = busy[live], rays.points.view(-1, STEPS, 3)[live]
    logit = points.new_full(busy.shape, -torch.inf)
    colour = torch.zeros_like(points)
    found = [decoder(planes, some[None]) for some in points[busy].split(AT_ONCE)]
    if found:
        logit[busy] = torch.cat([a for a, _ in found], 1)[0]
        colour[busy] = torch.cat([b for _, b in found], 1)[0]
    return Decoded(decoder, rays, cells, live, logit, colour)
