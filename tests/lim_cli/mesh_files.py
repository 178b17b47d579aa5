"""Mesh files that the tests of lim_cli make: by hand, so that every byte of them is known."""

from __future__ import annotations

import io
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from lim_protocol.types import Mesh

# A quad, a triangle and a pentagon on eight points, one of which no face has.
POINTS = np.array(
    [[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0.1], [2, 0.5, -0.25], [3, 0, 1 / 3], [3, 1, 0], [9, 9, 9]], np.float32
)
FACES = [[0, 1, 2, 3], [1, 4, 2], [1, 5, 6, 2, 4]]
COUNTS = [4, 3, 5]
CORNERS = [0, 1, 2, 3, 1, 4, 2, 1, 5, 6, 2, 4]
COLORS = np.arange(24, dtype=np.uint8).reshape(8, 3) * 10
ST = np.array([[0, 0], [0.25, 0], [0.25, 0.5], [0, 0.5], [1, 1], [0.75, 0.125]], np.float32)
ST_CORNERS = [0, 1, 2, 3, 4, 5, 2, 4, 5, 0, 1, 2]

TETRA_POINTS = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], np.float32)
TETRA_FACES = np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [0, 3, 2]], np.int32)


def tetra_obj(scale: float = 1.0, shift: float = 0.0) -> str:
    """A tetrahedron."""
    return obj_lines("v", (TETRA_POINTS * scale + shift).tolist()) + obj_lines("f", TETRA_FACES + 1)


def obj_lines(word: str, rows: Any) -> str:
    """Rows of numbers as lines of an OBJ, with digits enough for every float32."""
    return "".join(" ".join([word, *(f"{number:.9g}" for number in row)]) + "\n" for row in rows)


def write_obj(path: Path, mesh: Mesh, *, st: bool = False) -> None:
    """Points, colours where it has some, and faces; texture coordinates of each point's x and z where asked."""
    points = mesh.points if mesh.colors is None else np.hstack([mesh.points, mesh.colors / 255])
    lines = obj_lines("v", points.tolist()) + (obj_lines("vt", mesh.points[:, [0, 2]].tolist()) if st else "")
    corners = np.split(mesh.face_indices + 1, np.cumsum(mesh.face_counts)[:-1])
    faces = ("f " + " ".join(f"{i}/{i}" if st else f"{i}" for i in face) for face in corners)
    path.write_text(lines + "".join(face + "\n" for face in faces))


def png(pixels: Any, kind: str = "PNG") -> bytes:
    """Rows of pixels as an image file, the first row at the top."""
    out = io.BytesIO()
    Image.fromarray(np.asarray(pixels, np.uint8)).save(out, kind)
    return out.getvalue()


def ply(
    path: Path,
    form: str,
    elements: list[tuple[str, list[str], list[list[Any]]]],
    comments: tuple[str, ...] = (),
    cut: int | None = None,
) -> Path:
    """A PLY file: each element a name, its property lines, and rows whose lists are nested."""
    head = ["ply", f"format {form} 1.0", *(f"comment {c}" for c in comments)]
    body = b""
    order = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}[form]
    for name, properties, rows in elements:
        head += [f"element {name} {len(rows)}", *(f"property {p}" for p in properties)]
        body += b"".join(_row(order, properties, row) for row in rows)
    path.write_bytes(("\n".join(head) + "\nend_header\n").encode() + body[:cut])
    return path


_CODES = {"char": "b", "uchar": "B", "short": "h", "ushort": "H", "int": "i", "uint": "I", "float": "f", "double": "d"}


def _row(order: str, properties: list[str], row: list[Any]) -> bytes:
    words: list[Any] = []
    codes = ""
    for line, value in zip(properties, row, strict=True):
        kinds = line.split()
        if kinds[0] == "list":
            words += [len(value), *value]
            codes += _CODES[kinds[1]] + _CODES[kinds[2]] * len(value)
        else:
            words.append(value)
            codes += _CODES[kinds[0]]
    if order:
        return struct.pack(order + codes, *words)
    return (" ".join(f"{w:.9g}" if isinstance(w, float) else str(w) for w in words) + "\n").encode()


class Gltf:
    """A glTF file put together piece by piece; every `add` gives the index of what it added."""

    def __init__(self) -> None:
        self.tree: dict[str, Any] = {"asset": {"version": "2.0"}, "accessors": [], "bufferViews": []}
        self.data = b""

    def view(self, data: bytes, **more: Any) -> int:
        self.data += b"\0" * (-len(self.data) % 4)
        self.tree["bufferViews"].append({"buffer": 0, "byteOffset": len(self.data), "byteLength": len(data), **more})
        self.data += data
        return len(self.tree["bufferViews"]) - 1

    def accessor(self, values: Any, dtype: Any = np.float32, **more: Any) -> int:
        array = np.asarray(values, dtype)
        kinds = {np.dtype(np.uint8): 5121, np.dtype(np.int16): 5122, np.dtype(np.uint16): 5123}
        kinds |= {np.dtype(np.uint32): 5125, np.dtype(np.float32): 5126, np.dtype(np.int8): 5120}
        width = {1: "SCALAR", 2: "VEC2", 3: "VEC3", 4: "VEC4", 16: "MAT4"}[array.size // len(array)]
        made = {"bufferView": self.view(array.tobytes()), "componentType": kinds[array.dtype], "count": len(array)}
        self.tree["accessors"].append({**made, "type": width, **more})
        return len(self.tree["accessors"]) - 1

    def add(self, kind: str, **what: Any) -> int:
        self.tree.setdefault(kind, []).append(what)
        return len(self.tree[kind]) - 1

    def primitive(self, points: Any, triangles: Any = None, **attributes: int) -> dict[str, Any]:
        made: dict[str, Any] = {"attributes": {"POSITION": self.accessor(points), **attributes}}
        if triangles is not None:
            made["indices"] = self.accessor(np.ravel(triangles), np.uint16)
        return made

    def tetra(self, **node: Any) -> int:
        """A node with a tetrahedron."""
        return self.add(
            "nodes", mesh=self.add("meshes", primitives=[self.primitive(TETRA_POINTS, TETRA_FACES)]), **node
        )

    def save(self, path: Path) -> Path:
        if path.suffix == ".gltf":
            self.tree["buffers"] = [{"uri": "data%20file.bin", "byteLength": len(self.data)}]
            (path.parent / "data file.bin").write_bytes(self.data)
            path.write_text(json.dumps(self.tree))
            return path
        self.tree["buffers"] = [{"byteLength": len(self.data)}]
        text = json.dumps(self.tree).encode()
        text += b" " * (-len(text) % 4)
        data = self.data + b"\0" * (-len(self.data) % 4)
        chunks = struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(data), b"BIN\0") + data
        path.write_bytes(b"glTF" + struct.pack("<II", 2, 12 + len(chunks)) + chunks)
        return path
