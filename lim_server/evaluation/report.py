"""The tables of an evaluation as markdown, and all its numbers as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from lim_server.evaluation.evaluate import Result
from lim_server.evaluation.heldout import CELLS, CLASSES, LARGE, SMALL
from lim_server.evaluation.methods import LINEAR, ORACLE
from lim_server.evaluation.scores import (
    BIASES,
    METRICS,
    SMALLER_IS_BETTER,
    SWEPT,
    TIED,
    Scores,
    gap_closed,
    mean_and_error,
)
from lim_server.evaluation.tracking import ALIGNED, TWIN

DIGITS = {"IoU": 3, "SSIM": 3, "FLIP": 3, "LPIPS": 3}
GAPS = (*SWEPT, TIED)


@dataclass(frozen=True)
class Made:
    """How the tables came to be.

    command, machine, seconds   as a person would ask
    checkpoints                 file name, model, steps and digest of each
    sequences, validation, views, source   how many and of what; lpips: its network, or ""
    """

    command: str
    machine: str
    seconds: float
    checkpoints: list[str]
    sequences: int
    validation: int
    views: int
    source: str
    lpips: str


def as_json(result: Result, made: Made) -> str:
    """Everything, down to the single sequence."""
    return json.dumps({"made": asdict(made), **asdict(result)}, indent=1) + "\n"


def as_markdown(result: Result, made: Made, seeds: Mapping[str, Sequence[str]], rows: Sequence[str]) -> str:
    """Tables; `seeds` names the rows that differ in the seed of their training only, `rows` those of the picture."""
    parts = [
        _head(result, made),
        "## Between two keys, every method at its own best density threshold\n",
        _threshold_words(result, made),
        _table(result, result.best, made.lpips),
        *(_seeds_words(result, name, members) for name, members in seeds.items() if len(members) > 1),
        "## The same by motion from key to key\n",
        _motion_table(result),
        "## The same with the density threshold as trained\n",
        _table(result, result.as_trained, made.lpips, SWEPT),
        "## Matching with canonical coordinates\n",
        _tracking_words(result),
        _tracking_table(result, result.tracking),
        "Mean error of the canonical coordinates themselves, at the candidates:\n",
        _tracking_table(result, result.canonical),
        f"![One row for each method](picture.png)\n\nRows from the top: {'; '.join(rows)}. Columns: sequences, from "
        "little motion to much. The first of the novel views, at the threshold that is best for PSNR.\n",
    ]
    return "\n".join(parts)


def _head(result: Result, made: Made) -> str:
    of_class = ", ".join(f"{result.motion_class.count(name)} {name}" for name in CLASSES)
    checkpoints = "\n".join(f"- {line}" for line in made.checkpoints)
    return (
        f"# Evaluation\n\n`{made.command}`\n\n{made.machine}; {made.seconds:.0f} s.\n\n{checkpoints}\n\n"
        f"{made.sequences} sequences, {made.source}; by mean motion from key to key in half-sizes of the box: "
        f"{of_class} (small below {SMALL}, large from {LARGE} on). Two keys seen by the ring of four views; the frame "
        f"between rendered from {made.views} novel views over black. IoU at the centres of {CELLS}³ cells. ± is the "
        "standard error over the sequences (of gaps: bootstrap over the sequences, the same for all methods).\n"
    )


def _threshold_words(result: Result, made: Made) -> str:
    ends = sorted(name for name, bias in result.bias.items() if bias["PSNR_FG"] in (BIASES[0], BIASES[-1]))
    words = (
        f"The threshold is a constant added to the logit of opacity, from {BIASES[0]} to {BIASES[-1]} by "
        f"{BIASES[1] - BIASES[0]}, and chosen for each method by the metric itself (IoU, PSNR, PSNR_FG) on "
        f"{made.validation} made-up sequences that are not among those judged here. SSIM, FLIP and LPIPS are at the "
        f"threshold of PSNR. PSNR_FG forgives all that is rendered outside the true mask, so its own best threshold "
        f"is a dense one; the column beside it is at the threshold of PSNR, one picture for both.\n"
    )
    return words + (f"At the end of the sweep for PSNR_FG: {', '.join(ends)}.\n" if ends else "")


def _table(result: Result, scores: Mapping[str, list[Scores]], lpips: str, gaps: Sequence[str] = GAPS) -> str:
    columns = METRICS if TIED in gaps else SWEPT
    head = ["method", *columns, *(f"gap closed, {name}" for name in gaps)]
    if TIED in gaps:
        head.append("bias for " + " / ".join(SWEPT))
    rows = []
    for name, per_sequence in scores.items():
        row = [name]
        for metric in columns:
            values = _column(per_sequence, metric)
            row.append("no weights given" if metric == "LPIPS" and not lpips else _with_error(metric, values))
        row += [_gap(scores, name, metric) for metric in gaps]
        if TIED in gaps:
            row.append(" / ".join(f"{result.bias[name][metric]:+.2f}" for metric in SWEPT))
        rows.append(row)
    return _markdown([_arrow(word) for word in head], rows)


def _motion_table(result: Result) -> str:
    rows = []
    for name, per_sequence in result.best.items():
        row = [name]
        for which in CLASSES:
            here = [k for k, found in enumerate(result.motion_class) if found == which]
            part = {other: [result.best[other][k] for k in here] for other in result.best}
            for metric in SWEPT:
                values = [per_sequence[k][metric] for k in here]
                gap = _gap(part, name, metric) if len(here) > 1 else ""
                row.append(f"{_plain(metric, values)}{f' ({gap})' if gap else ''}" if here else "–")
        rows.append(row)
    head = ["method", *(f"{which}: {metric}" for which in CLASSES for metric in SWEPT)]
    return _markdown(head, rows) + "\nIn brackets: gap closed between the linear blend and the oracle.\n"


def _seeds_words(result: Result, name: str, members: Sequence[str]) -> str:
    words = []
    for metric in GAPS:
        gaps = [_gap_value(result.best, member, metric)[0] for member in members]
        words.append(f"{metric} {np.mean(gaps):.0f} ± {np.std(gaps, ddof=1):.0f} %")
    return f"{name} over {len(members)} trainings (± is the standard deviation over them): {', '.join(words)}.\n"


def _tracking_words(result: Result) -> str:
    words = (
        "Mean distance from where a point of key k is put at key k + 1 to where it is, in half-sizes of the box. About "
        "2,500 points of either surface; those that are buried at either key are left out.\n"
    )
    if TWIN not in result.tracking:
        return words
    there = [k for k, motion in enumerate(result.motion) if motion >= SMALL]
    twin, aligned = ([result.tracking[name][k] for k in there] for name in (TWIN, ALIGNED))
    if not there:
        return words
    less, error = gap_closed(twin, aligned, [0.0] * len(there))
    return (
        words + f"\nMotion of {SMALL} and above: LIM's twin is {less:.0f} ± {error:.0f} % under the aligned nearest.\n"
    )


def _tracking_table(result: Result, errors: Mapping[str, list[float]]) -> str:
    bins: dict[str, Callable[[int], bool]] = {"all": lambda k: True}  # noqa: ARG005
    for which in CLASSES:
        bins[which] = lambda k, which=which: result.motion_class[k] == which  # type: ignore[misc]
    chosen = {name: [k for k in range(len(result.motion)) if wanted(k)] for name, wanted in bins.items()}
    rows = [
        [name, *(_with_error("IoU", [values[k] for k in few]) if few else "–" for few in chosen.values())]
        for name, values in errors.items()
    ]
    return _markdown(["method", *(f"{name} ({len(few)})" for name, few in chosen.items())], rows)


def _gap_value(scores: Mapping[str, list[Scores]], name: str, metric: str) -> tuple[float, float]:
    return gap_closed(*(_column(scores[which], metric) for which in (name, LINEAR, ORACLE)))


def _gap(scores: Mapping[str, list[Scores]], name: str, metric: str) -> str:
    value, error = _gap_value(scores, name, metric)
    if math.isnan(value):
        return "–"
    value = round(value) + 0.0  # no minus before a zero
    return f"{value:.0f} %" if name in (LINEAR, ORACLE) or math.isnan(error) else f"{value:.0f} ± {error:.0f} %"


def _column(per_sequence: Sequence[Scores], metric: str) -> list[float]:
    return [found[metric] for found in per_sequence if metric in found]


def _plain(metric: str, values: Sequence[float]) -> str:
    return f"{np.mean(values):.{DIGITS.get(metric, 2)}f}"


def _with_error(metric: str, values: Sequence[float]) -> str:
    mean, error = mean_and_error(values)
    digits = DIGITS.get(metric, 2)
    return f"{mean:.{digits}f}" if math.isnan(error) else f"{mean:.{digits}f} ± {error:.{digits}f}"


def _arrow(word: str) -> str:
    if word not in METRICS:
        return word
    return f"{word} {'↓' if word in SMALLER_IS_BETTER else '↑'}"


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rows)]
    return "\n".join(lines) + "\n"
