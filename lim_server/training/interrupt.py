"""Being told to stop: a step is finished and a checkpoint kept first."""

from __future__ import annotations

import signal
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupt:
    """Notes Ctrl-C and SIGTERM instead of dying of them.

    number  of the signal that came, 0 until then. A second one changes nothing: torchrun passes on what its terminal
            has told its processes already.
    """

    def __init__(self) -> None:
        self.number = 0

    def __enter__(self) -> Interrupt:
        self._before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, _: FrameType | None) -> None:
        self.number = self.number or number
