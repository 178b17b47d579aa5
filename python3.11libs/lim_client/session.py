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

import numpy as np
import zmq
from zmq.utils import z85
from zmq.utils.monitor import recv_monitor_message

from lim_client.endpoint import Endpoint
from lim_client.errors import AccessDenied, JobFailed, NotReachable, ServerError, VersionMismatch
from lim_client.job import CREDIT, Job
from lim_protocol import messages as m
from lim_protocol.wire import CHUNK_MAX, Header, WireError, encode

log = logging.getLogger(__name__)
UPLOAD_WINDOW = 8 << 20
RECORD_MAX = 8 << 30
TURN = 64
TRIES = 5
"""How often a job is sent again after an error that may pass."""
REFUSED = zmq.EVENT_HANDSHAKE_FAILED_AUTH | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
AGAIN = {"missing-blob", "damaged-blob", "no-session"}


class Session(threading.Thread):
    """Give it work with `call`; it answers through jobs and `failure`."""

    def __init__(
        self,
        endpoint: Endpoint,
        software: str,
        client: str,
        certificate: tuple[bytes, bytes] | None,
        revive: Callable[[Callable[[], bool]], None] | None,
        patience: float,
    ):
        super().__init__(name="lim session", daemon=True)
        self.endpoint, self.software, self.client = endpoint, software, client
        self.certificate, self.revive, self.patience = certificate, revive, patience
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.bell, self.ring = socket.socketpair()
        self.ring.setblocking(False)
        self.calls: deque[Callable[[], None]] = deque()
        self.jobs: dict[bytes, Job] = {}
        self.asked: deque[Job] = deque()
        self.uploads: deque[tuple[bytes, memoryview, int]] = deque()
        self.acknowledged: dict[bytes, tuple[int, int]] = {}
        self.in_flight = 0
        self.later: list[tuple[float, Callable[[], None]]] = []
        self.welcome: m.Welcome | None = None
        self.heartbeat = 0.5
        self.contact = self.heard = self.spoke = time.monotonic()
        self.failures, self.closing = 0, False
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
        try:
            self._connect()
            while not self.closing:
                self._turn()
            self._send(m.Bye())
        except ServerError as error:
            self._fail(error)
        except Exception as error:  # whatever it is, nobody must wait for ever
            log.exception("session with %s", self.endpoint)
            self._fail(ServerError(f"{type(error).__name__}: {error}"))
        finally:
            self._disconnect(linger=200)
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
            self.heard = time.monotonic()  # it was us who slept: give the peer a chance to be heard
        if self.ring.fileno() in events:
            self.ring.recv(4096)
        while self.calls:
            self.calls.popleft()()
        self._watch()
        if self.socket in events:
            self._receive()
        self._do_later()
        self._upload()
        self._keep_alive()

    def _connect(self) -> None:
        self.socket = self.context.socket(zmq.DEALER)
        for option, value in (
            (zmq.LINGER, 0), (zmq.SNDHWM, 64), (zmq.RCVHWM, 64), (zmq.MAXMSGSIZE, CHUNK_MAX + 64 * 1024),
            (zmq.RECONNECT_IVL, 50), (zmq.HANDSHAKE_IVL, 5000),
        ):  # fmt: skip
            self.socket.setsockopt(option, value)
        if self.endpoint.local:
            self.socket.setsockopt(zmq.SNDBUF, CHUNK_MAX)
            self.socket.setsockopt(zmq.RCVBUF, CHUNK_MAX)
        if self.endpoint.key is not None:
            assert self.certificate is not None
            self.socket.curve_serverkey = z85.encode(self.endpoint.key)
            self.socket.curve_publickey, self.socket.curve_secretkey = self.certificate
        self.monitor = self.socket.get_monitor_socket(zmq.EVENT_DISCONNECTED | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL | REFUSED)
        self.poller = zmq.Poller()
        for each in (self.socket, self.monitor, self.ring):
            self.poller.register(each, zmq.POLLIN)
        self.socket.connect(self.endpoint.address)
        self.welcome = None
        self.heard = time.monotonic()
        self._send(m.Hello(m.VERSION[0], m.VERSION[0], self.client, self.software, os.getpid()))

    def _disconnect(self, linger: int = 0) -> None:
        self.socket.disable_monitor()
        self.monitor.close(0)
        self.socket.close(linger)

    def _reconnect(self) -> None:
        """The server is lost: look for it again, have it started where that is ours to do."""
        self._disconnect()
        self.failures += 1
        if time.monotonic() - self.contact > self.patience:
            raise NotReachable(f"no server answers at {self.endpoint} for {self.patience:.0f} s. Start one: lim serve")
        for job in self.jobs.values():
            job.state = "looking for the server"
        if self.revive is not None:
            self.revive(lambda: self.closing)
        time.sleep(min(0.05 * 2**self.failures, 1.0) * random.uniform(0.5, 1.0) if self.failures > 1 else 0.0)
        self.asked.clear()
        self._connect()

    def _send(self, message: m.Message) -> bool:
        """Send now, or say that the pipe is full."""
        header, *frames = encode(message)
        try:
            self.socket.send(header, zmq.NOBLOCK | (zmq.SNDMORE if frames else 0))
            for i, frame in enumerate(frames):
                self.socket.send(frame, zmq.NOBLOCK | (zmq.SNDMORE if i + 1 < len(frames) else 0), copy=False)
        except zmq.Again:
            return False
        self.spoke = time.monotonic()
        return True

    def say(self, message: m.Message) -> None:
        """Send, again and again until it goes."""
        if self.welcome is not None and not self._send(message):
            self.later.append((time.monotonic() + 0.005, lambda: self.say(message)))

    def _keep_alive(self) -> None:
        now = time.monotonic()
        if now - self.heard > 2 * self.heartbeat * (1 if self.welcome else 2):
            self._reconnect()
        elif self.welcome is not None and now - self.spoke >= self.heartbeat:
            self._send(m.Ping())

    def _watch(self) -> None:
        """What the socket's monitor has seen."""
        while self.monitor.poll(0):
            event = recv_monitor_message(self.monitor)["event"]
            if event & REFUSED:
                why = (
                    "does not know this client's key (lim keys show)" if self.endpoint.key else "wants keys (lim keys)"
                )
                raise AccessDenied(f"the server at {self.endpoint.address} {why}")
            self._reconnect()
            return

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
                header = Header(self.socket.recv(zmq.NOBLOCK))
                if header.type is m.FramePart:
                    self._on_part(header)
                    continue
                message = header.finish(self._rest())
            except zmq.Again:
                return
            except WireError as error:
                self._rest()
                raise VersionMismatch(f"{self.endpoint.address} sends what is no LIM message: {error}") from None
            self.heard = self.contact = time.monotonic()
            self._on_message(message)

    def _rest(self) -> list[bytes]:
        frames = []
        while self.socket.get(zmq.RCVMORE):
            frames.append(self.socket.recv())
        return frames

    def _on_part(self, header: Header) -> None:
        """Receive the payload straight into the record that it is a part of."""
        self.heard = self.contact = time.monotonic()
        job_id, seq, total, offset = (header.values[name] for name in ("job", "seq", "total", "offset"))
        job, size = self.jobs.get(job_id), sum(header.sizes())
        if job is None or job.over or seq != job.next:
            self._rest()
            return
        if offset == 0:
            if total > RECORD_MAX:
                raise WireError(f"record of {total} bytes")
            job.buffer, job.filled = np.empty(total, np.uint8), 0
        if job.buffer is None or offset != job.filled or offset + size > len(job.buffer):
            raise WireError(f"record part {offset}+{size} does not follow {job.filled}")
        if self.socket.recv_into(job.buffer.data[offset : offset + size]) != size or self._rest():
            raise WireError(f"record part {offset}+{size} is not of that size")
        job.filled += size
        if job.filled == len(job.buffer):
            job.arrived.put(job.buffer)
            job.buffer, job.next = None, job.next + 1

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
        elif isinstance(message, m.Accept) and job:
            job.state = f"waiting for {message.position} jobs" if message.position else "accepted"
        elif isinstance(message, m.Progress) and job:
            job.progress = message
        elif isinstance(message, m.Reject) and job:
            job.state = f"the server is busy: {message.text}"
            self._again(job, message.retry_after)
        elif isinstance(message, m.Done) and job:
            job.over = True
            job.arrived.put(message.summary)
            del self.jobs[job.id]
        elif isinstance(message, m.Error):
            self._on_error(message, job)
        elif isinstance(message, m.Bye):
            self.heard = 0.0  # it is going: look for it again at once
        self.on_answer(message)

    def _on_welcome(self, welcome: m.Welcome) -> None:
        self.welcome, self.heartbeat, self.failures = welcome, welcome.heartbeat, 0
        self.uploads.clear()
        self.acknowledged.clear()
        self.in_flight = 0
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
        if error.code == "no-session" or (job is None and error.code in ("malformed", "cache-full")):
            self._count_try(error)
            self._reconnect()
        elif job is not None and error.code in AGAIN:
            self._again(job, 0.1)
        elif job is not None:
            del self.jobs[job.id]
            job.fail(JobFailed(error.code, error.text))

    def _count_try(self, error: m.Error) -> None:
        for job in list(self.jobs.values()):
            job.tries += 1
            if job.tries > TRIES:
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

    def _again(self, job: Job, after: float) -> None:
        job.tries += 1
        if job.tries > TRIES and after < 1:
            del self.jobs[job.id]
            job.fail(JobFailed("failed", "the server loses the inputs again and again; see its log"))
            return
        self.later.append((time.monotonic() + after, lambda: self.begin(job) if job.id in self.jobs else None))

    def _on_missing(self, missing: m.Missing) -> None:
        job = self.asked.popleft()
        job.to_upload, job.state = set(missing.digests), "sending keyframes"
        for digest, blob in zip(job.request.digests, job.request.blobs):
            if digest in job.to_upload and digest not in self.acknowledged:
                self.acknowledged[digest] = (0, len(blob))
                self.uploads.append((digest, memoryview(blob), 0))
        self._submit_when_whole(job)

    def _upload(self) -> None:
        assert self.welcome is not None or not self.uploads
        while self.uploads and self.in_flight < UPLOAD_WINDOW and self.welcome is not None:
            digest, blob, offset = self.uploads[0]
            data = blob[offset : offset + self.welcome.chunk]
            if not self._send(m.Blob(digest, len(blob), offset, np.frombuffer(data, np.uint8))):
                return
            self.in_flight += len(data)
            self.uploads.popleft()
            if offset + len(data) < len(blob):
                self.uploads.appendleft((digest, blob, offset + len(data)))

    def _on_ack(self, ack: m.BlobAck) -> None:
        if ack.digest not in self.acknowledged:
            return  # of a session before this one
        sent, size = self.acknowledged[ack.digest]
        self.in_flight -= ack.received - sent
        self.acknowledged[ack.digest] = (ack.received, size)
        if ack.received < size:
            return
        del self.acknowledged[ack.digest]
        for job in list(self.jobs.values()):
            if ack.digest in job.to_upload:
                job.to_upload.discard(ack.digest)
                self._submit_when_whole(job)

    def _submit_when_whole(self, job: Job) -> None:
        if not job.to_upload:
            r = job.request
            waiting = job.arrived.qsize()
            credit = max(CREDIT - waiting, 0)
            self.say(
                m.Submit(job.id, r.op, r.params, list(r.digests), r.times, job.next, credit, r.priority, r.deadline,
                         r.supersedes)
            )  # fmt: skip

    def took(self, job: Job) -> None:
        """The application took a record."""
        if job.id in self.jobs:
            self.say(m.Credit(job.id, 1))

    def cancel(self, job: Job) -> None:
        """The application does not want the job any more."""
        if self.jobs.pop(job.id, None) is not None:
            job.over = True
            self.say(m.Cancel(job.id))
