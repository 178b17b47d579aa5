"""What LIM brings to the tracker: true errors of every task by geometry alone, led by LIM, and the cheaper of both.

    python -m benchmarks.tracking_lim TASKS [--only GLOB]

TASKS as in benchmarks.tracking. `auto` is what `lim track` does unless told otherwise.
"""

from __future__ import annotations

import argparse
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import torch

from benchmarks.page import write_page
from benchmarks.tracking import CLASSES, Task, errors
from lim_server.models.shipped import Models, shipped
from lim_server.stages.canonical import Canonical

HEAD = """| task | geometry, mean error % | led by LIM | auto | auto / geometry | seconds, geometry | auto |
|---|---|---|---|---|---|---|"""


def _row(task: Task, models: Models) -> tuple[float, ...]:
    hints = Canonical(models, task.keyframes, "cpu").told
    alone, led, both = errors(task), errors(task, hints, trusted=True), errors(task, hints)
    return alone[0], led[0], both[0], both[0] / alone[0], alone[3], both[3]


def _line(name: str, row: tuple[float, ...]) -> str:
    line = f"| {name} | " + " | ".join(f"{value:.2f}" for value in row) + " |"
    print(line, flush=True)
    return line


def main() -> None:
    """Every task three times."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tasks", type=Path)
    parser.add_argument("--only", default="*", help="names to take, a pattern")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    models = shipped("cpu")
    assert models is not None
    tasks = [Task.read(p) for p in sorted(asked.tasks.glob("*.npz")) if fnmatch(p.stem, asked.only)]
    lines, rows = [HEAD], {}
    for task in tasks:
        rows[task.name, task.gap] = _row(task, models)
        lines.append(_line(task.name, rows[task.name, task.gap]))
    for gap in CLASSES:
        of = np.array([row for (_, own), row in rows.items() if own == gap])
        if len(of):
            mean = of.mean(axis=0)
            lines.append(_line(f"**{gap} ({len(of)}), mean**", (*mean[:3], mean[2] / mean[0], *mean[4:])))
    command = f"python -m benchmarks.tracking_lim TASKS --only '{asked.only}'"
    write_page("tracking_lim", "The tracker with LIM and without", "\n".join(lines), command)


if __name__ == "__main__":
    main()
