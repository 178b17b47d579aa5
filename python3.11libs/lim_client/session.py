"""The thread that talks to the server for the application: keeps the session alive, brings jobs through its loss.

A lost server (two heartbeats of silence, or a broken connection) is found again or started again, and every unfinished
job goes on at the first record that is missing here.
"""

from __future__ import annotations

import contextlib
import logging
import os
import random
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import zmq

from lim_client.buffers import Buffers
from lim_client.endpoint import Endpoint
from lim_client.errors import JobFailed, NotReachable, ServerError, VersionMismatch
from lim_client.job import CREDIT, Job
from lim_client.link import Link
from lim_client.uploads import Uploads
from lim_protocol import messages as m
from lim_protocol.wire import Header, WireError

log = logging.getLogger(__name__)
RECORD_MAX = 8 << 30
TURN = 64
"""Messages taken from the socket before anything else gets its turn."""
TRIES = 5
"""How often a job is sent again after an error that may pass."""
LOST_INPUT = "missing-blob"


@dataclass(frozen=True)
class Options:
    """How to talk.

    software, client  what the server is told about this side
    certificate       this client's keys, for an endpoint with a key
    revive            has the server run, where it is this client's to start; told when to give up
    patience          seconds without a word from the server after which it is given up
    """

    software: str
    client: str
    certificate: tuple[bytes, bytes] | None
    revive: Callable[[Callable[[], bool]], None] | None
    patience: float


