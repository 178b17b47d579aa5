"""No memory on the device: the same in smaller pieces."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch

T = TypeVar("T")


def is_out_of_memory(error: BaseException) -> bool:
    """Is this an allocator's word that there is no more, a GPU's or the CPU's?"""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "DefaultCPUAllocator" in str(error)


def with_less(make: Callable[[int], T], piece: int, least: int) -> tuple[T, int]:
    """What `make` makes in pieces of this size, halved until the device has room for it, and the size that did.

    Raises what the allocator said where not even pieces of `least` fit.
    """
    while True:
        try:
            return make(piece), piece
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error) or piece // 2 < least:
                raise
        piece //= 2  # outside of the handler, whose traceback holds on to what was allocated
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
