"""One colour for every point, which is what the tracker compares between keyframes."""

from __future__ import annotations

import numpy as np

from lim_cli.readers.contents import Contents, some
from lim_cli.textures import decoded, portable, sampled
from lim_protocol.types import UInt8
from lim_usd.source import Texture


def point_colors(contents: Contents) -> UInt8 | None:
    """Colours of the points, uint8 [points, 3], sRGB, from the first of these that says something:

    1. vertex colours that are not all the same,
    2. textures read at the points, and flat colours of materials where there are two or more to tell apart:
       a point takes the mean over the corners that meet in it, and white where no face with a colour does,
    3. vertex colours that are all the same.

    None without any. Raises BadInput naming the image for a texture that cannot be read.
    """
    mesh = contents.mesh
    if mesh.colors is not None and (mesh.colors != mesh.colors[0]).any():
        _check(contents)
        return mesh.colors
    painted = _painted(contents)
    return mesh.colors if painted is None else painted


def main_texture(contents: Contents) -> tuple[Texture | None, list[str]]:
    """The texture on most faces, and what to tell where others are left out."""
    if contents.face_materials is None or not contents.materials:
        return None, []
    faces = np.bincount(contents.face_materials + 1, minlength=len(contents.materials) + 1)[1:]
    on: dict[bytes, int] = {}
    first: dict[bytes, Texture] = {}
    for material, count in zip(contents.materials, faces.tolist(), strict=True):
        if material.texture and count:
            on[material.texture.data] = on.get(material.texture.data, 0) + count
            first.setdefault(material.texture.data, material.texture)
    if not on:
        return None, []
    if contents.mesh.st is None:
        names = some([texture.name for texture in first.values()])
        return None, [f"no texture coordinates, so the texture is left out: {names}"]
    best = first[max(on, key=lambda data: on[data])]
    kept = portable(best)
    notes = [] if kept is best else [f"texture {best.name} is neither PNG nor JPEG, and is written as PNG"]
    if len(on) == 1:
        return kept, notes
    others = some([texture.name for texture in first.values() if texture is not best])
    return kept, [
        *notes,
        f"{len(on)} textures: {best.name} is on most faces and is kept for the whole mesh, and {others} only "
        "lend their colours to the points. Bake them into one, or pick a part with --prim.",
    ]


def _used(contents: Contents) -> list[int]:
    if contents.face_materials is None:
        return []
    return [i for i in np.unique(contents.face_materials).tolist() if 0 <= i < len(contents.materials)]


def _check(contents: Contents) -> None:
    for i in _used(contents):
        texture = contents.materials[i].texture
        if texture is not None:
            decoded(texture)


def _painted(contents: Contents) -> UInt8 | None:
    mesh, used = contents.mesh, _used(contents)
    textured = [i for i in used if contents.materials[i].texture is not None and mesh.st is not None]
    flat = {contents.materials[i].color for i in used} - {None}
    if contents.face_materials is None or (not textured and len(flat) < 2):
        return None
    material_of_corner = np.repeat(contents.face_materials, mesh.face_counts)
    total = np.zeros((3, len(mesh.points)))
    corners = np.zeros(len(mesh.points))
    for i in used:
        here = np.flatnonzero(material_of_corner == i)
        points, material = mesh.face_indices[here], contents.materials[i]
        if i in textured and material.texture and mesh.st is not None and mesh.st_indices is not None:
            colors = sampled(decoded(material.texture), mesh.st[mesh.st_indices[here]])
        else:
            colors = np.broadcast_to(np.array(material.color or (255, 255, 255), np.float32), (len(here), 3))
        corners += np.bincount(points, minlength=len(corners))
        for channel in range(3):
            total[channel] += np.bincount(points, colors[:, channel], minlength=len(corners))
    mean = np.where(corners > 0, total / np.maximum(corners, 1), 255).T
    return np.ascontiguousarray(np.round(mean).astype(np.uint8))
