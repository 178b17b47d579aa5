"""The socket to a server: one DEALER and its monitor, made anew each time the server is lost."""

from __future__ import annotations

import time

import zmq
from zmq.utils import z85
from zmq.utils.monitor import recv_monitor_message

from lim_client.endpoint import Endpoint
from lim_client.errors import AccessDenied
from lim_protocol.messages import Message
from lim_protocol.wire import CHUNK_MAX, encode

REFUSED = zmq.EVENT_HANDSHAKE_FAILED_AUTH | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
BROKEN = zmq.EVENT_DISCONNECTED | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
OPTIONS = (
    (zmq.LINGER, 0), (zmq.SNDHWM, 64), (zmq.RCVHWM, 64), (zmq.MAXMSGSIZE, CHUNK_MAX + 64 * 1024),
    (zmq.RECONNECT_IVL, 50), (zmq.HANDSHAKE_IVL, 5000),
)  # fmt: skip
COPY_BELOW = 64 * 1024


class Link:
    """A connection that may still be in the making. Used by one thread only.

    certificate  this client's public and secret key, for an endpoint with a key
    """

    def __init__(
        self, context: zmq.Context[zmq.Socket[bytes]], endpoint: Endpoint, certificate: tuple[bytes, bytes] | None
    ):
        self.endpoint = endpoint
        self.socket = context.socket(zmq.DEALER)
        for option, value in OPTIONS:
            self.socket.setsockopt(option, value)
        if endpoint.local:
            self.socket.setsockopt(zmq.SNDBUF, CHUNK_MAX)
            self.socket.setsockopt(zmq.RCVBUF, CHUNK_MAX)
        if endpoint.key is not None:
            assert certificate is not None
            self.socket.curve_serverkey = z85.encode(endpoint.key)
            self.socket.curve_publickey, self.socket.curve_secretkey = certificate
        self.monitor = self.socket.get_monitor_socket(BROKEN | REFUSED)
        self.spoke = 0.0
        self.socket.connect(endpoint.address)

    def close(self, linger: int = 0) -> None:
        """Let go; `linger` milliseconds for what is on its way."""
        self.socket.disable_monitor()
        self.monitor.close(0)
        self.socket.close(linger)

    def send(self, message: Message) -> bool:
        """Send now; False where the pipe is full. Arrays of the message must not change any more."""
        header, *frames = encode(message)
        try:
            self.socket.send(header, zmq.NOBLOCK | (zmq.SNDMORE if frames else 0))
            for i, frame in enumerate(frames):
                more = zmq.SNDMORE if i + 1 < len(frames) else 0
                self.socket.send(frame, zmq.NOBLOCK | more, copy=len(frame) < COPY_BELOW)
        except zmq.Again:
            return False
        self.spoke = time.monotonic()
        return True

    def rest(self) -> list[bytes]:
        """The remaining frames of the message being received."""
        frames = []
        while self.socket.get(zmq.RCVMORE):
            frames.append(self.socket.recv())
        return frames

    def broken(self) -> bool:
        """Has the connection broken? Raises AccessDenied where the server does not let this client in."""
        broken = False
        while self.monitor.poll(0):
            event = recv_monitor_message(self.monitor)["event"]
            if event & REFUSED:
                why = "does not know this client's key" if self.endpoint.key else "wants keys"
                raise AccessDenied(f"the server at {self.endpoint.address} {why}. See 'lim keys --help'.")
            broken = True
        return broken
