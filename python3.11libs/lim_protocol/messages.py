"""Every message between client and server. Reading this file is reading the protocol; wire.py says how they travel.

Sizes are in bytes, times in seconds unless named frames. A job is known to a session by an id of the client's choice;
the server knows work by the hash of its content, so sending a job again after any crash is free.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

VERSION = (1, 0)

JobId = Annotated[bytes, 16]
Digest = Annotated[bytes, 32]
"""sha256 of a packed record, see records.py."""
Chunk = Annotated[NDArray[np.uint8], "u1"]
Times = Annotated[NDArray[np.float64], "f8"]


@dataclass(frozen=True)
class Message:
    """Base of all messages. KIND is the number on the wire and never changes its meaning."""

    KIND: ClassVar[int] = 0


@dataclass(frozen=True)
class Hello(Message):
    """Client to server, first of a session. The server answers Welcome, or Error 'version'."""

    KIND: ClassVar[int] = 1
    ver_min: int
    ver_max: int
    client: str
    software: str
    pid: int


@dataclass(frozen=True)
class Welcome(Message):
    """Server to client. `epoch` is random per server start: another one means that all sessions are gone.

    ready       a worker takes jobs now; until then `state` says what it is doing
    heartbeat   seconds; silence for two of them is a lost peer
    chunk       largest payload that one Blob or FramePart may carry
    record_max  largest record that the server takes or sends
    """

    KIND: ClassVar[int] = 2
    version: int
    epoch: bytes
    software: str
    heartbeat: float
    chunk: int
    record_max: int
    ready: bool
    state: str


@dataclass(frozen=True)
class Ping(Message):
    """Either way, when nothing else was sent for one heartbeat."""

    KIND: ClassVar[int] = 3


@dataclass(frozen=True)
class Pong(Message):
    """Server to client, answer to Ping."""

    KIND: ClassVar[int] = 4
    epoch: bytes
    ready: bool
    state: str
    queue: int


@dataclass(frozen=True)
class Have(Message):
    """Client to server: which of these blobs are you missing? Answered by Missing."""

    KIND: ClassVar[int] = 5
    digests: list[Digest]


@dataclass(frozen=True)
class Missing(Message):
    """Server to client, answer to Have."""

    KIND: ClassVar[int] = 6
    digests: list[Digest]


@dataclass(frozen=True)
class Blob(Message):
    """Client to server: a part of a blob, in order of offset. At most 8 MiB may be unacknowledged."""

    KIND: ClassVar[int] = 7
    digest: Digest
    total: int
    offset: int
    data: Chunk


@dataclass(frozen=True)
class BlobAck(Message):
    """Server to client: `received` bytes of the blob are here; all of them when it equals the total."""

    KIND: ClassVar[int] = 8
    digest: Digest
    received: int


@dataclass(frozen=True)
class Submit(Message):
    """Client to server: do this. Idempotent: a known job is joined where it stands.

    op          'track'; or 'reconstruct', whose record 0 says the model and whose record i + 1 is the Mesh of key i
    params      options of the op, plain values
    inputs      digests of blobs the server has
    times       frames asked for; record 0 of the answer is the Surface, record i + 1 the Frame at times[i]. For
                'reconstruct' the keys'
    first       first record the client lacks
    credit      records the server may send before it hears Credit
    priority    higher goes first
    deadline    seconds from now after which the job is of no use; 0 for none
    supersedes  job of this session that this one replaces: it is cancelled
    """

    KIND: ClassVar[int] = 9
    job: JobId
    op: str
    params: dict[str, Any]
    inputs: list[Digest]
    times: Times
    first: int = 0
    credit: int = 8
    priority: int = 0
    deadline: float = 0.0
    supersedes: JobId | None = None


@dataclass(frozen=True)
class Accept(Message):
    """Server to client: the job is known; `position` runs are before it (0: it runs, or is done)."""

    KIND: ClassVar[int] = 10
    job: JobId
    position: int


@dataclass(frozen=True)
class Reject(Message):
    """Server to client: not now; ask again after `retry_after` seconds."""

    KIND: ClassVar[int] = 11
    job: JobId
    code: str
    text: str
    retry_after: float


@dataclass(frozen=True)
class FramePart(Message):
    """Server to client: a part of record `seq`. Parts and records come in order; a whole record costs one credit."""

    KIND: ClassVar[int] = 12
    job: JobId
    seq: int
    total: int
    offset: int
    data: Chunk


@dataclass(frozen=True)
class Credit(Message):
    """Client to server: `n` records were taken, as many more may be sent."""

    KIND: ClassVar[int] = 13
    job: JobId
    n: int


@dataclass(frozen=True)
class Progress(Message):
    """Server to client, at most ten a second, free of credit."""

    KIND: ClassVar[int] = 14
    job: JobId
    stage: str
    done: int
    total: int


@dataclass(frozen=True)
class Done(Message):
    """Server to client, after the last record. `summary`: seconds per stage, quality per key, what was cached."""

    KIND: ClassVar[int] = 15
    job: JobId
    records: int
    summary: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Error(Message):
    """Server to client. With a job, that job has failed; without one, it answers a message it could not take.

    code       'version', 'malformed', 'unknown-op', 'bad-input', 'missing-blob', 'failed', 'poison',
               'deadline', 'cache-full', 'not-allowed', 'no-session', 'no-worker', 'no-model'
    retryable  sending the job again may help
    """

    KIND: ClassVar[int] = 16
    code: str
    text: str
    retryable: bool = False
    job: JobId | None = None


@dataclass(frozen=True)
class Cancel(Message):
    """Client to server: the job is not wanted any more. Answered by Cancelled, also when it was unknown."""

    KIND: ClassVar[int] = 17
    job: JobId


@dataclass(frozen=True)
class Cancelled(Message):
    """Server to client."""

    KIND: ClassVar[int] = 18
    job: JobId


@dataclass(frozen=True)
class Status(Message):
    """Client to server. Needs no session. Answered by StatusReport."""

    KIND: ClassVar[int] = 19


@dataclass(frozen=True)
class StatusReport(Message):
    """Server to client: device, memory, queue, models, uptime, cache, as `lim status` prints them."""

    KIND: ClassVar[int] = 20
    report: dict[str, Any]


@dataclass(frozen=True)
class Stop(Message):
    """Client to server: end. Taken only from peers the socket has authenticated (ipc folder, CURVE)."""

    KIND: ClassVar[int] = 21


@dataclass(frozen=True)
class Bye(Message):
    """Either way: this session is over. From the server also the answer to Stop."""

    KIND: ClassVar[int] = 22
