"""The glTF 2.0 container: JSON, buffers, accessors and images (specification, chapters 3.6 and 4).

Why not trimesh: it drops texture coordinates of primitives without a material, the encoded images, sparse and
normalised accessors and skins, walks children backwards, and leaves zeros where an extension is unknown to it.
"""

from __future__ import annotations

import base64
import json
import struct
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
from numpy.typing import NDArray

from lim_cli.errors import BadInput
from lim_usd.source import Texture

_COMPONENTS = {5120: np.int8, 5121: np.uint8, 5122: np.int16, 5123: np.uint16, 5125: np.uint32, 5126: np.float32}
_WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}
_UNDERSTOOD = ("KHR_mesh_quantization", "KHR_texture_transform", "KHR_lights_punctual", "EXT_texture_webp")


class GltfFile:
    """A .gltf or .glb file: its JSON as `tree`, and what the JSON points to."""

    def __init__(self, path: Path) -> None:
        self.folder = path.parent
        data = path.read_bytes()
        text, self._chunk = _glb_chunks(data) if data[:4] == b"glTF" else (data, None)
        try:
            self.tree: dict[str, Any] = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise BadInput(f"its JSON cannot be read: {error}. Export it again.") from None
        if not isinstance(self.tree, dict) or "asset" not in self.tree:
            raise BadInput("no glTF asset in its JSON. Export it again.")
        version = str(self.tree["asset"].get("version", ""))
        if not version.startswith("2"):
            raise BadInput(f"glTF version {version[:20]!r}; only 2.0 can be read. Export it again as glTF 2.0.")
        for extension in self.tree.get("extensionsRequired", []):
            if extension not in _UNDERSTOOD and not str(extension).startswith("KHR_materials_"):
                raise BadInput(f"needs the extension {extension}. Export it again without it, uncompressed.")

    @cached_property
    def _buffers(self) -> list[bytes]:
        return [self._buffer(i, buffer) for i, buffer in enumerate(self.tree.get("buffers", []))]

    def _buffer(self, i: int, buffer: dict[str, Any]) -> bytes:
        if "uri" in buffer:
            return self._fetched(buffer["uri"])
        if i or self._chunk is None:
            raise BadInput(f"buffer {i} has neither data nor a file. Export it again.")
        return self._chunk

    def _fetched(self, uri: str) -> bytes:
        if uri.startswith("data:"):
            return base64.b64decode(uri.partition(",")[2])
        for name in (unquote(uri), uri):
            if (self.folder / name).is_file():
                return (self.folder / name).read_bytes()
        raise BadInput(f"{uri[:200]}: no such file, though the glTF names it. Put it there, or export as GLB.")

    def _view(self, i: int) -> memoryview:
        view = self.tree["bufferViews"][_index(i)]
        start, length = view.get("byteOffset", 0), view["byteLength"]
        buffer = self._buffers[_index(view["buffer"])]
        if start < 0 or length < 0 or start + length > len(buffer):
            raise BadInput(
                f"buffer view {i} ends at byte {start + length:,} of {len(buffer):,}. The file is cut short; export "
                "it again."
            )
        return memoryview(buffer)[start : start + length]

    def array(self, i: int, rows: int | None = None) -> NDArray[Any]:
        """An accessor, [count, width], floats where it is normalised. `rows` is the count it must have; without
        one, an accessor must bring its data, so that a count alone never makes an array.
        """
        accessor = self.tree["accessors"][_index(i)]
        count, width = accessor["count"], _WIDTHS[accessor["type"]]
        item: np.dtype[Any] = np.dtype(_COMPONENTS[accessor["componentType"]]).newbyteorder("<")
        if count < 0 or (rows is not None and count != rows):
            raise BadInput(f"accessor {i} has {count} entries where {rows} are needed. Export it again.")
        if "bufferView" in accessor:
            view = self.tree["bufferViews"][_index(accessor["bufferView"])]
            data = self._strided(accessor["bufferView"], accessor, count, width, item, view.get("byteStride"))
        elif rows is None:
            raise BadInput(f"accessor {i} has no data. Export it again without compression.")
        else:
            data = np.zeros((count, width), item)
        if "sparse" in accessor:
            data = self._with_sparse(data, accessor["sparse"], width, item)
        return _unit(data) if accessor.get("normalized") else data

    def _strided(
        self, view: int, place: dict[str, Any], count: int, width: int, item: np.dtype[Any], stride: int | None
    ) -> NDArray[Any]:
        step = stride or width * item.itemsize
        data, start = self._view(view), place.get("byteOffset", 0)
        if start < 0 or (count and start + (count - 1) * step + width * item.itemsize > len(data)):
            raise BadInput(f"{count:,} entries do not fit into buffer view {view}. Export it again.")
        return np.ndarray((count, width), item, data, start, (step, item.itemsize))

    def _with_sparse(self, data: NDArray[Any], sparse: dict[str, Any], width: int, item: np.dtype[Any]) -> NDArray[Any]:
        count, at, to = sparse["count"], sparse["indices"], sparse["values"]
        index = np.dtype(_COMPONENTS[at["componentType"]]).newbyteorder("<")
        changed = data.copy()
        places = self._strided(at["bufferView"], at, count, 1, index, None)[:, 0]
        changed[places] = self._strided(to["bufferView"], to, count, width, item, None)
        return changed

    def image(self, i: int) -> Texture:
        """An image as it is encoded. Raises BadInput where its file is not there."""
        image = self.tree["images"][_index(i)]
        if "bufferView" in image:
            return Texture(str(image.get("name") or f"image{i}"), bytes(self._view(image["bufferView"])))
        uri = image["uri"]
        inline = uri.startswith("data:")
        name = (
            f"{image.get('name') or f'image{i}'}.{uri[11:15].partition(';')[0]}" if inline else Path(unquote(uri)).name
        )
        try:
            return Texture(name, self._fetched(uri))
        except BadInput as error:
            raise BadInput(f"texture {error}") from None


def _index(i: object) -> int:
    """An index into a list of the JSON; negative ones would count from the end in Python."""
    if not isinstance(i, int) or i < 0:
        raise BadInput(f"{str(i)[:40]!r} is not an index. Export it again.")
    return i


def _unit(data: NDArray[Any]) -> NDArray[np.float32]:
    if data.dtype.kind == "f":
        return data
    return np.maximum(data.astype(np.float32) / np.iinfo(data.dtype).max, -1)


def _glb_chunks(data: bytes) -> tuple[bytes, bytes | None]:
    """The JSON chunk and the binary chunk of a GLB (chapter 4.4)."""
    if len(data) < 20 or len(data) < struct.unpack_from("<I", data, 8)[0]:
        promised = struct.unpack_from("<I", data, 8)[0] if len(data) >= 12 else 20
        raise BadInput(
            f"its header promises {promised:,} bytes, but it has {len(data):,}. It is cut short; export it again."
        )
    chunks: dict[bytes, bytes] = {}
    at = 12
    while at + 8 <= len(data):
        length, kind = struct.unpack_from("<I4s", data, at)
        chunks.setdefault(kind, data[at + 8 : at + 8 + length])
        at += 8 + length
    return chunks.get(b"JSON", b""), chunks.get(b"BIN\0")
