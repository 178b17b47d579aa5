"""The fine fit as a CPU does it against as a GPU does it, both on this machine's CPU.

    python -m benchmarks.fine_solvers

A CPU factors each step's equations and looks for nearest places in a tree; a GPU takes conjugate gradients and compares
all places with all. Here a bent, coloured limb of 5,000 and 25,000 points.
"""

from __future__ import annotations

import time
from unittest.mock import patch

import numpy as np
import torch

from benchmarks.page import write_page
from lim_server.geometry import lifted
from lim_server.geometry.equations import Equations
from lim_server.geometry.fine import Fine
from lim_server.geometry.landmarks import Landmarks
from lim_server.geometry.shape import Frame, Shape
from tests.lim_server.stages.creatures import limb

SIZES = ((70, 71), (160, 160))


class _NoTree:
    """Asked like a tree."""

    def __init__(self, rows: np.ndarray):
        self.rows = torch.from_numpy(rows)

    def query(self, rows: np.ndarray) -> tuple[None, np.ndarray]:
        return None, lifted.nearest_row(torch.from_numpy(rows), self.rows).numpy()


def _row(rings: int, around: int) -> str:
    source, key = limb(rings, around, 0.0, True), limb(int(rings * 0.9), int(around * 1.1), 0.25, True)
    frame = Frame.of(source.points)
    mine, theirs = Shape.of(source, frame), Shape.of(key, frame)
    fine, found = Fine(mine, "cpu"), []

    def fit() -> float:
        start = time.process_time()
        marks = Landmarks.of(mine, key, frame)
        there = lifted.Lifted.target(theirs, "cpu", colored=True)
        found.append(fine.onto(there, mine.points, np.ones(len(mine.points)), marks, lambda *_: None))
        return time.process_time() - start

    exact = fit()
    with patch.object(Equations, "solver", lambda made: made.iterated):
        gradients = fit()
    with patch.object(lifted, "cKDTree", _NoTree):
        compared = fit()
    off = [np.linalg.norm(other - found[0], axis=1).mean() * 100 for other in found[1:]]
    parts = f"{exact:.1f} | {gradients / exact:.2f} | {off[0]:.4f} | {compared / exact:.2f} | {off[1]:.4f}"
    return f"| {len(mine.points):,} | {parts} |"


def main() -> None:
    """Both sizes."""
    torch.set_num_threads(1)
    head = (
        "| points | factors and tree, seconds of CPU | gradients instead, times that | apart, % of the diagonal "
        "| all with all instead, times that | apart |"
    )
    text = "\n".join([head, "|" + "---|" * 6, *(_row(*size) for size in SIZES)])
    write_page("fine_solvers", "The fine fit by other means, one thread", text, "python -m benchmarks.fine_solvers")


if __name__ == "__main__":
    main()
