"""glTF and GLB scenes as they show before anything plays: nodes, skins and morph weights as they stand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from lim_cli.errors import BadInput
from lim_cli.readers.contents import Contents, plural
from lim_cli.readers.gltf_file import GltfFile
from lim_cli.readers.gltf_materials import read_materials, texture_coordinates, vertex_colors
from lim_cli.readers.gltf_pose import posed, world_matrices
from lim_protocol.types import Int32, Mesh
from lim_usd.merge import merged
from lim_usd.source import Part

MOST_POINTS = 50_000_000  # a small mesh under a million nodes would fill any memory
_TRIANGLES, _STRIP, _FAN = 4, 5, 6


def read(path: Path, time: float, prim: str | None) -> Contents:  # noqa: ARG001 - the same for every format
    """Meshes in the order of the scene's nodes, points and triangles in the order of the file. Points that a
    seam splits stay split. Texture coordinates get the origin of USD, at the lower left. Y up, metres.
    """
    file = GltfFile(path)
    scene = Scene(file)
    face_materials = np.concatenate([np.zeros(0, np.int32), *scene.face_materials])
    return Contents(
        mesh=merged(scene.meshes) if scene.meshes else _EMPTY,
        parts=tuple(scene.parts),
        materials=read_materials(file, set(face_materials.tolist())),
        face_materials=face_materials,
        up_axis="Y",
        metres_per_unit=1.0,
        notes=tuple(scene.notes()),
    )


_EMPTY = Mesh(np.zeros((0, 3), np.float32), np.zeros(0, np.int32), np.zeros(0, np.int32))


def _shown_nodes(tree: dict[str, Any]) -> Iterator[int]:
    """Nodes of the scene, parents before children, in the order of the file."""
    nodes, scenes = tree.get("nodes", []), tree.get("scenes", [])
    children = {child for node in nodes for child in node.get("children", [])}
    roots = [i for i in range(len(nodes)) if i not in children]
    waiting = list(reversed(scenes[tree.get("scene", 0)].get("nodes", []) if scenes else roots))
    while waiting:
        i = waiting.pop()
        yield i
        waiting += reversed(nodes[i].get("children", []))


class Scene:
    """The meshes of a scene in the order of its nodes.

    meshes          one for each group of a node's primitives that stand on the same points
    placed          of each mesh, its node and the first of those primitives: what `posed` needs to put it elsewhere
    face_materials  of each primitive, the material of its faces; -1 without
    """

    def __init__(self, file: GltfFile) -> None:
        self.file = file
        self.worlds = world_matrices(file.tree.get("nodes", []))
        self.meshes: list[Mesh] = []
        self.placed: list[tuple[int, dict[str, Any]]] = []
        self.face_materials: list[Int32] = []
        self.parts: list[Part] = []
        self.points = self.skinned = self.left_out = 0
        for i in _shown_nodes(file.tree):
            if "mesh" in file.tree["nodes"][i]:
                self._add(i)

    def _add(self, i: int) -> None:
        node = self.file.tree["nodes"][i]
        mesh = self.file.tree["meshes"][node["mesh"]]
        solid = [p for p in mesh["primitives"] if p.get("mode", _TRIANGLES) in (_TRIANGLES, _STRIP, _FAN)]
        self.left_out += len(mesh["primitives"]) - len(solid)
        self.skinned += "skin" in node
        groups = [list(alike) for _, alike in groupby(solid, _points_of)]
        pieces = [self._piece(i, alike) for alike in groups]
        self.meshes += pieces
        self.placed += [(i, alike[0]) for alike in groups]
        name = str(node.get("name") or mesh.get("name") or f"mesh {node['mesh']}")
        self.parts.append(Part(name, sum(len(piece.face_counts) for piece in pieces)))

    def _piece(self, i: int, primitives: list[dict[str, Any]]) -> Mesh:
        """Primitives on the same points, as materials split a mesh, are one mesh on those points."""
        node, attributes = self.file.tree["nodes"][i], primitives[0]["attributes"]
        points = self.file.tree["accessors"][attributes["POSITION"]]["count"]
        self.points += points
        if self.points > MOST_POINTS:
            raise BadInput(f"more than {MOST_POINTS:,} points in its scene. Export the deforming mesh alone.")
        posed_points = posed(self.file, node, primitives[0], self.worlds[i], self.worlds)
        colors = vertex_colors(self.file, attributes, points)
        mirrored = "skin" not in node and np.linalg.det(self.worlds[i, :3, :3]) < 0
        pieces = []
        for primitive in primitives:
            triangles = _triangles(self.file, primitive, points)
            # A mirror turns faces inside out (3.7.4).
            corners = np.ascontiguousarray(triangles[:, ::-1] if mirrored else triangles).ravel()
            st = texture_coordinates(self.file, primitive, points)
            counts = np.full(len(triangles), 3, np.int32)
            pieces.append(Mesh(posed_points, counts, corners, st, None if st is None else corners, colors))
            self.face_materials.append(np.full(len(triangles), primitive.get("material", -1), np.int32))
        whole = merged(pieces)
        return replace(whole, points=posed_points, face_indices=whole.face_indices % points, colors=colors)

    def notes(self) -> Iterator[str]:
        """What a person should be told of a scene that stands still."""
        if self.left_out:
            yield f"{plural(self.left_out, 'primitive')} of points or lines left out"
        animations = len(self.file.tree.get("animations", []))
        if animations:
            yield f"{plural(animations, 'animation')} not played: the mesh stands as its nodes do"
        elif self.skinned:
            yield "posed by its skin, as its joints stand"
        bare = sum(len(mesh.face_counts) for mesh in self.meshes if mesh.st is None)
        if bare and any(mesh.st is not None for mesh in self.meshes):
            yield f"{plural(bare, 'face')} without texture coordinates, which are all put at (0, 0)"


def _points_of(primitive: dict[str, Any]) -> list[Any]:
    """What must be equal for two primitives to stand on the same points with the same colours."""
    own = ("TEXCOORD", "NORMAL", "TANGENT")
    attributes = primitive["attributes"].items()
    return [sorted(pair for pair in attributes if not pair[0].startswith(own)), primitive.get("targets")]


def _triangles(file: GltfFile, primitive: dict[str, Any], points: int) -> Int32:
    """Triangles [n, 3] of a primitive, strips and fans unrolled (3.7.2.1)."""
    indices = primitive.get("indices")
    corners = np.arange(points) if indices is None else file.array(indices)[:, 0].astype(np.int64)
    mode, count = primitive.get("mode", _TRIANGLES), len(corners) - 2
    bad = np.flatnonzero((corners < 0) | (corners >= points))
    if len(bad):
        face = bad[0] // 3 if mode == _TRIANGLES else max(bad[0] - 2, 0)
        raise BadInput(
            f"face {face} of a primitive uses point {corners[bad[0]]}, but there are {plural(points, 'point')}, "
            "counted from 0. The file is damaged: export it again."
        )
    if mode == _TRIANGLES and len(corners) % 3:
        raise BadInput(f"{plural(len(corners), 'corner')} do not make whole triangles. Export it again.")
    if mode == _TRIANGLES or count < 1:
        return corners[: len(corners) // 3 * 3].reshape(-1, 3).astype(np.int32)
    i = np.arange(count)
    if mode == _STRIP:
        order = np.stack([i, i + 1 + i % 2, i + 2 - i % 2], axis=1)
    else:
        order = np.stack([i + 1, i + 2, np.zeros_like(i)], axis=1)
    return corners[order].astype(np.int32)
