"""Records: arrays and a few plain values as one run of bytes. A blob, a streamed frame and a cached result are records.

Layout: magic "LIMR", version u8, three zero bytes, header length u32 (little-endian); a msgpack map with "a" (rows of
[name, dtype, shape]) and "m" (plain values); then each array, little-endian and C-order, every one starting at a
multiple of 64 bytes so that it can be used where it lies.
"""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import msgpack
import numpy as np
from numpy.typing import NDArray

from lim_protocol.types import Frame, Mesh, Quality, Surface
from lim_protocol.wire import HEADER_MAX, WireError, array_table, unpack_map

MAGIC = b"LIMR"
VERSION = 1
PRELUDE = struct.Struct("<4sB3xI")
ALIGN = 64
FRAME_VECTORS = ("points", "normals", "velocities", "accelerations")
FRAME_SCALARS = ("residuals", "confidence")
FRAME_ARRAYS = (*FRAME_VECTORS, *FRAME_SCALARS)

Arrays = Mapping[str, "NDArray[Any] | None"]


def pack(arrays: Arrays, values: Mapping[str, Any] | None = None) -> bytearray:
    """One record. Arrays that are None are left out."""
    present = {name: np.ascontiguousarray(a, a.dtype.newbyteorder("<")) for name, a in arrays.items() if a is not None}
    table = [[name, a.dtype.str[1:], list(a.shape)] for name, a in present.items()]
    header = msgpack.packb({"a": table, "m": dict(values or {})})
    assert len(header) <= HEADER_MAX, f"record header of {len(header)} bytes"
    offsets = _offsets(len(header), [a.nbytes for a in present.values()])
    record = bytearray(offsets[-1])
    PRELUDE.pack_into(record, 0, MAGIC, VERSION, len(header))
    record[PRELUDE.size : PRELUDE.size + len(header)] = header
    for start, a in zip(offsets, present.values()):
        if a.size:
            record[start : start + a.nbytes] = a.data.cast("B")
    return record


def unpack(record: bytes | bytearray | memoryview) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """The arrays (views of the record) and the plain values. Raises WireError where it is no whole record."""
    view = memoryview(record)
    if len(view) < PRELUDE.size:
        raise WireError(f"record of {len(view)} bytes")
    magic, version, length = PRELUDE.unpack_from(view)
    if magic != MAGIC or version != VERSION or length > HEADER_MAX or PRELUDE.size + length > len(view):
        raise WireError("not a LIM record of this version")
    body = unpack_map(view[PRELUDE.size : PRELUDE.size + length])
    table = array_table(body.get("a", []))
    offsets = _offsets(length, [math.prod(shape) * dtype.itemsize for _, dtype, shape in table])
    if offsets[-1] != len(view):
        raise WireError(f"record of {len(view)} bytes, its table says {offsets[-1]}")
    arrays = {
        name: np.frombuffer(view, dtype, math.prod(shape), start).reshape(shape)
        for start, (name, dtype, shape) in zip(offsets, table)
    }
    values = body.get("m", {})
    if not isinstance(values, dict):
        raise WireError("record values are no map")
    return arrays, values


def digest(record: bytes | bytearray | memoryview) -> bytes:
    """The name of a blob: sha256 of its bytes (the one fast hash that every hython has)."""
    return hashlib.sha256(record).digest()


def pack_mesh(mesh: Mesh) -> bytearray:
    """A keyframe's mesh as a record."""
    return pack(vars(mesh))


