"""Memory for records, used again: fresh pages cost as much as the copy into them."""

from __future__ import annotations

import weakref

import numpy as np
from numpy.typing import NDArray

KEPT = 64 << 20
"""Bytes that may wait for their next use."""


class Buffers:
    """Buffers come back by themselves when the last array on them is gone, and only those of one size are kept."""

    def __init__(self) -> None:
        self.size, self.free = 0, list[NDArray[np.uint8]]()

    def take(self, size: int) -> NDArray[np.uint8]:
        """Bytes to write into, with whatever they held before. Only memoryviews of it may be given away."""
        if size != self.size:
            self.size, self.free = size, []
        owner = self.free.pop() if self.free else np.empty(size, np.uint8)
        lent = owner[:]
        weakref.finalize(lent, self._give_back, owner).atexit = False
        return lent

    def _give_back(self, owner: NDArray[np.uint8]) -> None:
        if len(owner) == self.size and len(self.free) * self.size < KEPT:
            self.free.append(owner)
