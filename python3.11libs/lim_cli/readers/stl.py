"""STL through trimesh: a soup of triangles, made one mesh by joining corners at exactly the same place."""

from __future__ import annotations

import io
import logging
import re
import struct
import warnings
from pathlib import Path

import numpy as np
from trimesh.exchange.stl import load_stl

from lim_cli.errors import BadInput
from lim_cli.readers.contents import Contents, plural
from lim_protocol.types import Float32, Int32, Mesh
from lim_usd.source import Part

logging.getLogger("trimesh").addHandler(logging.NullHandler())  # what it would warn of is raised here


def read(path: Path, time: float, prim: str | None) -> Contents:  # noqa: ARG001 - the same for every format
    """Triangles in the order of the file, points in the order of their first corner; solids as parts."""
    with warnings.catch_warnings():
        # numpy stops at a word that is no number, and only warns of it.
        warnings.simplefilter("error", DeprecationWarning)
        loaded = load_stl(io.BytesIO(_whole(path.read_bytes())))
    solids = loaded.get("geometry", {"": loaded})
    corners = [np.asarray(solid["vertices"], np.float32).reshape(-1, 3) for solid in solids.values()]
    soup = np.concatenate([np.zeros((0, 3), np.float32), *corners])
    points, face_indices = _welded(soup)
    names = [name if len(solids) > 1 else "" for name in solids]
    notes = (
        f"{plural(len(soup) // 3, 'loose triangle')} joined at equal corners into "
        f"{plural(len(points), 'point')}: STL keeps no points of its own",
    )
    return Contents(
        mesh=Mesh(points, np.full(len(soup) // 3, 3, np.int32), face_indices),
        parts=tuple(Part(name, len(each) // 3) for name, each in zip(names, corners, strict=True) if name),
        notes=notes if len(soup) else (),
    )


def _whole(data: bytes) -> bytes:
    """The bytes without what some writers leave after the last triangle. Raises BadInput for a file cut short."""
    promised = struct.unpack_from("<I", data, 80)[0] if len(data) >= 84 else 0
    expected = 84 + 50 * promised
    if len(data) == expected:
        return data
    if data.lstrip()[:5].lower() == b"solid" and re.search(rb"facet|endsolid", data[:4096], re.IGNORECASE):
        if b"endsolid" not in data[-4096:].lower():
            raise BadInput("no endsolid at its end. It is cut short; export it again.")
        return data.decode("utf-8", "replace").encode()  # trimesh would guess at the encoding
    if len(data) < 84 or len(data) < expected:
        raise BadInput(
            f"its header promises {plural(promised, 'triangle')}, {expected:,} bytes, but it has {len(data):,}. It is "
            "cut short or not an STL; export it again."
        )
    return data[:expected]


def _welded(soup: Float32) -> tuple[Float32, Int32]:
    """Distinct points in the order of their first appearance, and the point of every corner."""
    if not len(soup):
        return soup, np.zeros(0, np.int32)
    bits = np.ascontiguousarray(soup + np.float32(0)).view(np.uint32)  # -0 and 0 are one place
    order = np.lexsort((bits[:, 2], bits[:, 1], bits[:, 0]))
    new = np.r_[True, (bits[order][1:] != bits[order][:-1]).any(axis=1)]
    group = np.empty(len(soup), np.int64)
    group[order] = np.cumsum(new) - 1
    first = order[new]  # lexsort is stable, so this is the first corner of each group
    rank = np.argsort(np.argsort(first))
    return soup[np.sort(first)], rank[group].astype(np.int32)