def unpack_mesh(record: bytes | memoryview) -> Mesh:
    """The mesh in a record. Raises WireError, naming the array, where shapes, types or indices do not fit together."""
    arrays, _ = unpack(record)
    _require(arrays, "points", "f4", (None, 3))
    _require(arrays, "face_counts", "i4", (None,))
    _require(arrays, "face_indices", "i4", (None,))
    mesh = Mesh(**{name: arrays[name] for name in Mesh.__dataclass_fields__ if name in arrays})
    corners = len(mesh.face_indices)
    if not np.isfinite(mesh.points).all():
        raise WireError("points are not all finite")
    if mesh.face_counts.size and mesh.face_counts.min() < 3:
        raise WireError("face_counts has a face of fewer than 3 corners")
    if int(mesh.face_counts.sum(dtype=np.int64)) != corners:
        raise WireError("face_counts does not add up to the number of face_indices")
    _require_index("face_indices", mesh.face_indices, len(mesh.points))
    if mesh.st is not None:
        _require(arrays, "st", "f4", (None, 2))
        _require(arrays, "st_indices", "i4", (corners,))
        _require_index("st_indices", arrays["st_indices"], len(mesh.st))
    if mesh.colors is not None:
        _require(arrays, "colors", "u1", (len(mesh.points), 3))
    if mesh.stiffness is not None:
        _require(arrays, "stiffness", "f4", (len(mesh.points),))
        if not (np.isfinite(mesh.stiffness) & (mesh.stiffness >= 0)).all():
            raise WireError("stiffness is not 0 or more everywhere")
    if mesh.pinned is not None:
        _require(arrays, "pinned", "u1", (len(mesh.points),))
    if mesh.landmarks is not None or mesh.landmark_weights is not None:
        _check_landmarks(arrays, len(mesh.points))
    return mesh


def _check_landmarks(arrays: Mapping[str, NDArray[Any]], points: int) -> None:
    _require(arrays, "landmarks", "i4", (None, 2, 3))
    _require(arrays, "landmark_weights", "f4", arrays["landmarks"].shape)
    weights = arrays["landmark_weights"]
    if not ((weights >= 0) & (np.abs(weights.sum(axis=2, keepdims=True) - 1) < 1e-3)).all():
        raise WireError("landmark_weights are not 0 or more with a sum of 1")
    _require_index("landmarks", arrays["landmarks"][:, 1], points)


def pack_frame(frame: Frame) -> bytearray:
    """A tracked frame as a record."""
    quality = None if frame.quality is None else asdict(frame.quality)
    return pack({name: getattr(frame, name) for name in FRAME_ARRAYS}, {"time": frame.time, "quality": quality})


def unpack_frame(record: bytes | memoryview) -> Frame:
    """The frame in a record of the server's making. Raises WireError."""
    arrays, values = unpack(record)
    count = len(arrays.get("points", ()))
    for name in ("points", *(name for name in FRAME_ARRAYS if name in arrays)):
        _require(arrays, name, "f4", (count,) if name in FRAME_SCALARS else (count, 3))
    quality = values.get("quality")
    try:
        return Frame(time=float(values["time"]), quality=None if quality is None else Quality(**quality), **arrays)
    except (KeyError, TypeError, ValueError) as error:
        raise WireError(f"record is no frame: {error}") from None


def pack_surface(surface: Surface) -> bytearray:
    """A surface as a record."""
    return pack(vars(surface))


def unpack_surface(record: bytes | memoryview) -> Surface:
    """The surface in a record of the server's making. Raises WireError."""
    arrays, _ = unpack(record)
    try:
        return Surface(**arrays)
    except TypeError as error:
        raise WireError(f"record is no surface: {error}") from None


def _offsets(header: int, sizes: list[int]) -> list[int]:
    """Start of each array, then the length of the record."""
    offsets, end = [], PRELUDE.size + header
    for size in sizes:
        start = -(-end // ALIGN) * ALIGN
        offsets.append(start)
        end = start + size
    return [*offsets, end]


def _require(arrays: Mapping[str, NDArray[Any]], name: str, dtype: str, shape: tuple[int | None, ...]) -> None:
    if name not in arrays:
        raise WireError(f"mesh without {name}")
    a = arrays[name]
    fits = a.ndim == len(shape) and all(want is None or want == n for want, n in zip(shape, a.shape))
    if a.dtype.str[1:] != dtype or not fits:
        raise WireError(f"{name} is {a.dtype.str[1:]} {list(a.shape)}, wanted {dtype} {list(shape)}")


def _require_index(name: str, indices: NDArray[Any], count: int) -> None:
    if indices.size and not (indices.min() >= 0 and indices.max() < count):
        raise WireError(f"{name} points outside 0..{count - 1}")
