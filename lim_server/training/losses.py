"""What the models are held against."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, l1_loss

from lim_server.models.attention import Tokens
from lim_server.models.carve import Carved
from lim_server.models.field import Decoder
from lim_server.models.lim import Lim
from lim_server.models.lrm import Key, Planes
from lim_server.render.volume import render

RAY_STEPS = 40
COLOUR, DEPTH = 2.0, 0.5
WEIGHTS = {"opacity": 1.0, "colour": COLOUR, "cells' opacity": 1.0, "cells' colour": COLOUR}
WEIGHTS |= {"ray colour": 1.0, "ray mask": 1.0, "ray depth": DEPTH}
WEIGHTS |= {"flow": 1.0, "matched": 0.3, "midway": 1.0, "unlikely": 0.1, "cells' words": 1.0}
"""Of the parts of the LRM's loss, and of the flow's."""


@dataclass(frozen=True, eq=False)
class Truth:
    """What is known of a frame: places and how far they are inside, places on the surface and their colour.

    The colour is the canonical coordinate / 2 + 1/2 where the twin is trained.
    """

    points: Float[Tensor, "b p 3"]
    inside: Float[Tensor, "b p"]
    surface: Float[Tensor, "b q 3"]
    colour: Float[Tensor, "b q 3"]


@dataclass(frozen=True, eq=False)
class Rays:
    """Rays through pixels, and what they see: colour (0 where nothing), hit or not, and distance."""

    origins: Float[Tensor, "b r 3"]
    directions: Float[Tensor, "b r 3"]
    colour: Float[Tensor, "b r 3"]
    hit: Float[Tensor, "b r"]
    distance: Float[Tensor, "b r"]
    jitter: Float[Tensor, "b r 1"]


def field_loss(decoder: Decoder, planes: Planes, truth: Truth) -> dict[str, Tensor]:
    """Opacity at places in space, colour on the surface."""
    opacity, colour = _held_against(truth, *decoder(planes, _places(truth)))
    return {"opacity": opacity, "colour": colour}


def carved_loss(carved: Carved, truth: Truth) -> dict[str, Tensor]:
    """The same of what the cells say of themselves."""
    opacity, colour = _held_against(truth, *carved.at(_places(truth)))
    return {"cells' opacity": opacity, "cells' colour": colour}


def _places(truth: Truth) -> Float[Tensor, "b n 3"]:
    return torch.cat((truth.points, truth.surface), 1)


def _held_against(truth: Truth, logit: Float[Tensor, "b n"], colour: Float[Tensor, "b n 3"]) -> tuple[Tensor, Tensor]:
    split = truth.points.shape[1]
    opacity = binary_cross_entropy_with_logits(logit[:, :split], truth.inside)
    return opacity, l1_loss(colour[:, split:], truth.colour)


def ray_loss(decoder: Decoder, planes: Planes, rays: Rays) -> dict[str, Tensor]:
    """Photometric, mask and depth losses on rendered rays (section 3.1)."""

    def field(points: Tensor) -> tuple[Tensor, Tensor]:
        logit, colour = decoder(planes, points)
        return decoder.opacity(logit), colour

    seen = render(field, rays.origins, rays.directions, RAY_STEPS, rays.jitter)
    known = rays.hit * (seen.hit.detach() > 0.5)
    depth = ((seen.distance - rays.distance).abs() * known).sum() / known.sum().clamp(min=1)
    return {
        "ray colour": l1_loss(seen.colour, rays.colour),
        "ray mask": (seen.hit - rays.hit).square().mean(),
        "ray depth": depth,
    }


def weighed(parts: dict[str, Tensor]) -> Tensor:
    """The sum that the LRM, or the flow, is trained on."""
    return torch.stack([WEIGHTS[name] * part for name, part in parts.items() if name in WEIGHTS]).sum()


def between_loss(planes: Planes, target: Planes) -> Tensor:
    """L_T: the squared distance of triplanes, over the target's own size so that presets compare."""
    return (planes - target).square().mean() / target.square().mean()


def causal_planes(
    lim: Lim,
    key: Key,
    near: Tokens | None,
    far: Tokens,
    carved: Sequence[Carved],
    alpha: Float[Tensor, " b"],
    share: Float[Tensor, " b"],
) -> Planes:
    """L_causal's second pass: from LIM's own features at a < alpha to alpha, still looking at the far key.

    The fraction of the rest of the way is (alpha - a) / (1 - a), which holds only with the images of key k + 1.
    """
    first = alpha * share
    half_way = lim(lim.interval(key.features, far, near, carved), first)
    rest = (alpha - first) / (1 - first)
    return lim(lim.interval(half_way.features, far, near, carved), rest, carried=alpha).planes
