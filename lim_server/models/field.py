"""What a triplane says about places: opacity and colour (or canonical coordinate).

In the small presets each plane's cells also tell places along the plane's third axis apart: a few layers, one behind
the other (a tri-grid; An et al. 2023, PanoHead). From a triplane the decoder has to multiply to find out where along a
column something is, which small ones learn slowly (docs/models.md).
"""

from __future__ import annotations

from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import grid_sample

from lim_server.models.presets import Preset

Axes = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]
"""Of each plane: the axis along its columns, and along its rows."""
AXES: Axes = ((0, 1), (0, 2), (1, 2))
"""Planes xy, xz, yz."""
ACROSS = (2, 1, 0)
"""The third axis of each."""


def sample_planes(
    planes: Float[Tensor, "b 3 c r r"], points: Float[Tensor, "b n 3"], axes: Axes = AXES, beyond: str = "border"
) -> Float[Tensor, "b n 3*c"]:
    """Each plane's value under the places, one after the other; places from -1 to 1.

    `beyond` says what is outside the centres of the outer cells: their own values ("border"), or a fade to "zeros".
    """
    at = torch.stack([points[..., pair] for pair in axes], 1)
    b, _, c = planes.shape[:3]
    found = grid_sample(planes.flatten(0, 1), at.flatten(0, 1)[:, None], align_corners=False, padding_mode=beyond)
    return found[:, :, 0].reshape(b, 3 * c, -1).mT


def sample_grids(
    planes: Float[Tensor, "b 3 c r r"], points: Float[Tensor, "b n 3"], depth: int
) -> Float[Tensor, "b n k"]:
    """The same of a tri-grid: of each plane the layers of its first value, then of its second, c / depth in all."""
    at = torch.stack([points[..., [*pair, across]] for pair, across in zip(AXES, ACROSS, strict=True)], 1)
    b = len(planes)
    grids = planes.flatten(0, 1).unflatten(1, (-1, depth))
    found = grid_sample(grids, at.flatten(0, 1)[:, None, None], align_corners=False, padding_mode="border")
    return found[:, :, 0, 0].reshape(b, -1, points.shape[1]).mT


class Decoder(nn.Module):
    """A small MLP from a triplane's values to a logit of opacity and three colours.

    The opacity per unit length is `density` * sigmoid(2 * (logit + bias)); both numbers are learned with the renderer,
    and the surface is where the logit is zero.
    """

    def __init__(self, preset: Preset):
        super().__init__()
        self.depth = preset.depth
        widths = (3 * preset.channels // preset.depth, *preset.decoder)
        layers: list[nn.Module] = []
        for wide, next_wide in pairwise(widths):
            layers += [nn.Linear(wide, next_wide), nn.SiLU()]
        self.layers = nn.Sequential(*layers, nn.Linear(widths[-1], 4))
        self.log_density = nn.Parameter(torch.tensor(3.4))
        self.bias = nn.Parameter(torch.tensor(0.0))

    def forward(
        self, planes: Float[Tensor, "b 3 c r r"], points: Float[Tensor, "b n 3"]
    ) -> tuple[Float[Tensor, "b n"], Float[Tensor, "b n 3"]]:
        """Logit of opacity, and colour from 0 to 1 (canonical coordinate / 2 + 1/2 for the twin)."""
        found = sample_planes(planes, points) if self.depth == 1 else sample_grids(planes, points, self.depth)
        out = self.layers(found)
        return out[..., 0], out[..., 1:].sigmoid()

    def opacity(self, logit: Float[Tensor, "*b"]) -> Float[Tensor, "*b"]:
        """Per unit length."""
        return self.log_density.exp() * torch.sigmoid(2 * (logit + self.bias))