class Session(threading.Thread):
    """Give it work with `call`; it answers through the jobs, `on_answer` and `failure`."""

    def __init__(self, endpoint: Endpoint, options: Options):
        super().__init__(name="lim session", daemon=True)
        self.endpoint, self.options = endpoint, options
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.bell, self.ring = socket.socketpair()
        self.bell.setblocking(False)
        self.calls: deque[Callable[[], None]] = deque()
        self.later: list[tuple[float, Callable[[], None]]] = []
        self.jobs: dict[bytes, Job] = {}
        self.asked: deque[Job] = deque()
        self.uploads, self.buffers = Uploads(), Buffers()
        self.welcome: m.Welcome | None = None
        self.heartbeat = 0.5
        self.contact = self.heard = time.monotonic()
        self.losses, self.closing = 0, False
        self.failure: ServerError | None = None
        self.on_answer: Callable[[m.Message], None] = lambda _: None

    # ---- for the application's thread

    def call(self, action: Callable[[], None]) -> None:
        """Have the thread do this soon."""
        self.calls.append(action)
        with contextlib.suppress(OSError):  # the bell is full of rings, or the thread is over
            self.bell.send(b"!")

    def close(self) -> None:
        """End the session; waits for the thread at most two seconds."""
        self.closing = True
        self.call(lambda: None)
        self.join(2)

    # ---- the thread

    def run(self) -> None:
        """Talk until closed or beyond help."""
        self._connect()
        try:
            while not self.closing:
                self._turn()
            self.link.send(m.Bye())
        except ServerError as error:
            self._fail(error)
        except Exception as error:  # whatever it is, nobody must wait for ever
            log.exception("session with %s", self.endpoint)
            self._fail(ServerError(f"{type(error).__name__}: {error}"))
        finally:
            self.link.close(linger=200)
            self.context.term()
            self.bell.close()
            self.ring.close()

    def _fail(self, error: ServerError) -> None:
        self.failure = error
        for job in self.jobs.values():
            job.fail(error)

    def _turn(self) -> None:
        started = time.monotonic()
        wait = min([self.heartbeat / 4, *(at - started for at, _ in self.later)])
        events = dict(self.poller.poll(max(int(wait * 1000), 0)))
        if time.monotonic() - started > 2 * self.heartbeat:
            self.heard = time.monotonic()  # it was us who slept: give the server a chance to be heard
        if self.ring.fileno() in events:
            self.ring.recv(4096)
        while self.calls:
            self.calls.popleft()()
        self._do_later()
        if self.link.socket in events:
            self._receive()
        if self.welcome is not None:
            self.uploads.pump(self.link.send)
        self._keep_alive()

    def _connect(self) -> None:
        self.link = Link(self.context, self.endpoint, self.options.certificate)
        self.poller = zmq.Poller()
        for each in (self.link.socket, self.link.monitor, self.ring):
            self.poller.register(each, zmq.POLLIN)
        self.welcome = None
        self.heard = time.monotonic()
        ours = m.VERSION[0]
        self.link.send(m.Hello(ours, ours, self.options.client, self.options.software, os.getpid()))

    def _reconnect(self) -> None:
        """The server is lost: look for it again, have it started where that is ours to do."""
        self.link.close()
        self.losses += 1
        if time.monotonic() - self.contact > self.options.patience:
            text = f"no answer from {self.endpoint} for {self.options.patience:.0f} s. Is a server there? (lim serve)"
            self._connect()
            raise NotReachable(text)
        for job in self.jobs.values():
            job.state = "looking for the server"
        try:
            if self.options.revive is not None:
                self.options.revive(lambda: self.closing)
        finally:
            self._connect()

    def _keep_alive(self) -> None:
        now = time.monotonic()
        patience = 2 * self.heartbeat if self.welcome else min(0.5 * 2**self.losses, 4.0) * random.uniform(0.8, 1.2)
        if self.link.broken() or now - self.heard > patience:
            self._reconnect()
        elif self.welcome is not None and now - self.link.spoke >= self.heartbeat:
            self.link.send(m.Ping())

    def say(self, message: m.Message) -> None:
        """Send to a server that has welcomed us, as soon as the pipe takes it."""
        if self.welcome is not None and not self.link.send(message):
            self.later.append((time.monotonic() + 0.005, lambda: self.say(message)))

    def _do_later(self) -> None:
        now = time.monotonic()
        due = [action for at, action in self.later if at <= now]
        self.later = [(at, action) for at, action in self.later if at > now]
        for action in due:
            action()

    # ---- what the server says

    def _receive(self) -> None:
        for _ in range(TURN):
            try:
                header = Header(self.link.socket.recv(zmq.NOBLOCK))
                if header.type is m.FramePart:
                    self._on_part(header)
                    continue
                message = header.finish(self.link.rest())
            except zmq.Again:
                return
            except WireError as error:
                raise VersionMismatch(f"{self.endpoint.address} sends what is no LIM message: {error}") from None
            self.heard = self.contact = time.monotonic()
            self._on_message(message)

    def _on_part(self, header: Header) -> None:
        """A record in one part is used where zmq received it; parts are received into the record they belong to."""
        self.heard = self.contact = time.monotonic()
        job_id, seq, total, offset = (header.values[name] for name in ("job", "seq", "total", "offset"))
        job, size = self.jobs.get(job_id), sum(header.sizes())
        if job is None or seq != job.next:
            self.link.rest()
            return
        if size == total:
            record = self.link.socket.recv(copy=False).buffer
            if len(record) != size or self.link.rest():
                raise WireError(f"record of {total} bytes is not of that size")
            job.arrive(record)
            return
        if offset == 0 and total <= RECORD_MAX:
            job.buffer, job.filled = self.buffers.take(total), 0
        if job.buffer is None or offset != job.filled or offset + size > len(job.buffer):
            raise WireError(f"record part {offset}+{size} of {total} does not follow {job.filled}")
        if self.link.socket.recv_into(job.buffer.data[offset : offset + size]) != size or self.link.rest():
            raise WireError(f"record part {offset}+{size} is not of that size")
        job.filled += size
        if job.filled == len(job.buffer):
            job.arrive(job.buffer.data)

    def _on_message(self, message: m.Message) -> None:
        job = self.jobs.get(getattr(message, "job", None) or b"")
        if isinstance(message, m.Welcome):
            self._on_welcome(message)
        elif isinstance(message, m.Pong):
            self._on_pong(message)
        elif isinstance(message, m.Missing):
            self._on_missing(message)
        elif isinstance(message, m.BlobAck):
            self._on_ack(message)
        elif isinstance(message, m.Error):
            self._on_error(message, job)
        elif isinstance(message, m.Bye):
            self.heard = 0.0  # it is going: look for it again at once
        elif job is not None:
            self._on_job(message, job)
        self.on_answer(message)

    def _on_job(self, message: m.Message, job: Job) -> None:
        if isinstance(message, m.Accept):
            job.state = f"waiting for {message.position} jobs" if message.position else "accepted"
        elif isinstance(message, m.Progress):
            job.progress = message
        elif isinstance(message, m.Reject):
            job.state = f"the server is busy: {message.text}"
            self._begin_later(job, message.retry_after)
        elif isinstance(message, m.Done):
            job.finish(message.summary)
            del self.jobs[job.id]

    def _on_welcome(self, welcome: m.Welcome) -> None:
        self.welcome, self.heartbeat, self.losses = welcome, welcome.heartbeat, 0
        self.uploads = Uploads()
        self.asked.clear()
        for job in self.jobs.values():
            self.begin(job)

    def _on_pong(self, pong: m.Pong) -> None:
        if self.welcome is not None and pong.epoch != self.welcome.epoch:
            self._reconnect()
            return
        for job in self.jobs.values():
            if not pong.ready and job.progress is None:
                job.state = pong.state

    def _on_error(self, error: m.Error, job: Job | None) -> None:
        if error.code == "version":
            raise VersionMismatch(f"{self.endpoint.address}: {error.text}")
        if job is not None and error.code == LOST_INPUT and self._may_try_again(job, error):
            self._begin_later(job, 0.1)
        elif job is not None and error.code != LOST_INPUT:
            self._give_up(job, error)
        elif job is None and error.code in ("no-session", "malformed", "cache-full"):
            for each in list(self.jobs.values()):
                self._may_try_again(each, error)
            self._reconnect()

    def _may_try_again(self, job: Job, error: m.Error) -> bool:
        job.tries += 1
        if job.tries > TRIES:
            self._give_up(job, error)
        return job.id in self.jobs

    def _give_up(self, job: Job, error: m.Error) -> None:
        del self.jobs[job.id]
        job.fail(JobFailed(error.code, error.text))

    # ---- jobs: have? -> put -> submit

    def begin(self, job: Job) -> None:
        """Bring a job to the server, wherever it stands."""
        self.jobs[job.id] = job
        job.buffer = None
        if self.welcome is not None:
            self.asked.append(job)
            self.say(m.Have(list(dict.fromkeys(job.request.digests))))

    def _begin_later(self, job: Job, after: float) -> None:
        self.later.append((time.monotonic() + after, lambda: self.begin(job) if job.id in self.jobs else None))

    def _on_missing(self, missing: m.Missing) -> None:
        job = self.asked.popleft()
        job.to_upload, job.state = set(missing.digests), "sending keyframes"
        for digest, blob in zip(job.request.digests, job.request.blobs):
            if digest in job.to_upload:
                self.uploads.add(digest, blob)
        self._submit_when_whole(job)

    def _on_ack(self, ack: m.BlobAck) -> None:
        if self.uploads.acknowledge(ack):
            for job in list(self.jobs.values()):
                if ack.digest in job.to_upload:
                    job.to_upload.discard(ack.digest)
                    self._submit_when_whole(job)

    def _submit_when_whole(self, job: Job) -> None:
        if job.to_upload or job.id not in self.jobs:
            return
        r = job.request
        credit = max(CREDIT - job.arrived.qsize(), 0)
        rank = (r.priority, r.deadline, r.supersedes)
        self.say(m.Submit(job.id, r.op, r.params, list(r.digests), r.times, job.next, credit, *rank))

    def took(self, job: Job, records: int) -> None:
        """The application took so many records."""
        if job.id in self.jobs:
            self.say(m.Credit(job.id, records))

    def cancel(self, job: Job) -> None:
        """The application does not want the job any more."""
        if self.jobs.pop(job.id, None) is not None:
            self.say(m.Cancel(job.id))
