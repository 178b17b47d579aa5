"""The PLY format as tables, one per element, with lists of any length.

Why not a library: trimesh refuses binary faces of mixed lengths, triangulates quads, splits points at texture
seams and drops faces of five corners; meshio reads one list after the other where they alternate, has no big
counts, and drops lists of texture coordinates. Others that read all of it are under the GPL.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from lim_cli.errors import BadInput

_TYPES = {
    "char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4", "float": "f4",
    "double": "f8", "int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2", "int32": "i4", "uint32": "u4",
    "int64": "i8", "uint64": "u8", "float32": "f4", "float64": "f8",
}  # fmt: skip
_FORMATS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}


@dataclass(frozen=True, eq=False)
class Lists:
    """A column of lists, end to end: values [sum of counts] and counts [rows]."""

    values: NDArray[Any]
    counts: NDArray[np.integer]


@dataclass(frozen=True, eq=False)
class Table:
    """An element: a column for each property, either [rows] or lists."""

    rows: int
    columns: dict[str, NDArray[Any] | Lists]


@dataclass(frozen=True)
class _Property:
    name: str
    item: np.dtype[Any]
    count: np.dtype[Any] | None = None  # of a list


@dataclass(frozen=True)
class _Element:
    name: str
    rows: int
    properties: list[_Property] = field(default_factory=list)


class _Body(Protocol):
    """What follows the header, counted in bytes or in words."""

    length: int

    def size(self, item: np.dtype[Any]) -> int: ...
    def count(self, at: int, item: np.dtype[Any]) -> int: ...
    def take(self, places: NDArray[np.int64], item: np.dtype[Any]) -> NDArray[Any]: ...


class _Bytes:
    def __init__(self, data: bytes) -> None:
        self.data, self.bytes, self.length = data, np.frombuffer(data, np.uint8), len(data)

    def size(self, item: np.dtype[Any]) -> int:
        return item.itemsize

    def count(self, at: int, item: np.dtype[Any]) -> int:
        order: Literal["big", "little"] = "big" if item.str[0] == ">" else "little"
        return int.from_bytes(self.data[at : at + item.itemsize], order, signed=item.kind == "i")

    def take(self, places: NDArray[np.int64], item: np.dtype[Any]) -> NDArray[Any]:
        spread = self.bytes[places[:, None] + np.arange(item.itemsize)]
        values: NDArray[Any] = spread.view(item).ravel().astype(item.newbyteorder("="))
        return values


class _Words:
    def __init__(self, text: bytes) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            self.words = np.fromstring(text.decode("ascii", "replace"), np.float64, sep=" ")
        self.length = len(self.words)

    def size(self, item: np.dtype[Any]) -> int:  # noqa: ARG002 - a word is a word
        return 1

    def count(self, at: int, item: np.dtype[Any]) -> int:  # noqa: ARG002
        return int(self.words[at]) if at < self.length else 0

    def take(self, places: NDArray[np.int64], item: np.dtype[Any]) -> NDArray[Any]:
        with np.errstate(invalid="ignore", over="ignore"):
            return self.words[places].astype(item)


def parse(data: bytes) -> tuple[dict[str, Table], list[str]]:
    """The elements of a PLY file and its comments. Raises BadInput for a broken header and for a body that is
    shorter than the header says, before anything of that size is made.
    """
    header, start = _header(data)
    elements, comments, order = _declared(header)
    body: _Body = _Bytes(data[start:]) if order else _words(data[start:])
    tables, at = {}, 0
    for element in elements:
        tables[element.name], at = _table(element, body, at)
    return tables, comments


def _header(data: bytes) -> tuple[list[str], int]:
    end = data.find(b"end_header")
    if not data.startswith(b"ply") or end < 0:
        raise BadInput("no PLY header (`ply` to `end_header`). It may be cut short; export it again.")
    after = end + len(b"end_header")
    after += 2 if data[after : after + 2] == b"\r\n" else 1
    return data[:end].decode("utf-8", "replace").splitlines(), after


def _declared(header: list[str]) -> tuple[list[_Element], list[str], str]:
    elements: list[_Element] = []
    comments: list[str] = []
    order: str | None = None
    for line in header[1:]:
        words = line.split()
        try:
            if not words or words[0] == "obj_info":
                continue
            if words[0] == "comment":
                comments.append(line.strip()[len("comment") :].strip())
            elif words[0] == "format":
                order = _FORMATS[words[1]]
            elif words[0] == "element" and int(words[2]) >= 0:
                elements.append(_Element(words[1], int(words[2])))
            elif words[0] == "property" and order is not None:
                elements[-1].properties.append(_property(words, order))
            else:
                raise ValueError
        except (LookupError, ValueError):
            raise BadInput(f"header line {line.strip()[:80]!r} is not of the PLY format. Export it again.") from None
    if order is None:
        raise BadInput("no format line in its header. Export it again.")
    return elements, comments, order


def _property(words: list[str], order: str) -> _Property:
    def of(name: str) -> np.dtype[np.generic]:
        return np.dtype(order + _TYPES[name])

    if words[1] == "list":
        if of(words[2]).kind == "f":
            raise ValueError
        return _Property(words[4], of(words[3]), of(words[2]))
    return _Property(words[2], of(words[1]))


def _words(text: bytes) -> _Words:
    try:
        return _Words(text)
    except (ValueError, DeprecationWarning):
        raise BadInput("something other than numbers after its header. Export it again.") from None


def _table(element: _Element, body: _Body, at: int) -> tuple[Table, int]:
    counts = _list_counts(element, body, at)
    columns: dict[str, NDArray[Any] | Lists] = {}
    # Rows differ in length only by their lists, so where everything starts follows from the counts.
    sizes = np.zeros((element.rows, len(element.properties)), np.int64)
    for i, column in enumerate(element.properties):
        heads = body.size(column.count) if column.count is not None else 0
        sizes[:, i] = heads + body.size(column.item) * counts.get(column.name, 1)
    ends = at + np.cumsum(sizes.ravel()).reshape(sizes.shape)
    for i, column in enumerate(element.properties):
        starts = ends[:, i] - sizes[:, i]
        if column.count is None:
            columns[column.name] = body.take(starts, column.item)
            continue
        lengths, size = counts[column.name], body.size(column.item)
        within = np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        places = np.repeat(starts + body.size(column.count), lengths) + within * size
        columns[column.name] = Lists(body.take(places, column.item), lengths)
    return Table(element.rows, columns), int(ends[-1, -1]) if ends.size else at


def _list_counts(element: _Element, body: _Body, at: int) -> dict[str, NDArray[np.int64]]:
    """How long each list of each row is; a row's place is known only once the rows before it are read."""
    least = sum(body.size(column.count or column.item) for column in element.properties)
    if element.rows * max(least, 1) > body.length - at:
        raise _short(element)
    lists: list[tuple[int, _Property]] = []
    skip = 0
    for column in element.properties:
        if column.count is None:
            skip += body.size(column.item)
        else:
            lists.append((skip, column))
            skip = 0
    if not lists:
        return {}
    found: list[int] = []
    for _ in range(element.rows):
        for before, column in lists:
            assert column.count is not None
            count = body.count(at + before, column.count)
            if count < 0:
                raise BadInput(f"a list of {count} entries in element {element.name}. Export it again.")
            found.append(count)
            at += before + body.size(column.count) + count * body.size(column.item)
        at += skip
        if at > body.length:
            raise _short(element)
    table = np.array(found, np.int64).reshape(element.rows, len(lists))
    return {column.name: table[:, i] for i, (_, column) in enumerate(lists)}


def _short(element: _Element) -> BadInput:
    return BadInput(
        f"its header promises {element.rows:,} of element {element.name}, but the file ends before. It is cut "
        "short; export it again."
    )
