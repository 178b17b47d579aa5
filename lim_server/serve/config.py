"""How to serve."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Config:
    """Sizes in bytes, times in seconds.

    folder      for sockets; only its owner can enter it
    code        digest of the code that computes: results of other code are not taken for its own
    budget      records sent and not yet taken, over all clients
    heartbeat   clients that are silent for six of them are gone
    step_limit  a worker that computes and shows no sign of life for so long is killed
    """

    endpoints: tuple[str, ...]
    folder: Path
    store: Path
    keys: Path
    code: bytes
    curve: bool = False
    devices: tuple[str, ...] = ("auto",)
    store_limit: int = 20 << 30
    record_max: int = 2 << 30
    budget: int = 256 << 20
    heartbeat: float = 0.5
    step_limit: float = 300.0
    queue_max: int = 64
