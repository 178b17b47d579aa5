"""True error beside residual, keyframe by keyframe and for what lies between:

python -m examples.creature.report OUT.usd --keys KEYFRAME... [--truth truth.npz] [--every-frame]
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from examples.creature.measure import (
    Errors,
    Given,
    Tracked,
    read_keys,
    read_tracked,
    read_truth,
    residuals,
    true_errors,
)


def report(
    tracked: Tracked, keys: Sequence[Given], truth: dict[float, NDArray[np.float32]] | None, every_frame: bool = False
) -> Table:
    """A row for each keyframe and one for the frames between each two (their mean, and their worst `max`).

    True errors stand in it where the truth is known, and how far the points are off the keyframes' surfaces.
    """
    what = (["true"] if truth is not None else []) + ["off key"]
    table = Table(
        title=f"{len(tracked.mesh.points):,} points, {len(tracked.times)} frames; percent of the diagonal",
        title_justify="left",
    )
    table.add_column("frame", justify="right")
    table.add_column("")
    for each in what:
        for figure in ("mean", "95 %", "max"):
            table.add_column(f"{each}\n{figure}", justify="right")
    found = [true_errors(tracked, truth)] if truth is not None else []
    found.append(residuals(tracked, keys))
    for label, kind, times in _groups(tracked, keys, every_frame):
        figures = [_joined([errors for errors in column if errors.time in times]) for column in found]
        if any(figures):
            table.add_row(label, kind, *(text for errors in figures for text in _texts(errors)))
    return table


def _groups(tracked: Tracked, keys: Sequence[Given], every_frame: bool) -> Iterator[tuple[str, str, set[float]]]:
    at = {given.keyframe.time for given in keys}
    between: list[float] = []
    for time in [*tracked.times, None]:
        if between and (every_frame or time is None or time in at):
            label = f"{between[0]:g}" if len(between) == 1 else f"{between[0]:g}-{between[-1]:g}"
            yield label, "in between", set(between)
            between = []
        if time in at:
            assert time is not None
            yield f"{time:g}", "keyframe", {time}
        elif time is not None:
            between.append(time)


def _joined(errors: list[Errors]) -> Errors | None:
    if not errors:
        return None
    mean, p95 = (float(np.mean([getattr(each, name) for each in errors])) for name in ("mean", "p95"))
    return Errors(errors[0].time, mean, p95, max(each.max for each in errors))


def _texts(errors: Errors | None) -> list[str]:
    return ["", "", ""] if errors is None else [f"{value:.3f}" for value in (errors.mean, errors.p95, errors.max)]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Print how far a tracked USD file is off its keyframes and the truth.")
    parser.add_argument("usd", type=Path)
    parser.add_argument("--keys", nargs="+", required=True, help="keyframes, as for lim track")
    parser.add_argument("--truth", type=Path, help="npz with frames [frames] and points [frames, points, 3]")
    parser.add_argument("--every-frame", action="store_true", help="a row for each frame")
    options = parser.parse_args()
    truth = read_truth(options.truth) if options.truth else None
    Console().print(report(read_tracked(options.usd), read_keys(options.keys), truth, options.every_frame))


if __name__ == "__main__":
    main()
