"""python -m lim_server.evaluation.stamp RESULTS ROW CHECKPOINT: what a checkpoint reached, into its own header."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from statistics import fmean

from lim_server.models.weights import read_card, read_tensors, save_tensors


def scores_of(results: Path, row: str) -> dict[str, float]:
    """Means over the sequences of a row of `lim eval`'s tables: by metric, or the distance of matched points."""
    found = json.loads(results.read_text())
    if row in found["best"]:
        each = found["best"][row]
        return {name: _mean([one[name] for one in each]) for name, value in each[0].items() if value is not None}
    return {"matched points": _mean(found["tracking"][row])}


def _mean(values: list[float]) -> float:
    return round(fmean(values), 4)


def stamp(checkpoint: Path, scores: dict[str, float]) -> None:
    """The same weights with other scores."""
    card, sha256 = read_card(checkpoint)
    save_tensors(checkpoint, read_tensors(checkpoint, sha256), replace(card, scores=scores))


if __name__ == "__main__":
    stamp(Path(sys.argv[3]), scores_of(Path(sys.argv[1]), sys.argv[2]))
