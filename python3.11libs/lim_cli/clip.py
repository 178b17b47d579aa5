"""A clip: one motion of an asset as triangles that keep their points, with colours, at evenly spaced times."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lim_cli.errors import BadInput
from lim_cli.readers.contents import Material
from lim_cli.readers.moving import Moving, Piece, Take, sampled_times
from lim_cli.textures import decoded, sampled
from lim_protocol.types import Float32, Int32, UInt8, fan
from lim_usd.color import linear, srgb

GREY = 128  # sRGB of what has no colour at all
STILL = 1e-4  # of the diagonal: what moves less does not move


@dataclass(frozen=True, eq=False)
class Clip:
    """What a pack holds of one motion.

    faces    int32   [faces, 3]          counter-clockwise from outside
    colours  uint8   [faces, 3, 3]       sRGB albedo of each corner of each face
    frames   float32 [times, points, 3]  world space, metres, Y up
    fps      of the frames
    """

    faces: Int32
    colours: UInt8
    frames: Float32
    fps: float

    def digest(self) -> bytes:
        """Equal for motions that are equal to the bit: exporters like to list one under several names."""
        return hashlib.sha256(self.frames.tobytes()).digest()


@dataclass(frozen=True, eq=False)
class Surface:
    """Triangles of all pieces of an asset, int32 [faces, 3], and the colours of their corners, uint8 [faces, 3, 3]."""

    faces: Int32
    colours: UInt8


def surface_of(moving: Moving) -> Surface:
    """All pieces as one. Raises BadInput naming the image for a texture that cannot be read."""
    faces, colours, points = [], [], 0
    images = {i: decoded(m.texture) for i, m in enumerate(moving.materials) if m.texture is not None}
    for piece in moving.pieces:
        corners = fan(piece.mesh.face_counts, np.arange(len(piece.mesh.face_indices), dtype=np.int32))
        faces.append(piece.mesh.face_indices[corners] + points)
        colours.append(_corner_colours(piece, moving.materials, images, moving.tinted)[corners])
        points += len(piece.mesh.points)
    return Surface(np.concatenate(faces).astype(np.int32), np.concatenate(colours))


def clip_of(take: Take, surface: Surface, fps: float, most: int) -> Clip | None:
    """A take sampled at `fps`, at `most` times; None where nothing moves.

    Points that are at one place at every time are one point, so that seams of texture coordinates, normals and
    materials do not cut the surface; faces that this leaves without area are dropped, and points without a face.
    Raises BadInput for points that are not finite.
    """
    times = sampled_times(take, fps, most)
    frames = np.stack([take.pose(float(time)) for time in times])
    used, corners = np.unique(surface.faces, return_inverse=True)
    frames = frames[:, used]
    if not np.isfinite(frames).all():
        bad = int(np.argmin(np.isfinite(frames).all(axis=(1, 2))))
        raise BadInput(f"{take.name}: points that are not finite at {times[bad]:.3f} s. Export it again.")
    frames, faces = _welded(frames, corners.reshape(-1, 3))
    solid = (faces != np.roll(faces, 1, axis=1)).all(axis=1)
    if not solid.any() or not _moves(frames):
        return None
    used, corners = np.unique(faces[solid], return_inverse=True)
    rate = (len(times) - 1) / (take.end - take.start)
    return Clip(corners.reshape(-1, 3).astype(np.int32), surface.colours[solid], frames[:, used], float(rate))


def _welded(frames: Float32, faces: NDArray[np.integer]) -> tuple[Float32, NDArray[np.integer]]:
    # What stood at one place in the file, with the same weights, was posed by the same arithmetic: equal to the bit.
    tracks = np.ascontiguousarray((frames + np.float32(0)).transpose(1, 0, 2)).reshape(frames.shape[1], -1)
    whole = tracks.view(np.dtype((np.void, tracks.dtype.itemsize * tracks.shape[1])))[:, 0]
    _, first, index = np.unique(whole, return_index=True, return_inverse=True)
    return frames[:, first], index.reshape(-1)[faces]


def _moves(frames: Float32) -> bool:
    diagonal = np.linalg.norm(np.ptp(frames[0], axis=0))
    return bool(np.linalg.norm(frames - frames[0], axis=2).max() > STILL * diagonal)


def _corner_colours(piece: Piece, materials: tuple[Material, ...], images: dict[int, UInt8], tinted: bool) -> UInt8:
    """sRGB of every corner, uint8 [corners, 3]: vertex colour times base colour times texture, in linear light."""
    mesh = piece.mesh
    material_of_corner = np.repeat(piece.face_materials, mesh.face_counts)
    bare = material_of_corner < 0
    light = np.ones((len(mesh.face_indices), 3), np.float32)
    if mesh.colors is not None:
        shown = np.full(len(bare), True) if tinted else bare
        light[shown] = linear(mesh.colors[mesh.face_indices[shown]])
    else:
        light[bare] = linear(np.full(3, GREY, np.uint8))
    for i in np.unique(material_of_corner[~bare]).tolist():
        here = material_of_corner == i
        if (color := materials[i].color) is not None:
            light[here] *= linear(np.array(color, np.uint8))
        if i in images and mesh.st is not None and mesh.st_indices is not None:
            light[here] *= linear(np.round(sampled(images[i], mesh.st[mesh.st_indices[here]])).astype(np.uint8))
    return srgb(light)
