"""How tracking grows with the source: one bent, coloured limb from 5,000 to 200,000 points, and where the time goes.

    python -m benchmarks.track_scale

The floor of a row is what its fine fit spends in Cholesky factors alone: weights change every step, so the matrix must
be factored anew each time.
"""

from __future__ import annotations

import cProfile
import pstats
import time
from typing import Any

import numpy as np
import torch

from benchmarks.page import write_page
from lim_protocol.types import Keyframe
from lim_server.stages.track import track_keys
from tests.lim_server.stages.creatures import limb

SIZES = ((70, 71), (160, 160), (320, 320), (450, 450))
PARTS = {
    "surfaces": ("side.py", "of"),
    "starts": ("starts.py", "starts"),
    "coarse": ("coarse.py", "anneal"),
    "judge": ("judge.py", "cost"),
    "fine": ("fine.py", "onto"),
    "onto the surface": ("snap.py", "snap"),
    "factors": ("arap.py", "solver"),
}


def _seconds(profile: cProfile.Profile) -> dict[str, float]:
    """Cumulative seconds of the parts."""
    entries: dict[tuple[str, int, str], tuple[Any, ...]] = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    spent = dict.fromkeys(PARTS, 0.0)
    for (file, _, function), (_, _, _, cumulative, _) in entries.items():
        for part, (name, wanted) in PARTS.items():
            if function == wanted and file.endswith(f"geometry/{name}"):
                spent[part] += cumulative
    return spent


def _row(rings: int, around: int) -> str:
    source, target = limb(rings, around, 0.0, True), limb(int(rings * 0.9), int(around * 1.1), 0.9, True)
    truth = limb(rings, around, 0.9).points
    profile, start = cProfile.Profile(), time.perf_counter()
    keys = [Keyframe(0.0, source, "source"), Keyframe(8.0, target, "target")]
    found = profile.runcall(lambda: dict(track_keys(keys, device="cpu", step=lambda *_: None)))
    seconds = time.perf_counter() - start
    n, spent = len(source.points), _seconds(profile)
    error = np.linalg.norm(found[1].points - truth, axis=1).mean() / np.linalg.norm(np.ptp(truth, axis=0)) * 100
    parts = " | ".join(f"{spent[p]:.1f}" for p in PARTS)
    return f"| {n:,} | {seconds:.1f} | {seconds / (n * np.log2(n)) * 1e6:.1f} | {parts} | {error:.2f} |"


def main() -> None:
    """Every size, the smallest first."""
    torch.set_num_threads(1)
    head = "| points | seconds | microseconds per n log2 n | " + " | ".join(PARTS) + " | true error % |"
    rows = [_row(*size) for size in SIZES]
    text = "\n".join([head, "|" + "---|" * (len(PARTS) + 4), *rows])
    write_page(
        "track_scale", "Tracking by the size of the source, one thread", text, "python -m benchmarks.track_scale"
    )


if __name__ == "__main__":
    main()
