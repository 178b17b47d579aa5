"""Messages to frames and back. Whatever bytes come in, a message or a WireError comes out.

Frame 0 is an 8-byte prelude (magic, major, minor, kind; big-endian) and a msgpack map of the message's fields.
Each array field travels as a raw little-endian C-order frame of its own; the map's key "a" holds [name, dtype, shape]
of each. Unknown map keys are ignored, so a newer minor version can add fields.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Sequence
from dataclasses import MISSING, fields
from functools import cache
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints

import msgpack
import numpy as np
from numpy.typing import NDArray

from lim_protocol import messages
from lim_protocol.messages import VERSION, Message

MAGIC = b"LIMZ"
PRELUDE = struct.Struct(">4sBBH")
HEADER_MAX = 64 * 1024
ARRAYS_MAX = 63
DIMS_MAX = 4
CHUNK_MAX = 4 * 1024 * 1024
DTYPES = {name: np.dtype("<" + name) for name in ("f2", "f4", "f8", "u1", "u2", "u4", "i4", "i8")}

M = TypeVar("M", bound=Message)
Check = Callable[[Any], Any]
Schema = dict[str, tuple[Check, bool, bool]]
Table = list[tuple[str, np.dtype[Any], tuple[int, ...]]]


class WireError(ValueError):
    """The peer sent something that is no message of this protocol. `code` is that of the Error to answer."""

    def __init__(self, text: str, code: str = "malformed"):
        super().__init__(text)
        self.code = code


def encode(message: Message) -> list[bytes | memoryview]:
    """The frames of a message; array frames are views, so their arrays must not change until sent."""
    table: list[list[Any]] = []
    body: dict[str, Any] = {}
    frames: list[bytes | memoryview] = []
    for name, (_, is_array, _) in _schemas()[type(message)].items():
        value = getattr(message, name)
        if is_array:
            value = np.ascontiguousarray(value, value.dtype.newbyteorder("<"))
            table.append([name, value.dtype.str[1:], list(value.shape)])
            frames.append(value.data.cast("B") if value.size else b"")
        elif value is not None:
            body[name] = value
    if table:
        body["a"] = table
    header = PRELUDE.pack(MAGIC, *VERSION, message.KIND) + msgpack.packb(body)
    assert len(header) <= HEADER_MAX, f"{type(message).__name__}: header of {len(header)} bytes"
    return [header, *frames]


class Header:
    """Frame 0, understood and checked; `finish` joins it with the frames that follow."""

    def __init__(self, frame: bytes | memoryview):
        self.type, body = _open(frame)
        self.table: Table = array_table(body.pop("a", []))
        self.values = _fields(self.type, body)

    def sizes(self) -> list[int]:
        """Bytes that each following frame must have."""
        return [math.prod(shape) * dtype.itemsize for _, dtype, shape in self.table]

    def finish(self, frames: Sequence[bytes | memoryview]) -> Message:
        """The message. Arrays are views of the frames."""
        if len(frames) != len(self.table):
            raise WireError(f"{self.type.__name__}: {len(frames)} array frames, the table names {len(self.table)}")
        arrays = {}
        for frame, size, (name, dtype, shape) in zip(frames, self.sizes(), self.table):
            if len(frame) != size:
                raise WireError(f"{self.type.__name__}.{name}: {len(frame)} bytes, the table says {size}")
            arrays[name] = np.frombuffer(frame, dtype).reshape(shape)
        return self.type(**self.values, **_arrays(self.type, arrays))


def decode(frames: Sequence[bytes | memoryview]) -> Message:
    """A message from all its frames. Raises WireError and nothing else."""
    if not frames:
        raise WireError("no frames")
    return Header(frames[0]).finish(frames[1:])


def unpack_map(data: bytes | memoryview) -> dict[str, Any]:
    """A msgpack map of plain values with string keys, within limits. Raises WireError."""
    try:
        body = msgpack.unpackb(
            data, raw=False, strict_map_key=True, ext_hook=_no_ext, max_str_len=HEADER_MAX, max_bin_len=HEADER_MAX,
            max_array_len=HEADER_MAX, max_map_len=4096, max_ext_len=0,
        )  # fmt: skip
    except Exception as error:  # msgpack raises a dozen unrelated types on garbage
        raise WireError(f"header is not msgpack: {type(error).__name__}: {error}"[:200]) from None
    if not isinstance(body, dict):
        raise WireError(f"header is a {type(body).__name__}, not a map")
    return body


def _open(frame: bytes | memoryview) -> tuple[type[Message], dict[str, Any]]:
    if not PRELUDE.size <= len(frame) <= HEADER_MAX:
        raise WireError(f"header of {len(frame)} bytes")
    magic, major, minor, kind = PRELUDE.unpack_from(frame)
    if magic != MAGIC:
        raise WireError("not a LIM message")
    if major != VERSION[0]:
        raise WireError(f"protocol {major}.{minor}; this side speaks {VERSION[0]}.{VERSION[1]}", "version")
    if kind not in _kinds():
        raise WireError(f"unknown message kind {kind}")
    return _kinds()[kind], unpack_map(memoryview(frame)[PRELUDE.size :])


def array_table(rows: Any) -> Table:
    """The checked table of arrays of a message or a record. Raises WireError."""
    if not isinstance(rows, list) or len(rows) > ARRAYS_MAX:
        raise WireError("array table is not a list of at most 63 rows")
    table: Table = []
    for row in rows:
        if not (isinstance(row, list) and len(row) == 3):
            raise WireError("array row is not [name, dtype, shape]")
        name, dtype, shape = row
        if not isinstance(name, str) or not isinstance(dtype, str) or dtype not in DTYPES:
            raise WireError("array of unknown name or dtype")
        if not (isinstance(shape, list) and len(shape) <= DIMS_MAX and all(_is_count(n) for n in shape)):
            raise WireError(f"array {name!r} has an impossible shape"[:200])
        table.append((name, DTYPES[dtype], tuple(shape)))
    if len({name for name, _, _ in table}) < len(table):
        raise WireError("array table names an array twice")
    return table


def _fields(kind: type[Message], body: dict[str, Any]) -> dict[str, Any]:
    values = {}
    for name, (check, is_array, required) in _schemas()[kind].items():
        if is_array:
            continue
        if name in body:
            try:
                values[name] = check(body[name])
            except ValueError as error:
                raise WireError(f"{kind.__name__}.{name}: {error}"[:200]) from None
        elif required:
            raise WireError(f"{kind.__name__} without {name}")
    return values


def _arrays(kind: type[Message], arrays: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    wanted = {name: check for name, (check, is_array, _) in _schemas()[kind].items() if is_array}
    if arrays.keys() != wanted.keys():
        raise WireError(f"{kind.__name__}: arrays {sorted(arrays)}, wanted {sorted(wanted)}"[:200])
    for name, check in wanted.items():
        try:
            check(arrays[name])
        except ValueError as error:
            raise WireError(f"{kind.__name__}.{name}: {error}") from None
    return arrays


@cache
def _kinds() -> dict[int, type[Message]]:
    return {kind.KIND: kind for kind in Message.__subclasses__() if kind.__module__ == messages.__name__}


@cache
def _schemas() -> dict[type[Message], Schema]:
    """Per message and field: its check (returns the value or raises ValueError), is it an array, is it required."""
    return {kind: _schema(kind) for kind in _kinds().values()}


def _schema(kind: type[Message]) -> Schema:
    hints = get_type_hints(kind, include_extras=True)
    return {
        f.name: (
            _check_of(hints[f.name]),
            _is_array(hints[f.name]),
            f.default is MISSING and f.default_factory is MISSING,
        )
        for f in fields(kind)
    }


def _is_array(hint: Any) -> bool:
    return get_origin(hint) is Annotated and isinstance(get_args(hint)[1], str)


def _check_of(hint: Any) -> Check:
    if get_origin(hint) is Annotated:
        base, detail = get_args(hint)[:2]
        return _sized(detail) if base is bytes else _vector(detail)
    if get_origin(hint) is list:
        return _list_of(_check_of(get_args(hint)[0]))
    if get_origin(hint) is dict:
        return _plain_map
    if type(None) in get_args(hint):
        inner = _check_of(Union[tuple(a for a in get_args(hint) if a is not type(None))])  # noqa: UP007 - 3.10
        return lambda value: None if value is None else inner(value)
    return {int: _integer, float: _number, str: _text, bytes: _sized(None), bool: _flag}[hint]


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**40


def _integer(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not -(2**53) <= value <= 2**53:
        raise ValueError(f"{type(value).__name__} is no integer in range")
    return value


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError(f"{type(value).__name__} is no finite number")
    return float(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{type(value).__name__} is no text")
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{type(value).__name__} is no flag")
    return value


def _sized(size: int | None) -> Check:
    def check(value: Any) -> bytes:
        if not isinstance(value, bytes) or (size is not None and len(value) != size):
            raise ValueError(f"not {size or 'a few'} bytes")
        return value

    return check


def _list_of(inner: Check) -> Check:
    def check(value: Any) -> list[Any]:
        if not isinstance(value, list):
            raise ValueError(f"{type(value).__name__} is no list")
        return [inner(item) for item in value]

    return check


def _plain_map(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{type(value).__name__} is no map")
    _plain(value, 4)
    return value


def _plain(value: Any, depth: int) -> None:
    """Only text, numbers, flags, None, lists and maps of them, so that json can hold what comes from a peer."""
    if isinstance(value, dict) and depth:
        for key, item in value.items():
            _text(key)
            _plain(item, depth - 1)
    elif isinstance(value, list) and depth:
        for item in value:
            _plain(item, depth - 1)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value!r} is no finite number")
    elif value is not None and not isinstance(value, (str, int, float)):
        raise ValueError(f"{type(value).__name__} is no plain value")


def _vector(dtype: str) -> Check:
    def check(value: NDArray[Any]) -> NDArray[Any]:
        if value.dtype != DTYPES[dtype] or value.ndim != 1:
            raise ValueError(f"{value.dtype} array of {value.ndim} dimensions, wanted {dtype} of one")
        return value

    return check


def _no_ext(code: int, _data: bytes) -> Any:
    raise ValueError(f"extension type {code}")
