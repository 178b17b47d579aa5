"""A connected client: where it is, what it is owed."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import zmq

from lim_protocol.messages import Message
from lim_protocol.wire import encode
from lim_server.serve.doors import Door
from lim_server.serve.jobs import Subscription
from lim_server.serve.uploads import Uploads

COPY_BELOW = 64 * 1024
OUTBOX_MAX = 10_000


class Gone(Exception):
    """The peer is not connected, or takes nothing any more."""


def send(socket: zmq.Socket[bytes], peer: bytes, message: Message) -> bool:
    """One message to one client, without waiting; False where its pipe is full. Raises Gone."""
    header, *frames = encode(message)
    try:
        # Only the first frame can meet a full pipe: the rest of a message always follows.
        socket.send(peer, zmq.NOBLOCK | zmq.SNDMORE)
        socket.send(header, zmq.NOBLOCK | (zmq.SNDMORE if frames else 0))
        for i, frame in enumerate(frames):
            more = zmq.SNDMORE if i + 1 < len(frames) else 0
            socket.send(frame, zmq.NOBLOCK | more, copy=len(frame) < COPY_BELOW)
    except zmq.Again:
        return False
    except zmq.ZMQError as error:
        if error.errno == zmq.EHOSTUNREACH:
            raise Gone from None
        raise
    return True


@dataclass(eq=False)
class Session:
    """From Hello to Bye or silence. What is said waits in the outbox, so that order holds and nothing is lost."""

    door: Door
    peer: bytes
    client: str
    uploads: Uploads
    heard: float
    subscriptions: dict[bytes, Subscription] = field(default_factory=dict)
    outbox: deque[Message] = field(default_factory=deque)

    def say(self, message: Message) -> None:
        """Send as soon as it goes. Raises Gone."""
        self.outbox.append(message)
        self.flush()

    def flush(self) -> bool:
        """Send what waits; False where some still does. Raises Gone."""
        while self.outbox:
            if not send(self.door.socket, self.peer, self.outbox[0]):
                if len(self.outbox) > OUTBOX_MAX:
                    raise Gone
                return False
            self.outbox.popleft()
        return True
