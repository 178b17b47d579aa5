"""Between the front end and its workers: small msgpack maps over a private ipc socket. Content goes by the store."""

from __future__ import annotations

from typing import Any

import msgpack

Note = dict[str, Any]
"""Always has "kind". To a worker: task, cancel, exit. From a worker: ready, tick, records, done, failed."""


def pack(kind: str, **fields: Any) -> bytes:
    """One note as bytes."""
    return bytes(msgpack.packb({"kind": kind, **fields}))


def unpack(data: bytes) -> Note:
    """One note of our own process; trusted."""
    note: Note = msgpack.unpackb(data)
    return note
