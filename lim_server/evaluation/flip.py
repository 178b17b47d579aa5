"""LDR-FLIP: how strongly two pictures seem to differ when they are shown by turns (Andersson et al. 2020)."""

from __future__ import annotations

import math
from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import conv2d, pad

PIXELS_PER_DEGREE = 0.7 * 3840 / 0.7 * math.pi / 180
"""A monitor 0.7 m wide with 3840 pixels, seen from 0.7 m: what the authors assume."""
CONTRAST = (((1.0, 0.0047), (0.0, 1e-5)), ((1.0, 0.0053), (0.0, 1e-5)), ((34.1, 0.04), (13.5, 0.025)))
"""Sensitivity to contrast in lightness, red to green and blue to yellow: sums of Gaussians (their table 1)."""
COLOUR_POWER, COLOUR_SPLIT, COLOUR_SHARE = 0.7, 0.4, 0.95
FEATURE_WIDTH, FEATURE_POWER = 0.082, 0.5
TO_XYZ = (
    (10135552 / 24577794, 8788810 / 24577794, 4435075 / 24577794),
    (2613072 / 12288897, 8788810 / 12288897, 887015 / 12288897),
    (1425312 / 73733382, 8788810 / 73733382, 70074185 / 73733382),
)

Picture = Float[Tensor, "v 3 h w"]


def flip(image: Picture, truth: Picture) -> Float[Tensor, ""]:
    """Mean over pixels and views of FLIP, 0 for equal pictures and at most 1; sRGB from 0 to 1."""
    return flip_map(image, truth).mean()


def flip_map(image: Picture, truth: Picture) -> Float[Tensor, "v h w"]:
    """The error at each pixel: colour difference raised by the difference of edges and points (their equation 12)."""
    one, other = (_opponent(_linear(t)) for t in (image, truth))
    colour = _colour_difference(_seen_from_afar(one), _seen_from_afar(other))
    feature = _feature_difference(one, other)
    return colour ** (1 - feature)


