"""Wavefront OBJ through tinyobjloader, with polygons left whole."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import tinyobjloader
from numpy.typing import NDArray

from lim_cli.errors import BadInput
from lim_cli.readers.contents import Contents, Material, plural, with_blank_st
from lim_cli.textures import texture_beside
from lim_protocol.types import Float32, Int32, Mesh, UInt8
from lim_usd.source import Part

_ODD_POINT = re.compile(rb"^[ \t]*v[ \t](?=[^\n#]*(?:[^\d\s.+\-eE#]|\.#))[^\n]*", re.MULTILINE)
_NOT_FINITE = re.compile(rb"nan|inf|1\.#", re.IGNORECASE)
_MTLLIB = re.compile(rb"^[ \t]*mtllib[ \t]+([^\r\n]+)", re.MULTILINE)


def read(path: Path, time: float, prim: str | None) -> Contents:  # noqa: ARG001 - the same for every format
    """Points, faces and texture coordinates in the order of the file; colours of `v x y z r g b` lines, objects
    and groups as parts, `map_Kd` and `Kd` of materials. Lines, points and curves are left out.
    """
    text = path.read_bytes().replace(b"\\\r\n", b" ").replace(b"\\\n", b" ")
    _check_points(text)
    library, notes = _material_library(text, path.parent)
    parsed = _parsed(text, library)
    attributes, shapes = parsed.GetAttrib(), list(parsed.GetShapes())
    indices = np.concatenate([_array(s.mesh.numpy_indices()).reshape(-1, 3) for s in shapes] or [_NO_CORNERS])
    # numpy_num_face_vertices is of bytes: a face of 300 corners would come out with 44.
    counts = np.array([count for s in shapes for count in s.mesh.num_face_vertices], np.int32)
    two_cornered = parsed.Warning().count("Degenerated face")
    if two_cornered:
        notes.append(f"{plural(two_cornered, 'face')} with fewer than 3 corners left out")
    st, st_indices = _texture_coordinates(attributes, indices[:, 2], notes)
    points = _array(attributes.numpy_vertices()).reshape(-1, 3)
    mesh = Mesh(
        points=points.astype(np.float32),
        face_counts=counts,
        face_indices=np.ascontiguousarray(indices[:, 0], np.int32),
        st=st,
        st_indices=st_indices,
        colors=_colors(attributes, len(points)),
    )
    parts = tuple(Part(s.name or path.stem, len(s.mesh.num_face_vertices)) for s in shapes)
    face_materials = np.concatenate([_array(s.mesh.numpy_material_ids()) for s in shapes] or [_NO_CORNERS[:, 0]])
    used = set(np.unique(face_materials).tolist())
    return Contents(
        mesh=mesh,
        parts=tuple(part for part in parts if part.faces) if any(s.name for s in shapes) else (),
        materials=tuple(
            _material(m, path.parent) if i in used else Material(m.name) for i, m in enumerate(parsed.GetMaterials())
        ),
        face_materials=face_materials.astype(np.int32),
        notes=tuple(notes),
    )


_NO_CORNERS: Int32 = np.zeros((0, 3), np.int32)


def _check_points(text: bytes) -> None:
    """tinyobjloader reads `nan`, `inf`, `1.#QNAN` and `1,5` as some other number and says nothing."""
    odd = list(_ODD_POINT.finditer(text))
    if not odd:
        return
    first = odd[0][0].strip()[:80].decode("utf-8", "replace")
    line = text.count(b"\n", 0, odd[0].start()) + 1
    if all(_NOT_FINITE.search(match[0]) for match in odd):
        raise BadInput(
            f"{plural(len(odd), 'point')} NaN or infinite, the first in line {line}: {first!r}. Repair or delete "
            "them and export again."
        )
    raise BadInput(f"line {line} is not a point: {first!r}. Export it again, with decimals written as 1.5.")


def _parsed(text: bytes, library: bytes) -> Any:
    reader, config = tinyobjloader.ObjReader(), tinyobjloader.ObjReaderConfig()
    config.triangulate = False
    clean = [data.decode("utf-8", "replace").encode() for data in (text, library)]
    if not reader.ParseFromString(*clean, config):
        raise BadInput(f"{reader.Error().strip() or 'not an OBJ'} Export it again.")
    return reader


def _material_library(text: bytes, folder: Path) -> tuple[bytes, list[str]]:
    library, notes = b"", []
    for line in dict.fromkeys(_MTLLIB.findall(text)):
        name = line.decode("utf-8", "replace").strip()
        whole = [name] if (folder / name).is_file() else name.split()
        for each in whole:
            if (folder / each).is_file():
                library += (folder / each).read_bytes() + b"\n"
            else:
                notes.append(f"material library {each} is not there: read without its textures")
    return library, notes


def _material(material: Any, folder: Path) -> Material:
    color = tuple(round(min(max(float(c), 0.0), 1.0) * 255) for c in material.diffuse)
    name, remedy = material.diffuse_texname, "Put the image beside the OBJ, or take map_Kd out of its .mtl."
    texture = texture_beside(name, folder, remedy) if name else None
    return Material(material.name, texture, (color[0], color[1], color[2]))


def _texture_coordinates(
    attributes: Any, indices: NDArray[np.integer], notes: list[str]
) -> tuple[Float32 | None, Int32 | None]:
    st = _array(attributes.numpy_texcoords()).reshape(-1, 2).astype(np.float32)
    if not len(st) or not len(indices) or (indices == -1).all():
        return None, None
    st, st_indices, told = with_blank_st(st, indices, "corners")
    notes += told
    return st, st_indices


def _colors(attributes: Any, points: int) -> UInt8 | None:
    """Colours as bytes; None where all are white, which is also what tinyobjloader gives for none."""
    colors = _array(attributes.numpy_colors()).reshape(-1, 3)
    if len(colors) != points or not points or (colors == 1).all():
        return None
    scale = 255 if colors.max() <= 1 else 1
    in_bytes: UInt8 = np.round(np.clip(colors * scale, 0, 255)).astype(np.uint8)
    return in_bytes


def _array(array: NDArray[Any]) -> NDArray[Any]:
    """tinyobjloader 2.0.0rc13 fills its arrays rightly, but gives them a stride of zero."""
    if not array.size:
        return array
    return np.lib.stride_tricks.as_strided(array, strides=(array.itemsize,))
