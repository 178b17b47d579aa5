"""Every method on every held-out sequence."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import torch

from lim_server.evaluation.decoded import Rays, decode, rays_of
from lim_server.evaluation.heldout import TEST, VALIDATION, HeldOut, held_out, novel_cameras
from lim_server.evaluation.lpips import Lpips
from lim_server.evaluation.methods import Method, keys_of, methods
from lim_server.evaluation.picture import Pictures
from lim_server.evaluation.scores import Scores, best_biases, scores, scores_as_trained, swept
from lim_server.evaluation.tracking import answers_of, canonical_errors, matching, tracking_errors
from lim_server.models.lim import Lim
from lim_server.models.lrm import Lrm
from lim_server.training.feed import Source

Value = TypeVar("Value")


@dataclass(frozen=True, eq=False)
class Job:
    """What to evaluate, and on what.

    lims         LIMs by the name of their row
    both         that one of them which is run from both keys too, or None
    twin         LIM's twin, or None
    sequences    how many to judge by; `validation` others, always made up, choose the density thresholds
    clips        folder of clips to judge by instead of made-up ones, or None
    """

    lrm: Lrm
    lims: Mapping[str, Lim]
    both: Lim | None
    twin: Lim | None
    lpips: Lpips | None = None
    sequences: int = 40
    validation: int = 16
    views: int = 2
    clips: Path | None = None
    seed: int = 0
    device: str = "cpu"


@dataclass(eq=False)
class Result:
    """By method: thresholds by metric, and a row for each sequence, at these and as trained; tracking the same."""

    bias: dict[str, dict[str, float]]
    motion: list[float] = field(default_factory=list)
    motion_class: list[str] = field(default_factory=list)
    time: list[float] = field(default_factory=list)
    best: dict[str, list[Scores]] = field(default_factory=dict)
    as_trained: dict[str, list[Scores]] = field(default_factory=dict)
    tracking: dict[str, list[float]] = field(default_factory=dict)
    canonical: dict[str, list[float]] = field(default_factory=dict)


@torch.inference_mode()
def evaluate(job: Job) -> tuple[Result, Pictures]:
    """Thresholds on some sequences, then all numbers on others."""
    rows = methods(job.lims, job.both)
    rays = rays_of(novel_cameras(job.views).to(job.device), job.lrm.preset.size)
    result = Result(thresholds(job, rows, rays))
    pictures = Pictures(list(rows))
    source = Source(job.clips, 1.0 if job.clips else 0.0)
    for number, held in enumerate(_sequences(job, source, TEST, job.sequences, "judged")):
        result.motion.append(held.motion)
        result.motion_class.append(held.motion_class)
        result.time.append(held.time)
        _judge(job, rows, rays, held, result, pictures)
        match = matching(held, number)
        answers = answers_of(job.lrm, job.twin, held, match)
        _add(result.tracking, tracking_errors(match, answers))
        _add(result.canonical, canonical_errors(match, answers))
    return result, pictures


def thresholds(job: Job, rows: Mapping[str, Method], rays: Rays) -> dict[str, dict[str, float]]:
    """Each method's own best bias for each metric, on sequences that nothing is judged by."""
    sweeps: dict[str, list[dict[str, list[float]]]] = {name: [] for name in rows}
    for held in _sequences(job, Source(None, 0.0), VALIDATION, job.validation, "for the thresholds"):
        keys = keys_of(job.lrm, held)
        for name, row in rows.items():
            sweeps[name].append(swept(held, decode(job.lrm.decoder, row(keys), rays)))
    return {name: best_biases(sweep) for name, sweep in sweeps.items()}


def _judge(job: Job, rows: Mapping[str, Method], rays: Rays, held: HeldOut, result: Result, pictures: Pictures) -> None:
    keys = keys_of(job.lrm, held)
    shown = {}
    for name, row in rows.items():
        decoded = decode(job.lrm.decoder, row(keys), rays)
        shown[name] = decoded.picture(result.bias[name]["PSNR"])[0]
        _add(result.best, {name: scores(held, decoded, result.bias[name], job.lpips)})
        _add(result.as_trained, {name: scores_as_trained(held, decoded)})
    pictures.add(held, shown)


def _add(rows: dict[str, list[Value]], values: Mapping[str, Value]) -> None:
    for name, value in values.items():
        rows.setdefault(name, []).append(value)


def _sequences(job: Job, source: Source, first: int, count: int, purpose: str) -> Iterator[HeldOut]:
    """With a word now and then of how far it is."""
    seeds = range(first + job.seed * 10**9, first + job.seed * 10**9 + count)
    cameras = novel_cameras(job.views)
    for number, held in enumerate(held_out(source, seeds, job.lrm.preset.size, cameras, job.device), 1):
        yield held
        if number % 10 == 0 or number == count:
            print(f"{number} of {count} sequences {purpose}", file=sys.stderr)
