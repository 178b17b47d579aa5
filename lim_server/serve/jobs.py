"""Runs, and who waits for them. A run is work named by its content; subscriptions are the clients that asked for it."""

from __future__ import annotations

import hashlib
import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import msgpack
import numpy as np

from lim_protocol.messages import Submit

AHEAD = 256 * 1024 * 1024
"""Bytes of results a worker makes before the clients have taken some: bounds the disk that a slow client holds."""


@dataclass(eq=False)
class Subscription:
    """One client's place in one run.

    seq          next record to send, or being sent
    credit       records the client will still take
    outstanding  sizes of records sent and not yet taken
    """

    session: Any
    job: bytes
    run: Run
    seq: int
    credit: int
    deadline: float
    view: memoryview | None = None
    offset: int = 0
    outstanding: deque[int] = field(default_factory=deque)


@dataclass(eq=False)
class Run:
    """Work that has a name.

    ready    records on disk, counted from the first
    sizes    bytes of each of those, where known
    deaths   workers that died over it
    """

    key: bytes
    submit: Submit
    order: int
    ready: int = 0
    sizes: dict[int, int] = field(default_factory=dict)
    summary: dict[str, Any] | None = None
    worker: Any = None
    deaths: int = 0
    subscriptions: list[Subscription] = field(default_factory=list)

    @property
    def total(self) -> int:
        """Records it will have."""
        return len(self.submit.times) + 1

    def record(self, seq: int) -> bytes:
        """Store name of a record."""
        return record_name(self.key, seq)

    def undelivered(self) -> Iterable[int]:
        """Records on disk that some client still waits for."""
        return range(min((s.seq for s in self.subscriptions), default=self.ready), self.ready)

    def waits_for_clients(self) -> bool:
        """Has it run so far ahead that it should pause?"""
        return sum(self.sizes.get(seq, 0) for seq in self.undelivered()) > AHEAD // 2

    def deadline(self) -> float:
        """When nobody will want it any more, on the monotonic clock."""
        return max((s.deadline for s in self.subscriptions), default=-math.inf)


def run_key(submit: Submit, code: bytes) -> bytes:
    """The name of the work: what is asked, of what, by which code."""
    params = msgpack.packb(sorted(submit.params.items()))
    times = np.ascontiguousarray(submit.times, "<f8").tobytes()
    content = msgpack.packb([code, submit.op, params, submit.inputs, times])
    return hashlib.sha256(content).digest()


def record_name(key: bytes, seq: int) -> bytes:
    """Store name of a run's record."""
    return hashlib.sha256(key + b"record" + seq.to_bytes(4, "big")).digest()


def summary_name(key: bytes) -> bytes:
    """Store name of a run's summary, the last thing it makes."""
    return hashlib.sha256(key + b"summary").digest()


class Queue:
    """Runs that want a worker, best first: higher priority, then earlier asked."""

    def __init__(self) -> None:
        self.runs: list[Run] = []

    def add(self, run: Run) -> None:
        """Put a run in its place; a run is in the queue at most once."""
        if run not in self.runs:
            self.runs.append(run)
            self.runs.sort(key=lambda r: (-r.submit.priority, r.order))

    def remove(self, run: Run) -> None:
        """Take a run out, if it is in."""
        if run in self.runs:
            self.runs.remove(run)

    def position(self, run: Run) -> int:
        """How many are before it; 0 also when it is not waiting."""
        return self.runs.index(run) if run in self.runs else 0

    def next(self) -> Run | None:
        """Take out the best run that need not wait for its clients."""
        for run in self.runs:
            if not run.waits_for_clients():
                self.runs.remove(run)
                return run
        return None
