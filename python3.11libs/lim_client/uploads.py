"""Blobs on their way to the server: in chunks, a few megabytes ahead of its acknowledgements."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np

from lim_protocol.messages import Blob, BlobAck

CHUNK = 1 << 20
WINDOW = 8 << 20
"""Bytes on their way: enough to fill a line, few enough not to hold up heartbeats on a slow one."""


class Uploads:
    """What one session sends; a new session starts with a new one."""

    def __init__(self) -> None:
        self.waiting: deque[tuple[bytes, memoryview, int]] = deque()
        self.received: dict[bytes, int] = {}
        self.sizes: dict[bytes, int] = {}
        self.in_flight = 0

    def add(self, digest: bytes, blob: bytes | bytearray) -> None:
        """Send a blob, unless it is on its way already."""
        if digest not in self.sizes:
            self.sizes[digest], self.received[digest] = len(blob), 0
            self.waiting.append((digest, memoryview(blob), 0))

    def pump(self, send: Callable[[Blob], bool]) -> None:
        """Send what the window and the pipe have room for."""
        while self.waiting and self.in_flight < WINDOW:
            digest, blob, offset = self.waiting[0]
            data = blob[offset : offset + CHUNK]
            if not send(Blob(digest, len(blob), offset, np.frombuffer(data, np.uint8))):
                return
            self.in_flight += len(data)
            self.waiting.popleft()
            if offset + len(data) < len(blob):
                self.waiting.appendleft((digest, blob, offset + len(data)))

    def acknowledge(self, ack: BlobAck) -> bool:
        """The server has so much of a blob; True where it now has all."""
        if ack.digest not in self.sizes:
            return False
        self.in_flight -= ack.received - self.received[ack.digest]
        self.received[ack.digest] = ack.received
        if ack.received < self.sizes[ack.digest]:
            return False
        del self.sizes[ack.digest], self.received[ack.digest]
        return True
