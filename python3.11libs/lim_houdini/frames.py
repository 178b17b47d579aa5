"""Frames a node has made, kept by what they were made from; the least recently used go first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable

from lim_protocol.types import Frame


class FrameCache:
    """At most so many bytes of frames."""

    def __init__(self) -> None:
        self.frames: OrderedDict[Hashable, Frame] = OrderedDict()
        self.used = 0

    def get(self, name: Hashable) -> Frame | None:
        """The frame of that name, or None."""
        frame = self.frames.get(name)
        if frame is not None:
            self.frames.move_to_end(name)
        return frame

    def put(self, name: Hashable, frame: Frame, limit: int) -> None:
        """Keep a frame; with `limit` bytes in all."""
        if name not in self.frames:
            self.frames[name] = frame
            self.used += size(frame)
        while self.used > limit and self.frames:
            _, old = self.frames.popitem(last=False)
            self.used -= size(old)

    def clear(self) -> None:
        """Forget all."""
        self.frames.clear()
        self.used = 0


def size(frame: Frame) -> int:
    """Bytes of a frame's arrays."""
    return sum(values.nbytes for values in vars(frame).values() if hasattr(values, "nbytes"))
