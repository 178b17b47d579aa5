"""No memory on the device: said in words of the recipe."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from lim_server.training.recipes import Recipe


class NoMemory(RuntimeError):
    """A step that the device has no room for; the message names its batch and what to do."""


@contextmanager
def memory_for(recipe: Recipe, batch: int, device: torch.device) -> Iterator[None]:
    """Turns an allocator's error into NoMemory; `batch` is that of one process."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not isinstance(error, torch.OutOfMemoryError | MemoryError) and "DefaultCPUAllocator" not in str(error):
            raise
        raise NoMemory(
            f"{device}: no memory for a batch of {batch} samples at preset {recipe.preset} ({recipe.name}, blocks of "
            f"{recipe.clips} clips). Give a smaller --batch, more processes, or a device with more memory."
        ) from error
