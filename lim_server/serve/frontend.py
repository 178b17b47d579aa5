"""The front end: one loop that talks to clients and workers and never computes."""

from __future__ import annotations

import contextlib
import logging
import signal
import time
from pathlib import Path
from typing import Any

import zmq

from lim_protocol import messages as m
from lim_server.serve.clients import Clients
from lim_server.serve.config import Config
from lim_server.serve.doors import Guard, open_door
from lim_server.serve.sessions import Gone, Session, send
from lim_server.serve.store import Store
from lim_server.serve.workers import Pool

log = logging.getLogger(__name__)
SILENT = 6
"""Heartbeats of silence after which a session is over."""
TRIM_EVERY = 64 << 20
IDLE, BLOCKED = 50, 2
"""Milliseconds to wait for news, in general and while some client's pipe is full."""


class Frontend:
    """Everything the server has. `run` returns when it is told to stop."""

    def __init__(self, config: Config):
        self.config = config
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context(io_threads=2)
        self.guard = Guard(self.context, config.keys) if config.curve else None
        self.doors = [open_door(self.context, endpoint, config) for endpoint in config.endpoints]
        self.store = Store(config.store, config.store_limit)
        self.pool = Pool(self.context, config.folder, config.store, config.step_limit)
        self.clients = Clients(config, self.store, self.pool)
        self.clients.endpoints = tuple(door.endpoint for door in self.doors)
        self.scheduler, self.delivery = self.clients.scheduler, self.clients.delivery
        self.trimmed_at, self.stopping = 0, False
        self.poller = zmq.Poller()
        for socket in (self.pool.socket, *(door.socket for door in self.doors)):
            self.poller.register(socket, zmq.POLLIN)

    def run(self) -> None:
        """Serve until a client's Stop, SIGINT or SIGTERM."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_signal)
        self.store.sweep()
        self.store.trim()
        for device in self.config.devices:
            self.pool.add(device)
        log.info("serving on %s", ", ".join(self.clients.endpoints))
        blocked: list[Session] = []
        try:
            while not (self.stopping or self.clients.stop_asked):
                self.poller.poll(BLOCKED if blocked else IDLE)
                for door in self.doors:
                    self.clients.receive(door)
                for worker, note in self.pool.receive():
                    self.scheduler.on_note(worker, note)
                self.scheduler.tick()
                blocked = [s for s in list(self.clients.sessions.values()) if not self._deliver(s)]
                self._sweep()
        finally:
            self._close()

    def _deliver(self, session: Session) -> bool:
        """Send what can go to this client; False where its pipe was full."""
        try:
            if not session.flush():
                return False
            subscriptions = list(session.subscriptions.values())
            free = self.delivery.pump(subscriptions)
            for sub in subscriptions:
                if sub.view is None and sub.seq >= sub.run.total and sub.run.summary is not None:
                    session.say(m.Done(sub.job, sub.run.total, sub.run.summary))
                    self.clients.unsubscribe(sub)
        except Gone:
            log.info("%s is not connected any more", session.client)
            self.clients.expire(session)
            return True
        return free

    def _sweep(self) -> None:
        """End silent sessions, keep the store within its limit."""
        horizon = time.monotonic() - SILENT * self.config.heartbeat
        for session in [s for s in self.clients.sessions.values() if s.heard < horizon]:
            log.info("%s has been silent for %d heartbeats", session.client, SILENT)
            self.clients.expire(session)
        if self.store.used > self.store.limit and self.store.used - self.trimmed_at > TRIM_EVERY:
            self.store.trim(self.scheduler.kept())
            self.trimmed_at = self.store.used

    def _on_signal(self, number: int, _frame: Any) -> None:
        log.info("stopping on %s", signal.Signals(number).name)
        self.stopping = True

    def _close(self) -> None:
        for session in self.clients.sessions.values():
            with contextlib.suppress(Gone):
                send(session.door.socket, session.peer, m.Bye())
            session.uploads.abandon()
        self.pool.stop()
        if self.guard:
            self.guard.stop()
        self.context.destroy(linger=200)
        for door in self.doors:
            if door.endpoint.startswith("ipc://"):
                Path(door.endpoint[len("ipc://") :]).unlink(missing_ok=True)
