"""Small assets for the tests."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from lim_protocol.types import Frame, Mesh, Quality
from lim_usd.asset import AssetWriter
from lim_usd.clips import ClipAsset
from lim_usd.source import Part, Source, Texture

SIDE = 7


def png(seed: int = 0, size: int = 16) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (size, size, 3), np.uint8)
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "PNG")
    return data.getvalue()


def jpeg() -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (8, 8), (200, 30, 60)).save(data, "JPEG")
    return data.getvalue()


def sheet(side: int = SIDE, texture: bytes | None = None, **changes: object) -> Source:
    """A bent sheet of quads and a few triangles, with a UV seam, colours and two parts."""
    across, along = np.meshgrid(np.linspace(-1, 1, side), np.linspace(0, 2, side), indexing="ij")
    points = np.stack([across, across**2, along], -1).reshape(-1, 3).astype(np.float32)
    corner = (np.arange(side - 1)[:, None] * side + np.arange(side - 1)).ravel()
    quads = np.stack([corner, corner + 1, corner + side + 1, corner + side], 1).astype(np.int32)
    faces = [*quads[:-1].tolist(), quads[-1, :3].tolist(), quads[-1, [0, 2, 3]].tolist()]
    counts = np.array([len(face) for face in faces], np.int32)
    indices = np.array([point for face in faces for point in face], np.int32)
    st = np.stack([across, along], -1).reshape(-1, 2) / 2
    # The second half of the faces lies elsewhere in the image, so points on the border have two coordinates.
    st = np.concatenate([st * 0.5, st * 0.5 + 0.5]).astype(np.float32)
    second = np.repeat(np.arange(len(counts)) >= len(counts) // 2, counts)
    colors = np.random.default_rng(1).integers(0, 256, (len(points), 3), np.uint8)
    mesh = Mesh(points, counts, indices, st, (indices + second * len(points)).astype(np.int32), colors)
    parts = (Part("left wing", len(counts) // 2), Part("right wing", len(counts) - len(counts) // 2))
    image = Texture("skin.png", texture) if texture else None
    return replace(Source(mesh, parts, image, "Y", 0.01), **changes)  # type: ignore[arg-type]


def plain(source: Source) -> Source:
    """The source with nothing but points and faces."""
    return replace(source, mesh=replace(source.mesh, st=None, st_indices=None, colors=None), texture=None, parts=())


def frames(source: Source, times: Iterable[float], velocities: bool = False) -> Iterator[Frame]:
    """The mesh as it waves; a quality at whole multiples of four."""
    rest = source.mesh.points
    for time in times:
        points = rest + np.float32(0.1) * np.sin(rest[:, [2, 0, 1]] * 3 + np.float32(time))
        normals = np.cross(points, rest[::-1]) + np.array([0, 1, 0])
        normals = (normals / np.linalg.norm(normals, axis=1, keepdims=True)).astype(np.float32)
        moving = (points * np.float32(2), points * np.float32(3)) if velocities else (None, None)
        quality = Quality(0.1, 0.2, 0.3 + time, 0.4, 0.5) if time % 4 == 0 else None
        yield Frame(float(time), points, normals, *moving, quality=quality)


def write(
    path: Path, source: Source, times: Iterable[float] = range(1, 6), fps: float = 24, velocities: bool = False, **how
) -> AssetWriter:
    times = [float(time) for time in times]
    with AssetWriter(path, source, fps=fps, start=times[0], end=times[-1], velocities=velocities, **how) as writer:
        for frame in frames(source, times, velocities):
            writer.write(frame)
    return writer


def write_clips(
    path: Path, source: Source, times: Iterable[float], chunk: int, fps: float = 24, velocities: bool = False, **how
) -> ClipAsset:
    asset = ClipAsset(path, source, times=list(times), chunk=chunk, fps=fps, velocities=velocities, **how)
    asset.begin()
    for each in asset.chunks:
        with asset.writer(each) as writer:
            for frame in frames(source, each.times, velocities):
                writer.write(frame)
    return asset


def left_overs(folder: Path) -> list[str]:
    """Whatever a writer should have taken with it."""
    return sorted(path.name for path in folder.iterdir() if path.name.startswith("."))
