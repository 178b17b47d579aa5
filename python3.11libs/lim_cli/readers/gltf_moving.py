"""Animated glTF and GLB: every animation of a file as a take, skins and morph targets evaluated."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from lim_cli.errors import BadInput
from lim_cli.readers.contents import plural
from lim_cli.readers.gltf import Scene
from lim_cli.readers.gltf_animation import Animation, read_animations
from lim_cli.readers.gltf_file import GltfFile
from lim_cli.readers.gltf_materials import read_materials
from lim_cli.readers.gltf_pose import lost_weights, posed, world_matrices
from lim_cli.readers.moving import Moving, Piece, Take
from lim_protocol.types import Float32


def read(path: Path) -> Moving:
    """The meshes of the file's scene, and its animations. Raises BadInput, without the file's name."""
    file = GltfFile(path)
    scene = Scene(file)
    if not scene.meshes:
        raise BadInput("no polygons in its scene. Export the mesh too.")
    takes = tuple(Take(each.name, *each.span, partial(_points, scene, each)) for each in read_animations(file))
    of_faces = np.concatenate(scene.face_materials)
    ends = np.cumsum([len(mesh.face_counts) for mesh in scene.meshes])[:-1]
    pieces = tuple(Piece(mesh, faces) for mesh, faces in zip(scene.meshes, np.split(of_faces, ends), strict=True))
    materials = read_materials(file, set(of_faces.tolist()))
    return Moving(pieces, materials, takes, tinted=True, notes=tuple(_notes(scene)))


def _notes(scene: Scene) -> Iterator[str]:
    if scene.left_out:
        yield f"{plural(scene.left_out, 'primitive')} of points or lines left out"
    if lost := sum(lost_weights(scene.file, primitive) for _, primitive in scene.placed):
        yield f"{plural(lost, 'point')} with skin weights that are not numbers: moved like the nearest that has some"


def _points(scene: Scene, animation: Animation, seconds: float) -> Float32:
    nodes = animation.posed_nodes(scene.file.tree["nodes"], seconds)
    worlds = world_matrices(nodes)
    return np.concatenate([posed(scene.file, nodes[i], primitive, worlds[i], worlds) for i, primitive in scene.placed])
