"""Messages survive the wire unchanged, and nothing that is no message gets through it."""

from __future__ import annotations

import random
from typing import Any

import msgpack
import numpy as np
import pytest

from lim_protocol import messages as m
from lim_protocol import wire
from lim_protocol.wire import PRELUDE, WireError

JOB = bytes(range(16))
DIGEST = bytes(range(32))
EXAMPLES: list[m.Message] = [
    m.Hello(1, 1, "lim track", "0.1.0", 4711),
    m.Welcome(1, b"epoch", "0.1.0", 0.5, 1 << 20, 1 << 31, False, "loading"),
    m.Ping(),
    m.Pong(b"epoch", True, "", 3),
    m.Have([DIGEST, bytes(32)]),
    m.Missing([]),
    m.Blob(DIGEST, 100, 7, np.arange(20, dtype=np.uint8)),
    m.BlobAck(DIGEST, 27),
    m.Submit(JOB, "track", {"deep": [{"a": None}]}, [DIGEST], np.array([1.0, 1.5]), 2, 4, -1, 9.5, bytes(16)),
    m.Accept(JOB, 0),
    m.Reject(JOB, "busy", "64 jobs wait", 2.0),
    m.FramePart(JOB, 3, 100, 0, np.zeros(0, np.uint8)),
    m.Credit(JOB, 1),
    m.Progress(JOB, "track", 3, 8),
    m.Done(JOB, 5, {"seconds": {"track": 1.25}}),
    m.Error("malformed", "what", True, JOB),
    m.Cancel(JOB),
    m.Cancelled(JOB),
    m.Status(),
    m.StatusReport({"device": "cpu"}),
    m.Stop(),
    m.Bye(),
]  # fmt: skip


def same(a: m.Message, b: m.Message) -> bool:
    return type(a) is type(b) and all(
        np.array_equal(x, y) if isinstance(x, np.ndarray) else x == y
        for x, y in zip(vars(a).values(), vars(b).values())
    )


def frames_of(message: m.Message) -> list[bytes]:
    return [bytes(frame) for frame in wire.encode(message)]


def test_there_is_an_example_of_every_message() -> None:
    assert {type(e) for e in EXAMPLES} == set(m.Message.__subclasses__())
    assert len({e.KIND for e in EXAMPLES}) == len(EXAMPLES)


@pytest.mark.parametrize("message", EXAMPLES, ids=lambda e: type(e).__name__)
def test_pack_then_unpack_is_the_identity(message: m.Message) -> None:
    assert same(wire.decode(frames_of(message)), message)


def test_arrays_are_views_of_their_frames() -> None:
    frames = frames_of(m.Blob(DIGEST, 4, 0, np.array([1, 2, 3, 4], np.uint8)))
    message = wire.decode(frames)
    assert isinstance(message, m.Blob)
    assert message.data.base is not None and not message.data.flags.owndata


def test_newer_minor_versions_may_add_fields() -> None:
    body = msgpack.packb({"job": JOB, "n": 2, "new_field": [1, 2]})
    header = PRELUDE.pack(b"LIMZ", m.VERSION[0], 99, m.Credit.KIND) + body
    assert wire.decode([header]) == m.Credit(JOB, 2)


def header(kind: int, body: Any, major: int = m.VERSION[0], magic: bytes = b"LIMZ") -> bytes:
    return PRELUDE.pack(magic, major, 0, kind) + (body if isinstance(body, bytes) else msgpack.packb(body))


