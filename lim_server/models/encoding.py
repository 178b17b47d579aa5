"""Where tokens are: the encoding of alpha (the paper's), and the encoding of lines in space (ours).

A patch of an image stands for a ray through the box, a token of the triplane for a line across it. The mean of Fourier
features along each is a fixed vector; added to queries and keys of every attention layer, two lines that meet attend
to each other from the first step on. It needs the cameras only, so it holds for any rig.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from lim_server.render.cameras import Cameras, pixel_centres

SAMPLES = 16
NEAR_BOX = 1.75
"""Half the length of a ray that is looked at: the box's half diagonal."""


def encode_alpha(alpha: Float[Tensor, " b"], width: int) -> Float[Tensor, "b width"]:
    """phi(alpha), supplement: cos and sin of alpha f_i by turns, f_i = exp(-ln(10000) i / D), i = 1..D, width = 2 D."""
    half = width // 2
    rate = torch.exp(-math.log(10000.0) / half * torch.arange(1, half + 1, device=alpha.device))
    angle = alpha[:, None] * rate
    return torch.stack((angle.cos(), angle.sin()), -1).flatten(1)


def encode_points(points: Float[Tensor, "*b 3"], width: int) -> Float[Tensor, "*b width"]:
    """Fourier features of places, zeros where width is no multiple of six."""
    octaves = width // 6
    rate = torch.pi * 0.5 * 2.0 ** torch.arange(octaves, device=points.device)
    angle = (points[..., None] * rate).flatten(-2)
    features = torch.cat((angle.cos(), angle.sin()), -1)
    return torch.nn.functional.pad(features, (0, width - features.shape[-1]))


def encode_rays(cameras: Cameras, side: int, width: int) -> Float[Tensor, "*b tokens width"]:
    """Of each patch's middle ray, over the part of it that is in the box; tokens view by view, row by row."""
    centres = pixel_centres(side, cameras.focal.device).expand(*cameras.focal.shape[:-1], -1, -1)
    origins, directions = cameras.through(centres)
    nearest = -(origins * directions).sum(-1, keepdim=True)
    reach = torch.linspace(-NEAR_BOX, NEAR_BOX, 2 * SAMPLES, device=origins.device)
    along = nearest + reach
    points = origins[..., None, :] + along[..., None] * directions[..., None, :]
    inside = (points.abs().amax(-1, keepdim=True) <= 1).float()
    mean = (encode_points(points, width) * inside).sum(-2) / inside.sum(-2).clamp(min=1)
    return mean.flatten(-3, -2)


def encode_planes(side: int, width: int) -> Float[Tensor, "tokens width"]:
    """Of each triplane token's line: planes xy, xz and yz, rows along their second axis, columns along their first."""
    at = (torch.arange(side) + 0.5) * (2 / side) - 1
    across = (torch.arange(SAMPLES) + 0.5) * (2 / SAMPLES) - 1
    row, column, deep = torch.meshgrid(at, at, across, indexing="ij")
    planes = ((column, row, deep), (column, deep, row), (deep, column, row))
    points = torch.stack([torch.stack(plane, -1) for plane in planes])
    return encode_points(points, width).mean(-2).reshape(-1, width)
