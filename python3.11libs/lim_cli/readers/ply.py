"""PLY: points, polygons, colours and texture coordinates. See `ply_table` for how the file itself is read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lim_cli.errors import BadInput
from lim_cli.readers.contents import Contents, Material, indexed_st, plural, with_blank_st
from lim_cli.readers.ply_table import Lists, Table, parse
from lim_cli.textures import texture_beside
from lim_protocol.types import Float32, Int32, Mesh, UInt8
from lim_usd.source import Texture

_ST_NAMES = (("s", "t"), ("u", "v"), ("texture_u", "texture_v"), ("texture_s", "texture_t"))
_COLOR_NAMES = (("red", "green", "blue"), ("diffuse_red", "diffuse_green", "diffuse_blue"), ("r", "g", "b"))


def read(path: Path, time: float, prim: str | None) -> Contents:  # noqa: ARG001 - the same for every format
    """Points and faces in the order of the file; vertex colours; texture coordinates of vertices, or of corners
    (`texcoord` lists, with `texnumber` for several images); the images that comments name as TextureFile.
    """
    table, comments = parse(path.read_bytes())
    vertex, face = table.get("vertex", Table(0, {})), table.get("face", Table(0, {}))
    points = _columns(vertex, ("x", "y", "z"))
    if points is None:
        raise BadInput("its vertices have no x, y and z. Export it with positions.")
    if not face.rows and "tristrips" in table:
        raise BadInput("triangle strips and no faces. Export polygons.")
    corners = _list(face, "vertex_indices", "vertex_index")
    notes: list[str] = []
    st, st_indices = _texture_coordinates(vertex, face, corners, notes)
    if _columns(face, _COLOR_NAMES[0]) is not None:
        notes.append("face colours are not read, only those of vertices")
    images = tuple(Material(t.name, t) for t in _textures(comments, path.parent)) if st is not None else ()
    return Contents(
        mesh=Mesh(
            points=points.astype(np.float32),
            face_counts=corners.counts.astype(np.int32),
            face_indices=_as_index(corners.values),
            st=st,
            st_indices=st_indices,
            colors=_colors(vertex),
        ),
        materials=images,
        face_materials=_face_images(face) if images else None,
        notes=tuple(notes),
    )


def _columns(table: Table, names: tuple[str, ...]) -> NDArray[Any] | None:
    if not all(isinstance(table.columns.get(name), np.ndarray) for name in names):
        return None
    return np.stack([np.asarray(table.columns[name]) for name in names], axis=1)


def _list(table: Table, *names: str) -> Lists:
    found = [column for name in names if isinstance(column := table.columns.get(name), Lists)]
    if found:
        return found[0]
    if table.rows:
        raise BadInput(f"its faces have no list {names[0]}. Export polygons.")
    return Lists(np.zeros(0, np.int32), np.zeros(0, np.int32))


def _as_index(values: NDArray[Any]) -> Int32:
    """Indices as int32; what does not fit, or is no whole number, becomes -1: out of range, and found as such."""
    wide = values.astype(np.float64)
    fits = (wide >= 0) & (wide < 2**31) & (wide == np.floor(wide))
    return np.where(fits, wide, -1).astype(np.int32)


def _texture_coordinates(
    vertex: Table, face: Table, corners: Lists, notes: list[str]
) -> tuple[Float32 | None, Int32 | None]:
    of_corners = face.columns.get("texcoord")
    if isinstance(of_corners, Lists) and of_corners.values.size:
        complete = of_corners.counts == 2 * corners.counts
        if complete.all():
            return indexed_st(of_corners.values.reshape(-1, 2))
        wrong = np.flatnonzero(~complete & (of_corners.counts != 0))
        if len(wrong):
            raise BadInput(
                f"face {wrong[0]} has {plural(int(corners.counts[wrong[0]]), 'corner')} and "
                f"{plural(int(of_corners.counts[wrong[0]]), 'number')} in texcoord, not two a corner. Export it again."
            )
        st, index = indexed_st(of_corners.values.reshape(-1, 2))
        st_indices = np.full(len(corners.values), -1, np.int64)
        st_indices[np.repeat(complete, corners.counts)] = index
        st, filled, told = with_blank_st(st, st_indices, "corners")
        notes += told
        return st, filled
    for names in _ST_NAMES:
        st_of_points = _columns(vertex, names)
        if st_of_points is not None and len(corners.values):
            return st_of_points.astype(np.float32), _as_index(corners.values)
    return None, None


def _colors(vertex: Table) -> UInt8 | None:
    """Bytes as they are; wider integers and floats (0 to 1, or to 255 where any is above 1) as bytes."""
    for names in _COLOR_NAMES:
        colors = _columns(vertex, names)
        if colors is None or not len(colors):
            continue
        if colors.dtype == np.uint8:
            return colors.astype(np.uint8)
        if colors.dtype.kind == "f":
            colors = np.nan_to_num(colors.astype(np.float64))
            scale = 255.0 if colors.max() <= 1 else 1.0
        else:
            scale = 255.0 / 65535.0 if colors.dtype.itemsize == 2 else 1.0
        return np.round(np.clip(colors.astype(np.float64) * scale, 0, 255)).astype(np.uint8)
    return None


def _textures(comments: list[str], folder: Path) -> list[Texture]:
    names = [m[1].strip() for c in comments if (m := re.match(r"TextureFile\s+(.+)", c, re.IGNORECASE))]
    remedy = "Put the image beside the PLY, or take the comment out of its header."
    return [texture_beside(name, folder, remedy) for name in dict.fromkeys(names)]


def _face_images(face: Table) -> Int32:
    numbers: Mapping[str, NDArray[Any] | Lists] = face.columns
    chosen = numbers.get("texnumber")
    if isinstance(chosen, np.ndarray):
        return _as_index(chosen)
    return np.zeros(face.rows, np.int32)
