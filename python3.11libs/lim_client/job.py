"""A job as the client sees it: what was asked, what has come, what is on its way."""

from __future__ import annotations

import contextlib
import queue
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lim_client.errors import ServerError
from lim_protocol.messages import Progress

POLL = 0.1
"""Seconds between two looks at whether the user has interrupted."""
CREDIT = 8
SOON = 0.005


@dataclass(frozen=True, eq=False)
class Request:
    """What is asked. `blobs` holds the packed records of all inputs, in order; they must not change."""

    op: str
    params: dict[str, Any]
    digests: Sequence[bytes]
    blobs: Sequence[bytes | bytearray]
    times: NDArray[np.float64]
    priority: int = 0
    deadline: float = 0.0
    supersedes: bytes | None = None


@dataclass(eq=False)
class Job:
    """Iterate for the records, in order, each once, whatever happens to the server meanwhile.

    id        this client's name for it
    taken     called with the job and how many more records the application has taken
    progress  the server's last word on it; `state` what is going on before there is any
    summary   the server's, once the last record was taken
    """

    request: Request
    taken: Callable[[Job, int], None]
    id: bytes = field(default_factory=lambda: secrets.token_bytes(16))
    arrived: queue.SimpleQueue[Any] = field(default_factory=queue.SimpleQueue)
    next: int = 0
    buffer: NDArray[np.uint8] | None = None
    filled: int = 0
    to_upload: set[bytes] = field(default_factory=set)
    tries: int = 0
    untold: int = 0
    progress: Progress | None = None
    state: str = "connecting"
    summary: dict[str, Any] | None = None

    def poll(self, timeout: float) -> memoryview | None:
        """The next record, or None when none came in time or all were taken (then `summary` is set).

        Raises ServerError where the job or the way to the server failed for good.
        """
        item = self._next(min(timeout, SOON))
        if item is None:
            self._tell_taken()
            item = self._next(timeout)
        if isinstance(item, ServerError):
            raise item
        if isinstance(item, dict):
            self.summary = item
            return None
        if item is not None:
            self.untold += 1
            if self.untold >= CREDIT // 2:
                self._tell_taken()
        return item

    def _next(self, timeout: float) -> memoryview | dict[str, Any] | ServerError | None:
        with contextlib.suppress(queue.Empty):
            item: memoryview | dict[str, Any] | ServerError = self.arrived.get(timeout=timeout)
            return item
        return None

    def _tell_taken(self) -> None:
        """Told in bunches while records flow, and before a longer wait, which may be one for the server's credit."""
        if self.untold:
            self.taken(self, self.untold)
            self.untold = 0

    def records(self, while_waiting: Callable[[Job], None] = lambda _: None) -> Iterator[memoryview]:
        """All records. `while_waiting` is called at least ten times a second and may raise to give up."""
        while self.summary is None:
            record = self.poll(POLL)
            while_waiting(self)
            if record is not None:
                yield record

    def fail(self, error: ServerError) -> None:
        """Let the application know; called by the session's thread."""
        self.arrived.put(error)

    def arrive(self, record: memoryview) -> None:
        """The next record is whole; called by the session's thread."""
        self.arrived.put(record)
        self.buffer, self.next = None, self.next + 1

    def finish(self, summary: dict[str, Any]) -> None:
        """All records have come; called by the session's thread."""
        self.arrived.put(summary)