BLOB = {"digest": DIGEST, "total": 4, "offset": 0}
BAD: dict[str, list[bytes]] = {
    "nothing": [],
    "empty header": [b""],
    "other magic": [header(3, {}, magic=b"LIMX")],
    "other major": [header(3, {}, major=9)],
    "unknown kind": [header(999, {})],
    "base class": [header(0, {})],
    "not msgpack": [header(3, b"\xc1")],
    "list for map": [header(3, [1])],
    "integer key": [header(3, {1: 2})],
    "ext type": [header(13, {"job": JOB, "n": msgpack.ExtType(5, b"x")})],
    "timestamp": [header(13, {"job": JOB, "n": msgpack.Timestamp(1)})],
    "header too long": [header(15, {"job": JOB, "records": 1, "summary": {"x": "y" * 70_000}})],
    "nested 60000 deep": [header(20, b"\x91" * 60_000)],
    "huge array length": [header(20, b"\xdd\xff\xff\xff\xff")],
    "field missing": [header(13, {"n": 1})],
    "job of 15 bytes": [header(13, {"job": bytes(15), "n": 1})],
    "text for number": [header(13, {"job": JOB, "n": "1"})],
    "flag for number": [header(13, {"job": JOB, "n": True})],
    "number out of range": [header(13, {"job": JOB, "n": 2**60})],
    "NaN": [header(11, {"job": JOB, "code": "", "text": "", "retry_after": float("nan")})],
    "NaN in params": [header(20, {"report": {"a": [float("inf")]}})],
    "bytes in params": [header(20, {"report": {"a": b"x"}})],
    "params too deep": [header(20, {"report": {"a": {"b": {"c": {"d": {"e": 1}}}}}})],
    "array without frame": [header(7, {**BLOB, "a": [["data", "u1", [4]]]})],
    "frame without array": [header(3, {}), b"1234"],
    "frame too short": [header(7, {**BLOB, "a": [["data", "u1", [4]]]}), b"123"],
    "wrong dtype": [header(7, {**BLOB, "a": [["data", "f4", [1]]]}), b"1234"],
    "object dtype": [header(7, {**BLOB, "a": [["data", "O", [1]]]}), b"12345678"],
    "wrong name": [header(7, {**BLOB, "a": [["date", "u1", [4]]]}), b"1234"],
    "name twice": [header(7, {**BLOB, "a": [["data", "u1", [4]], ["data", "u1", [4]]]}), b"1234", b"1234"],
    "two dimensions": [header(7, {**BLOB, "a": [["data", "u1", [2, 2]]]}), b"1234"],
    "five dimensions": [header(7, {**BLOB, "a": [["data", "u1", [1, 1, 1, 1, 4]]]}), b"1234"],
    "negative shape": [header(7, {**BLOB, "a": [["data", "u1", [-4]]]}), b"1234"],
    "overflowing shape": [header(7, {**BLOB, "a": [["data", "f8", [2**39, 2**39, 2**39, 2**39]]]}), b"1234"],
    "row is no list": [header(7, {**BLOB, "a": ["data"]}), b"1234"],
    "unhashable dtype": [header(7, {**BLOB, "a": [["data", ["u1"], [4]]]}), b"1234"],
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_message_is_refused(name: str) -> None:
    with pytest.raises(WireError):
        wire.decode(BAD[name])


def test_another_major_version_has_its_own_code() -> None:
    with pytest.raises(WireError) as caught:
        wire.decode(BAD["other major"])
    assert caught.value.code == "version"


def mutate(rng: random.Random, frames: list[bytes]) -> list[bytes]:
    """One of a dozen ways to damage a message."""
    frames = list(frames)
    at = rng.randrange(len(frames))
    data = bytearray(frames[at])
    way = rng.randrange(8)
    if way == 0 and data:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    elif way == 1:
        del data[rng.randrange(len(data) + 1) :]
    elif way == 2:
        data += rng.randbytes(rng.randrange(1, 40))
    elif way == 3:
        data = bytearray(rng.randbytes(rng.randrange(200)))
    elif way == 4:
        data = data[:8] + rng.randbytes(rng.randrange(100))
    elif way == 5:
        return frames[:at] + frames[at + 1 :]
    elif way == 6:
        return [*frames, rng.randbytes(rng.randrange(50))]
    else:
        start = rng.randrange(len(data) + 1)
        data[start:start] = b"\x91" * rng.randrange(3000)
    frames[at] = bytes(data)
    return frames


def test_a_hundred_thousand_damaged_messages_raise_nothing_else() -> None:
    rng = random.Random(1)
    whole = [frames_of(e) for e in EXAMPLES]
    refused = 0
    for _ in range(100_000):
        frames = mutate(rng, rng.choice(whole))
        try:
            wire.decode(frames)
        except WireError:
            refused += 1
    assert refused > 60_000  # the others are still messages: a flipped bit in a payload is none of our business
