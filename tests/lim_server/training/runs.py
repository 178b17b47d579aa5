"""Short trainings, and ways to stop them, for the tests."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

from safetensors import safe_open
from torch import Tensor

from lim_server.training.interrupt import Interrupt
from lim_server.training.recipes import Recipe
from lim_server.training.train import Job, train


class After(Interrupt):
    """A signal that comes while the step of that number is being taken: the loop asks once before each step."""

    def __init__(self, steps: int):
        self.left = steps

    @property
    def number(self) -> int:  # type: ignore[override]
        self.left -= 1
        return signal.SIGTERM if self.left < 0 else 0


def run(recipe: Recipe, folder: Path, lrm: Path | None = None, stop: Interrupt | None = None, **more: Any) -> Path:
    return train(Job(recipe, folder, lrm, every=1, **more), stop)


def log(folder: Path) -> list[dict[str, float]]:
    """Every step's line, without what depends on the machine."""
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name not in ("seconds", "feed")} for line in lines]


def tensors(path: Path) -> dict[str, Tensor]:
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
