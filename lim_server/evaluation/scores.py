"""A sequence's row of numbers, how density thresholds are chosen, and what part of a gap is closed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy import ndarray

from lim_server.evaluation.decoded import Decoded
from lim_server.evaluation.flip import flip
from lim_server.evaluation.heldout import MIDDLE, HeldOut
from lim_server.evaluation.lpips import Lpips
from lim_server.evaluation.metrics import overlap, psnr, psnr_foreground, ssim

BIASES = tuple(k / 4 for k in range(-6, 11))
"""What is added to the logit of opacity, in the sweep."""
SWEPT = ("IoU", "PSNR", "PSNR_FG")
TIED = "PSNR_FG at PSNR's threshold"
METRICS = (*SWEPT, TIED, "SSIM", "FLIP", "LPIPS")
SMALLER_IS_BETTER = ("FLIP", "LPIPS")
DRAWS, LEAST_GAP = 1000, 1e-3

Scores = dict[str, float]
"""By metric."""


def swept(held: HeldOut, decoded: Decoded) -> dict[str, list[float]]:
    """Of every metric in SWEPT, its value at each of the BIASES."""
    pictures = torch.stack([decoded.picture(bias) for bias in BIASES])
    truth, mask = (t.expand(len(BIASES), *t.shape) for t in (held.novel[MIDDLE], held.mask))
    inside = torch.stack([decoded.inside(bias) for bias in BIASES])
    values = (
        overlap(inside, held.cells.expand_as(inside)),
        psnr(pictures, truth),
        psnr_foreground(pictures, truth, mask),
    )
    return {name: value.tolist() for name, value in zip(SWEPT, values, strict=True)}


def best_biases(sweeps: Sequence[Mapping[str, Sequence[float]]]) -> dict[str, float]:
    """For each metric in SWEPT the bias whose mean over the sequences is the highest."""
    return {name: BIASES[int(np.mean([sweep[name] for sweep in sweeps], 0).argmax())] for name in SWEPT}


def scores_as_trained(held: HeldOut, decoded: Decoded) -> Scores:
    """The metrics in SWEPT at the threshold that the renderer was trained with."""
    picture, truth = decoded.picture(0.0), held.novel[MIDDLE]
    values = (
        overlap(decoded.inside(0.0), held.cells),
        psnr(picture, truth),
        psnr_foreground(picture, truth, held.mask),
    )
    return {name: float(value) for name, value in zip(SWEPT, values, strict=True)}


def scores(held: HeldOut, decoded: Decoded, bias: Mapping[str, float], lpips: Lpips | None) -> Scores:
    """A sequence at the given thresholds; SSIM, FLIP and LPIPS at that of PSNR."""
    truth = held.novel[MIDDLE]
    shown = {value: decoded.picture(value) for value in {bias["PSNR"], bias["PSNR_FG"]}}
    picture = shown[bias["PSNR"]]
    found = {
        "IoU": overlap(decoded.inside(bias["IoU"]), held.cells),
        "PSNR": psnr(picture, truth),
        "PSNR_FG": psnr_foreground(shown[bias["PSNR_FG"]], truth, held.mask),
        TIED: psnr_foreground(picture, truth, held.mask),
        "SSIM": ssim(picture, truth),
        "FLIP": flip(picture.clamp(0, 1), truth),
    }
    if lpips is not None:
        found["LPIPS"] = lpips(picture, truth)
    return {name: float(value) for name, value in found.items()}


def mean_and_error(values: Sequence[float]) -> tuple[float, float]:
    """Mean over the sequences, and its standard error."""
    error = np.std(values, ddof=1) / len(values) ** 0.5 if len(values) > 1 else np.nan
    return float(np.mean(values)), float(error)


def gap_closed(method: Sequence[float], low: Sequence[float], high: Sequence[float]) -> tuple[float, float]:
    """Percent of the way from one mean to another, and its standard error (bootstrap over the sequences, all alike).

    Not a number where the high mean is within a thousandth of the low one: there is no gap to close.
    """
    rows = np.array([method, low, high])
    draw = np.random.default_rng(0).integers(0, rows.shape[1], (DRAWS, rows.shape[1]))
    drawn = _share(rows[:, draw].mean(-1))
    error = np.nan if np.isnan(drawn).any() or rows.shape[1] < 2 else drawn.std()
    return _share(rows.mean(-1)).item(), float(error)


def _share(means: ndarray) -> ndarray:
    """Of method, low and high along the first axis."""
    method, low, high = means
    gap = np.where(np.abs(high - low) > LEAST_GAP * np.abs(low), high - low, np.nan)
    return np.asarray(100 * (method - low) / gap)