def _colour_difference(one: Picture, other: Picture) -> Float[Tensor, "v h w"]:
    """HyAB distance of Hunt-adjusted Lab, with what is large squeezed into the last twentieth (section 4.1.3)."""
    error = _hyab(_hunt(one), _hunt(other)) ** COLOUR_POWER
    green, blue = (
        _hunt(_lab(torch.tensor(c, device=one.device).view(1, 3, 1, 1))) for c in ((0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
    )
    most = _hyab(green, blue).squeeze() ** COLOUR_POWER
    split = COLOUR_SPLIT * most
    large = COLOUR_SHARE + (error - split) / (most - split) * (1 - COLOUR_SHARE)
    return torch.where(error < split, error * (COLOUR_SHARE / split), large)


def _feature_difference(one: Picture, other: Picture) -> Float[Tensor, "v h w"]:
    """Edges and points of lightness that one picture has and the other lacks (section 4.2)."""
    strength = []
    for picture in (one, other):
        light = (picture[:, :1] + 16) / 116
        strength.append([_strength(light, kernel) for kernel in _feature_kernels()])
    apart = [(a - b).abs() for a, b in zip(*strength, strict=True)]
    return (torch.maximum(*apart) / math.sqrt(2)) ** FEATURE_POWER


def _strength(light: Float[Tensor, "v 1 h w"], kernel: Float[Tensor, "r r"]) -> Float[Tensor, "v h w"]:
    across, down = (_filtered(light, k) for k in (kernel, kernel.T))
    return torch.cat((across, down), 1).norm(dim=1)


def _seen_from_afar(opponent: Picture) -> Picture:
    """Through the eye's sensitivity to contrast, back to Lab (section 4.1.1)."""
    blurred = [_filtered(opponent[:, k : k + 1], kernel) for k, kernel in enumerate(_contrast_kernels())]
    return _lab(_from_opponent(torch.cat(blurred, 1)).clamp(0, 1))


def _filtered(channel: Float[Tensor, "v 1 h w"], kernel: Float[Tensor, "r r"]) -> Float[Tensor, "v 1 h w"]:
    reach = len(kernel) // 2
    return conv2d(pad(channel, (reach,) * 4, mode="replicate"), kernel.to(channel)[None, None])


@cache
def _contrast_kernels() -> list[Float[Tensor, "r r"]]:
    widest = max(b for sums in CONTRAST for _, b in sums)
    reach = math.ceil(3 * math.sqrt(widest / (2 * math.pi**2)) * PIXELS_PER_DEGREE)
    at = torch.arange(-reach, reach + 1) / PIXELS_PER_DEGREE
    square = at.square()[:, None] + at.square()
    kernels = []
    for sums in CONTRAST:
        bells = [a * math.sqrt(math.pi / b) * torch.exp(-(math.pi**2) * square / b) for a, b in sums]
        kernels.append(torch.stack(bells).sum(0))
    return [kernel / kernel.sum() for kernel in kernels]


@cache
def _feature_kernels() -> tuple[Float[Tensor, "r r"], Float[Tensor, "r r"]]:
    """First and second derivative of a Gaussian across; what is positive sums to 1, what is negative to -1."""
    deviation = 0.5 * FEATURE_WIDTH * PIXELS_PER_DEGREE
    reach = math.ceil(3 * deviation)
    at = torch.arange(-reach, reach + 1, dtype=torch.float32)
    bell = torch.exp(-(at.square()[:, None] + at.square()) / (2 * deviation**2))
    edge, point = -at * bell, (at.square() / deviation**2 - 1) * bell
    return _balanced(edge), _balanced(point)


def _balanced(kernel: Float[Tensor, "r r"]) -> Float[Tensor, "r r"]:
    positive, negative = kernel.clamp(min=0), kernel.clamp(max=0)
    return positive / positive.sum() - negative / negative.sum()


def _linear(srgb: Picture) -> Picture:
    return torch.where(srgb > 0.04045, ((srgb.clamp(min=0) + 0.055) / 1.055) ** 2.4, srgb / 12.92)


def _mixed(matrix: Tensor, picture: Picture) -> Picture:
    return torch.einsum("ij,vjhw->vihw", matrix.to(picture), picture)


def _relative(linear: Picture) -> Picture:
    """CIE XYZ over that of white."""
    matrix = torch.tensor(TO_XYZ, dtype=torch.float64)
    return _mixed(matrix / matrix.sum(1, keepdim=True), linear)


def _opponent(linear: Picture) -> Picture:
    """YCxCz: lightness, red to green, blue to yellow, all linear in light."""
    x, y, z = _relative(linear).unbind(1)
    return torch.stack((116 * y - 16, 500 * (x - y), 200 * (y - z)), 1)


def _from_opponent(opponent: Picture) -> Picture:
    y = (opponent[:, 0] + 16) / 116
    relative = torch.stack((y + opponent[:, 1] / 500, y, y - opponent[:, 2] / 200), 1)
    matrix = torch.tensor(TO_XYZ, dtype=torch.float64)
    return _mixed((matrix / matrix.sum(1, keepdim=True)).inverse(), relative)


def _lab(linear: Picture) -> Picture:
    t, knee = _relative(linear), 6 / 29
    x, y, z = torch.where(t > knee**3, t.clamp(min=1e-9) ** (1 / 3), t / (3 * knee**2) + 4 / 29).unbind(1)
    return torch.stack((116 * y - 16, 500 * (x - y), 200 * (y - z)), 1)


def _hunt(lab: Picture) -> Picture:
    """Colours seem paler where it is dark."""
    return torch.cat((lab[:, :1], 0.01 * lab[:, :1] * lab[:, 1:]), 1)


def _hyab(one: Picture, other: Picture) -> Float[Tensor, "v h w"]:
    apart = one - other
    return apart[:, 0].abs() + apart[:, 1:].norm(dim=1)
