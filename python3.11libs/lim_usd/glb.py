"""A compact motion as one binary glTF 2.0 file: a moving node, morph targets and their weights, texture inside."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lim_protocol.types import Float32, Mesh, fan
from lim_usd.atomic import Scratch, disk_errors, publish
from lim_usd.color import linear
from lim_usd.compact import Compact
from lim_usd.maps import image_suffix
from lim_usd.material import ROUGHNESS
from lim_usd.source import Source

_MAGIC, _VERSION, _JSON, _BIN = 0x46546C67, 2, 0x4E4F534A, 0x004E4942
_FLOAT, _UINT = 5126, 5125
_KINDS = {1: "SCALAR", 2: "VEC2", 3: "VEC3", 4: "VEC4"}
_VERTICES, _INDICES = 34962, 34963


def write_glb(path: str | Path, source: Source, made: Compact, seconds: NDArray[np.float64]) -> Path:
    """Write the motion of the source's mesh; `seconds` are the times of its frames, from 0.

    glTF is Y up in metres, so a node above the mesh turns and scales what is not. Points on a seam of the texture are
    written once for each of their coordinates. The file appears whole, or not at all.

    Raises OutputError, DiskError.
    """
    path = Path(path)
    scratch = Scratch(path)
    try:
        ready = scratch.path / "mesh.glb"
        with disk_errors(path):
            ready.write_bytes(_Builder(source, made, seconds, path.stem).file())
        publish([(ready, path)], scratch.path)
    finally:
        scratch.close()
    return path


@dataclass(eq=False)
class _Builder:
    """The two chunks of the file in the making: `tree` and `binary`."""

    source: Source
    made: Compact
    seconds: NDArray[np.float64]
    name: str
    views: list[dict[str, Any]] = field(default_factory=list)
    accessors: list[dict[str, Any]] = field(default_factory=list)
    binary: bytearray = field(default_factory=bytearray)

    def file(self) -> bytes:
        tree = {
            "asset": {"version": "2.0", "generator": "LIM for Houdini and USD", "extras": self._said()},
            "scene": 0,
            "scenes": [{"nodes": [0]}],
            "nodes": [{"name": self.name, **self._axes(), "children": [1]}, {"name": "mesh", "mesh": 0}],
            "meshes": [self._mesh()],
            "materials": [self._material()],
            "animations": [self._animation()],
            "accessors": self.accessors,
            "bufferViews": self.views,
            **self._images(),
        }
        tree["buffers"] = [{"byteLength": len(self.binary)}]
        text = json.dumps(tree, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 4)
        data = bytes(self.binary) + b"\0" * (-len(self.binary) % 4)
        chunks = struct.pack("<II", len(text), _JSON) + text + struct.pack("<II", len(data), _BIN) + data
        return struct.pack("<III", _MAGIC, _VERSION, 12 + len(chunks)) + chunks

    def _said(self) -> dict[str, float]:
        return {"errorMax": self.made.error_max, "errorRms": self.made.error_rms, "diagonal": self.made.diagonal}

    def _axes(self) -> dict[str, Any]:
        scale = self.source.metres_per_unit or 1.0
        node: dict[str, Any] = {} if scale == 1 else {"scale": [scale] * 3}
        if self.source.up_axis == "Z":
            node["rotation"] = [-(0.5**0.5), 0.0, 0.0, 0.5**0.5]
        return node

    def _mesh(self) -> dict[str, Any]:
        made, mesh = self.made, self.source.mesh
        of_vertex, st, triangles = _vertices(mesh)
        attributes = {
            "POSITION": self._vectors(made.base[of_vertex], bounds=True),
            "NORMAL": self._vectors(_unit(made.base_normals[of_vertex])),
        }
        if st is not None:
            attributes["TEXCOORD_0"] = self._array(np.stack([st[:, 0], 1 - st[:, 1]], 1), _FLOAT, _VERTICES)
        if mesh.colors is not None and self.source.texture is None:
            attributes["COLOR_0"] = self._array(linear(mesh.colors)[of_vertex], _FLOAT, _VERTICES)
        targets = [
            {
                "POSITION": self._vectors(shape[of_vertex], bounds=True),
                "NORMAL": self._vectors(normals[of_vertex]),
            }
            for shape, normals in zip(made.shapes, made.shape_normals)
        ]
        primitive: dict[str, Any] = {"attributes": attributes, "material": 0}
        primitive["indices"] = self._array(triangles.ravel().astype(np.uint32), _UINT, _INDICES)
        if not targets:
            return {"primitives": [primitive]}
        return {"primitives": [{**primitive, "targets": targets}], "weights": made.weights[0].tolist()}

    def _animation(self) -> dict[str, Any]:
        made = self.made
        times = self._array(self.seconds.astype(np.float32), _FLOAT, bounds=True)
        tracks = {
            "translation": made.translations.astype(np.float32),
            "rotation": _quaternions(made.rotations),
            **({"weights": made.weights.ravel()} if len(made.shapes) else {}),
        }
        outputs = {name: self._array(values, _FLOAT) for name, values in tracks.items()}
        samplers = [{"input": times, "output": output} for output in outputs.values()]
        channels = [{"sampler": n, "target": {"node": 1, "path": name}} for n, name in enumerate(outputs)]
        return {"name": "track", "samplers": samplers, "channels": channels}

    def _material(self) -> dict[str, Any]:
        surface: dict[str, Any] = {"metallicFactor": 0.0, "roughnessFactor": ROUGHNESS}
        if self.source.texture:
            surface["baseColorTexture"] = {"index": 0}
        return {"name": "preview", "pbrMetallicRoughness": surface, "doubleSided": True}

    def _images(self) -> dict[str, Any]:
        texture = self.source.texture
        if texture is None:
            return {}
        kind = "image/png" if image_suffix(texture.data) == ".png" else "image/jpeg"
        view = self._view(texture.data)
        return {"images": [{"bufferView": view, "mimeType": kind}], "textures": [{"source": 0}]}

    def _vectors(self, values: Float32, bounds: bool = False) -> int:
        return self._array(values, _FLOAT, _VERTICES, bounds)

    def _array(self, values: NDArray[Any], component: int, target: int | None = None, bounds: bool = False) -> int:
        plain = np.ascontiguousarray(values, {_FLOAT: "<f4", _UINT: "<u4"}[component])
        width = plain.shape[1] if plain.ndim > 1 else 1
        accessor: dict[str, Any] = {
            "bufferView": self._view(plain.tobytes(), target),
            "componentType": component,
            "count": len(plain),
            "type": _KINDS[width],
        }
        if bounds:
            rows = plain.reshape(len(plain), -1)
            accessor |= {"min": rows.min(0).tolist(), "max": rows.max(0).tolist()}
        self.accessors.append(accessor)
        return len(self.accessors) - 1

    def _view(self, data: bytes, target: int | None = None) -> int:
        self.binary += b"\0" * (-len(self.binary) % 4)
        view = {"buffer": 0, "byteOffset": len(self.binary), "byteLength": len(data)}
        self.views.append({**view, "target": target} if target else view)
        self.binary += data
        return len(self.views) - 1


def _vertices(mesh: Mesh) -> tuple[NDArray[np.integer], Float32 | None, NDArray[np.integer]]:
    """The point of each vertex, its texture coordinate, and the triangles: one vertex for each pair of both."""
    if mesh.st is None or mesh.st_indices is None:
        return np.arange(len(mesh.points)), None, mesh.triangles()
    pairs = np.stack([mesh.face_indices, mesh.st_indices], 1)
    used, vertex = np.unique(pairs, axis=0, return_inverse=True)
    return used[:, 0], mesh.st[used[:, 1]], fan(mesh.face_counts, vertex.reshape(-1).astype(np.int32))


def _quaternions(rotations: NDArray[np.float64]) -> Float32:
    """Rotations [t, 3, 3] as x, y, z, w, each on the same side as the one before (Shepperd 1978)."""
    result = np.empty((len(rotations), 4))
    for place, m in enumerate(rotations):
        squares = np.array([m[0, 0], m[1, 1], m[2, 2], np.trace(m)])
        i = int(squares.argmax())
        if i == 3:
            q = np.array([m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1], 1 + squares[3]])
        else:
            j, k = (i + 1) % 3, (i + 2) % 3
            q = np.empty(4)
            q[[i, j, k]] = 1 - squares[3] + 2 * m[i, i], m[j, i] + m[i, j], m[k, i] + m[i, k]
            q[3] = m[k, j] - m[j, k]
        q /= np.linalg.norm(q)
        result[place] = q if place == 0 or q @ result[place - 1] >= 0 else -q
    return result.astype(np.float32)


def _unit(normals: Float32) -> Float32:
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    unit: Float32 = np.where(lengths > 0, normals / np.where(lengths > 0, lengths, 1), [0, 1, 0]).astype(np.float32)
    return unit
