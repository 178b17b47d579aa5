"""How close pictures are, and how well opacity fills what is solid. Colours from 0 to 1."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import conv2d

WINDOW, SIGMA = 11, 1.5
K1, K2 = 0.01, 0.03
LEAST_ERROR = 1e-10
"""Of equal pictures: 100 dB."""


def psnr(image: Float[Tensor, "*b v 3 h w"], truth: Float[Tensor, "*b v 3 h w"]) -> Float[Tensor, "*b"]:
    """Decibels over the whole picture, then the mean over the views."""
    return _decibels((image - truth).square().mean((-3, -2, -1))).mean(-1)


def psnr_foreground(
    image: Float[Tensor, "*b v 3 h w"], truth: Float[Tensor, "*b v 3 h w"], mask: Bool[Tensor, "*b v h w"]
) -> Float[Tensor, "*b"]:
    """PSNR_FG: over the pixels of the true mask only (the paper names it and defines it nowhere: our reading).

    A view in which nothing is to be seen counts for nothing.
    """
    error = ((image - truth).square().mean(-3) * mask).sum((-2, -1))
    pixels = mask.sum((-2, -1))
    seen = (pixels > 0).float()
    return (_decibels(error / pixels.clamp(min=1)) * seen).sum(-1) / seen.sum(-1).clamp(min=1)


def ssim(image: Float[Tensor, "v 3 h w"], truth: Float[Tensor, "v 3 h w"]) -> Float[Tensor, ""]:
    """Structural similarity (Wang et al. 2004, equation 13), channel by channel, windows that lie in the picture."""
    at = torch.arange(WINDOW, dtype=torch.float64, device=image.device) - WINDOW // 2
    bell = torch.exp(-at.square() / (2 * SIGMA**2))
    window = (bell / bell.sum())[None, None, None]
    x, y = (t.double().flatten(0, 1)[:, None] for t in (image, truth))

    def mean(values: Tensor) -> Tensor:
        return conv2d(conv2d(values, window), window.mT)

    mx, my = mean(x), mean(y)
    xx, yy, xy = mean(x * x) - mx * mx, mean(y * y) - my * my, mean(x * y) - mx * my
    c1, c2 = K1**2, K2**2
    alike = (2 * mx * my + c1) * (2 * xy + c2) / ((mx * mx + my * my + c1) * (xx + yy + c2))
    return alike.mean().float()


def overlap(inside: Bool[Tensor, "*b cells"], truth: Bool[Tensor, "*b cells"]) -> Float[Tensor, "*b"]:
    """IoU: of the places that either calls solid, the share that both do; 1 where neither calls any."""
    either = (inside | truth).sum(-1)
    return torch.where(either == 0, 1.0, (inside & truth).sum(-1) / either.clamp(min=1))


def _decibels(error: Float[Tensor, "*b"]) -> Float[Tensor, "*b"]:
    return -10 * error.clamp(min=LEAST_ERROR).log10()
