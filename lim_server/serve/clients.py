"""What clients say, and what they are answered. Whatever bytes come in, the server stays up."""

from __future__ import annotations

import contextlib
import importlib.metadata
import logging
import os
import secrets
import time
from typing import Any

import zmq

from lim_protocol import messages as m
from lim_protocol.wire import CHUNK_MAX, Header, WireError
from lim_server.serve.config import Config
from lim_server.serve.delivery import Delivery
from lim_server.serve.doors import Door
from lim_server.serve.jobs import Subscription
from lim_server.serve.scheduler import Scheduler
from lim_server.serve.sessions import Gone, Session, send
from lim_server.serve.store import Store
from lim_server.serve.uploads import UploadError, Uploads
from lim_server.serve.workers import Pool

log = logging.getLogger(__name__)
TURN = 64
"""Messages taken from one door before the others get their turn."""


class Clients:
    """All sessions. `stop_asked` is set once a trusted client says Stop."""

    def __init__(self, config: Config, store: Store, pool: Pool):
        self.config, self.store, self.pool = config, store, pool
        self.scheduler = Scheduler(store, pool, self.tell, code=config.code, queue_max=config.queue_max)
        self.delivery = Delivery(store, config.budget, self.scheduler.lost)
        self.sessions: dict[tuple[str, bytes], Session] = {}
        self.endpoints: tuple[str, ...] = ()
        self.epoch = secrets.token_bytes(8)
        self.software = importlib.metadata.version("lim")
        self.started, self.malformed, self.stop_asked = time.monotonic(), 0, False

    def receive(self, door: Door) -> None:
        """Take what has come in by this door, up to a turn's worth."""
        for _ in range(TURN):
            try:
                peer = door.socket.recv(zmq.NOBLOCK)
            except zmq.Again:
                return
            session = self.sessions.get((door.endpoint, peer))
            if session is not None:
                session.heard = time.monotonic()
            answer = self._answer(door, peer, session)
            if answer is not None:
                self._reply(door, peer, session, answer)

    def _answer(self, door: Door, peer: bytes, session: Session | None) -> m.Message | None:
        """Take one message off the socket and act on it. Never raises for what a peer sends."""
        try:
            header = Header(door.socket.recv() if door.socket.get(zmq.RCVMORE) else b"")
            if header.type is m.Blob and session is not None:
                return self._on_blob(door, session, header)
            message = header.finish(_rest(door.socket))
        except (WireError, UploadError) as error:
            self.malformed += 1
            return m.Error(error.code if isinstance(error, WireError) else "malformed", str(error))
        except OSError as error:
            return m.Error("cache-full", f"the server cannot keep the upload: {error.strerror}", retryable=True)
        finally:
            _rest(door.socket)
        return self._on_message(door, peer, session, message)

    def _on_message(self, door: Door, peer: bytes, session: Session | None, message: m.Message) -> m.Message | None:
        match message:
            case m.Hello():
                return self._on_hello(door, peer, message)
            case m.Ping():
                return m.Pong(self.epoch, *self.pool.readiness(), len(self.scheduler.queue.runs))
            case m.Status():
                return m.StatusReport(self._report())
            case m.Stop():
                return self._on_stop(door)
            case m.Bye():
                if session is not None:
                    self.expire(session)
                return None
        if session is None:
            return m.Error("no-session", "say Hello first", retryable=True)
        match message:
            case m.Have():
                return m.Missing([d for d in message.digests if not self.store.has(d)])
            case m.Submit():
                return self._on_submit(session, message)
            case m.Credit() if message.job in session.subscriptions:
                self.delivery.took(session.subscriptions[message.job], min(max(message.n, 0), 1024))
            case m.Cancel():
                if message.job in session.subscriptions:
                    self.unsubscribe(session.subscriptions[message.job])
                return m.Cancelled(message.job)
        return None

    def _on_hello(self, door: Door, peer: bytes, hello: m.Hello) -> m.Message:
        ours = m.VERSION[0]
        if not hello.ver_min <= ours <= hello.ver_max:
            text = (
                f"this server ({self.software}) speaks protocol {ours}, the client {hello.ver_min} to {hello.ver_max}"
            )
            return m.Error("version", text)
        key = (door.endpoint, peer)
        if key in self.sessions:
            self.expire(self.sessions[key])
        uploads = Uploads(self.store, self.config.record_max)
        self.sessions[key] = Session(door, peer, f"{hello.client} ({hello.pid})", uploads, time.monotonic())
        limits = (self.config.heartbeat, CHUNK_MAX, self.config.record_max)
        return m.Welcome(ours, self.epoch, self.software, *limits, *self.pool.readiness())

    def _on_blob(self, door: Door, session: Session, header: Header) -> m.Message:
        """The payload goes from where it was received to the disk, without a copy between."""
        digest, total, offset = (header.values[name] for name in ("digest", "total", "offset"))
        size = sum(header.sizes())
        if len(header.table) != 1 or not door.socket.get(zmq.RCVMORE):
            raise WireError("Blob without its data, or with too much")
        part = door.socket.recv(copy=False).buffer
        if len(part) != size:
            raise WireError(f"Blob.data: {len(part)} bytes, the table says {size}")
        return m.BlobAck(digest, session.uploads.take(digest, total, offset, part))

    def _on_submit(self, session: Session, submit: m.Submit) -> m.Message | None:
        for job in (submit.supersedes, submit.job):
            if job is not None and job in session.subscriptions:
                self.unsubscribe(session.subscriptions[job])
        missing = [d for d in submit.inputs if not self.store.has(d)]
        if missing:
            text = f"{len(missing)} of {len(submit.inputs)} inputs are not here, first {missing[0].hex()[:12]}"
            return m.Error("missing-blob", text, True, submit.job)
        self.scheduler.submit(session, submit)
        return None

    def _on_stop(self, door: Door) -> m.Message:
        if not door.trusted:
            return m.Error(
                "not-allowed", f"anybody on this machine can reach {door.endpoint}: stop process {os.getpid()}"
            )
        log.info("stopping: a client said so")
        self.stop_asked = True
        return m.Bye()

    def unsubscribe(self, sub: Subscription) -> None:
        """The client has all of it, or wants no more."""
        self.delivery.forget(sub)
        self.scheduler.unsubscribe(sub)

    def expire(self, session: Session) -> None:
        """The session is over; work that only it wanted ends."""
        for sub in list(session.subscriptions.values()):
            self.unsubscribe(sub)
        session.uploads.abandon()
        self.sessions.pop((session.door.endpoint, session.peer), None)

    def tell(self, session: Session, message: m.Message) -> None:
        """Say something; progress only where nothing else waits to be said."""
        if isinstance(message, m.Progress) and session.outbox:
            return
        with contextlib.suppress(Gone):
            session.say(message)

    def _reply(self, door: Door, peer: bytes, session: Session | None, message: m.Message) -> None:
        session = session or self.sessions.get((door.endpoint, peer))
        with contextlib.suppress(Gone):
            if session is not None:
                session.say(message)
            else:
                send(door.socket, peer, message)

    def _report(self) -> dict[str, Any]:
        ready, state = self.pool.readiness()
        return {
            "software": self.software,
            "pid": os.getpid(),
            "endpoints": list(self.endpoints),
            "uptime": time.monotonic() - self.started,
            "ready": ready,
            "state": state,
            "sessions": len(self.sessions),
            "malformed": self.malformed,
            "sent": {"records": self.delivery.sent_records, "bytes": self.delivery.sent_bytes},
            "workers": self.pool.report(),
            "cache": {"path": str(self.store.root), "used": self.store.used, "limit": self.store.limit},
            **self.scheduler.report(),
        }


def _rest(socket: zmq.Socket[bytes]) -> list[bytes]:
    """The remaining frames of the message being received."""
    frames = []
    while socket.get(zmq.RCVMORE):
        frames.append(socket.recv())
    return frames
