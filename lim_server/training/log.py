"""What a training says of itself: a line in a file, and TensorBoard's events where that is installed."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any


class Log:
    """Appends to log.jsonl in the folder; only the first process writes."""

    def __init__(self, folder: Path, rank: int, step: int):
        self.path = folder / "log.jsonl" if rank == 0 else None
        self.board: Any = None
        self.last = (time.monotonic(), step)
        if self.path is None:
            return
        folder.mkdir(parents=True, exist_ok=True)
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:  # a bare machine: the file is enough
            return
        self.board = SummaryWriter(str(folder / "tensorboard"), purge_step=step)

    def write(self, step: int, parts: dict[str, float], *, rate: float, feed: float, since: float) -> None:
        """Losses by part, the rate, time of a step, and the share that making data has taken."""
        if self.path is None:
            return
        now = time.monotonic()
        took = (now - self.last[0]) / max(1, step - self.last[1])
        self.last = (now, step)
        line = {"step": step, **parts, "rate": rate, "seconds": took, "feed": feed / max(now - since, 1e-9)}
        with self.path.open("a") as file:
            file.write(json.dumps({name: float(f"{value:.6g}") for name, value in line.items()}) + "\n")
        if self.board is not None:
            for name, value in line.items():
                self.board.add_scalar(name, value, step)

    def close(self) -> None:
        """Writes out what TensorBoard holds."""
        if self.board is not None:
            self.board.close()
