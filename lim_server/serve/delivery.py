"""Records from the store to the clients: in order, in chunks, within each one's credit and a byte budget for all."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lim_protocol import messages as m
from lim_protocol.wire import CHUNK_MAX
from lim_server.serve.jobs import Run, Subscription
from lim_server.serve.sessions import send
from lim_server.serve.store import Store


class Delivery:
    """Sends what subscriptions may have. `lost` is told of a run whose record is not on disk any more."""

    def __init__(self, store: Store, budget: int, lost: Callable[[Run, int], None]):
        self.store, self.budget, self.lost = store, budget, lost
        self.outstanding = 0
        self.sent_records = self.sent_bytes = 0

    def pump(self, subscriptions: list[Subscription]) -> bool:
        """Send all that can go now, a chunk each in turn; False where a pipe was full. Raises Gone."""
        turn, free = subscriptions, True
        while turn:
            sent = [(sub, self._step(sub)) for sub in turn]
            free = free and all(result is not None for _, result in sent)
            turn = [sub for sub, result in sent if result]
        return free

    def took(self, sub: Subscription, n: int) -> None:
        """The client took n records."""
        sub.credit += n
        for _ in range(min(n, len(sub.outstanding))):
            self.outstanding -= sub.outstanding.popleft()

    def forget(self, sub: Subscription) -> None:
        """The subscription ends, whatever is on its way."""
        self.outstanding -= sum(sub.outstanding)
        sub.outstanding.clear()
        sub.view = None

    def _step(self, sub: Subscription) -> bool | None:
        """One chunk. True: sent, come again; False: nothing to send; None: the pipe is full."""
        if sub.view is None and not self._open(sub):
            return False
        assert sub.view is not None
        data = sub.view[sub.offset : sub.offset + CHUNK_MAX]
        part = m.FramePart(sub.job, sub.seq, len(sub.view), sub.offset, np.frombuffer(data, np.uint8))
        if not send(sub.session.door.socket, sub.session.peer, part):
            return None
        sub.offset += len(data)
        self.sent_bytes += len(data)
        if sub.offset == len(sub.view):
            sub.view, sub.seq = None, sub.seq + 1
            self.sent_records += 1
        return True

    def _open(self, sub: Subscription) -> bool:
        """Begin the next record where it is ready and the client may have it."""
        if sub.seq >= sub.run.ready or sub.credit <= 0:
            return False
        view = self.store.open(sub.run.record(sub.seq))
        if view is None:
            self.lost(sub.run, sub.seq)
            return False
        if sub.outstanding and self.outstanding + len(view) > self.budget:
            return False
        sub.run.sizes[sub.seq] = len(view)
        sub.view, sub.offset = view, 0
        sub.credit -= 1
        sub.outstanding.append(len(view))
        self.outstanding += len(view)
        return True
