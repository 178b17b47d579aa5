"""A long range as value clips: a root that is whole at once, and a file per chunk of frames that any machine may write.

asset = ClipAsset("creature.usd", source, times=times, chunk=24, fps=24)
asset.begin()
for chunk in asset.chunks:
    with asset.writer(chunk) as writer:
        for frame in frames_of(chunk.times):
            writer.write(frame)
assemble("creature.usd")
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np
from pxr import Sdf, Tf, Usd, Vt

from lim_protocol.types import Frame
from lim_usd.arrays import doubles, ints
from lim_usd.atomic import OutputError, Scratch, disk_errors, publish
from lim_usd.component import define_geometry, frame_arrays, mesh_prims
from lim_usd.layout import Layout, anchored, layout_of
from lim_usd.mesh import MeshPrim, Samples
from lim_usd.provenance import Provenance, keep_provenance, request_of, write_track
from lim_usd.sampled import SampledLayer, Shot
from lim_usd.source import Source
from lim_usd.structure import Structure, diagonal, shot_of


@dataclass(frozen=True)
class Chunk:
    """A run of frames with a file of its own; `number` counts from 1."""

    number: int
    times: tuple[float, ...]
    path: Path

    def __str__(self) -> str:
        return f"chunk {self.number} (frames {self.times[0]:g} to {self.times[-1]:g}, {self.path})"


class ClipAsset:
    """An asset whose samples lie in clips. Everything in it follows from the arguments, so machines that are given the
    same may each make one, and write different chunks at the same time.

    times  of all frames, sorted; every `chunk` of them share a file
    Other arguments and errors as for AssetWriter. A root that is one file cannot have clips: there is no `flat`.
    """

    def __init__(
        self,
        path: str | Path,
        source: Source,
        *,
        times: Sequence[float],
        chunk: int,
        fps: float,
        velocities: bool = False,
        quality: bool = False,
        split_parts: bool = False,
        provenance: Provenance | None = None,
    ) -> None:
        self.layout = clip_layout(path)
        self.provenance = provenance or Provenance()
        self._source, self._times = source, [float(time) for time in times]
        self._shot = shot_of(source, fps, self._times[0], self._times[-1])
        self._meshes = mesh_prims(self.layout.prim, source, frame_arrays(velocities, quality), split_parts)
        self.chunks = chunks_of(self.layout, self._times, chunk)
        self._held: list[Samples] = []

    def begin(self) -> list[Path]:
        """Write all but the chunks, the root last; returns the files.

        Where the files of the same request stand already they are left alone: another machine was here before.
        """
        scratch = Scratch(self.layout.root)
        try:
            structure = Structure(self.layout, self._source, self._shot, self._meshes, scratch.path)
            files = self._files(structure)
            if not self._is_begun([target for _, target in files]):
                publish(files, scratch.path)
            image = [structure.image] if structure.image else []
            return list(dict.fromkeys([*(target for _, target in reversed(files)), *image]))
        finally:
            scratch.close()

    def is_written(self, chunk: Chunk) -> bool:
        """Whether a chunk of the same request is finished, so that it need not be written again."""
        layer = opened(chunk.path)
        if layer is None or not self.provenance.request_sha256:
            return False
        same = request_of(layer) == self.provenance.request_sha256
        return same and not lacks(layer, chunk, sampled_paths(self._meshes))

    def writer(self, chunk: Chunk) -> ChunkWriter:
        """What takes the frames of one chunk."""
        meshes = [mesh.as_clip() for mesh in self._meshes]
        shot = Shot(self._shot.up_axis, self._shot.unit, self._shot.fps, chunk.times[0], chunk.times[-1])
        points = len(self._source.mesh.points)
        return ChunkWriter(chunk, self.layout, shot, meshes, points, self.provenance, self._held)

    def _files(self, structure: Structure) -> list[tuple[Path, Path]]:
        request = self.provenance.request_sha256
        return [
            *structure.texture(),
            structure.thumbnail(self._source.mesh.points),
            structure.layer(self.layout.geometry, request, self._define, self._rest),
            structure.look(request),
            structure.layer(self.layout.manifest, request, join=self._manifest),
            structure.payload(request, self._clips),
            structure.root(self.provenance),
        ]

    def _is_begun(self, files: Sequence[Path]) -> bool:
        root = opened(self.layout.root)
        request = self.provenance.request_sha256
        there = root is not None and all(file.exists() for file in files)
        return bool(there and request and root is not None and request_of(root) == request)

    def _define(self, stage: Usd.Stage) -> None:
        define_geometry(stage, self.layout.prim, self._source, self._meshes)

    def _rest(self, layer: Sdf.Layer) -> None:
        for mesh in self._meshes:
            mesh.rest(layer)
            write_track(layer, mesh.path, self.provenance, diagonal(self._source), {})

    def _manifest(self, layer: Sdf.Layer) -> None:
        for mesh in self._meshes:
            mesh.declare(layer)
        layer.defaultPrim = self.layout.prim.name
        data = layer.customLayerData
        data["lim"]["times"] = doubles(np.array(self._times))
        data["lim"]["chunks"] = ints(np.array([len(chunk.times) for chunk in self.chunks]))
        layer.customLayerData = data

    def _clips(self, layer: Sdf.Layer) -> None:
        """Name the clips, over the layer that has the default values: one below would shadow them."""
        clips = {
            "assetPaths": Sdf.AssetPathArray([self._anchored(chunk.path) for chunk in self.chunks]),
            "manifestAssetPath": self._anchored(self.layout.manifest),
            "primPath": str(self.layout.prim),
            "active": Vt.Vec2dArray([(chunk.times[0], place) for place, chunk in enumerate(self.chunks)]),
            "times": Vt.Vec2dArray([(time, time) for time in dict.fromkeys((self._times[0], self._times[-1]))]),
        }
        layer.GetPrimAtPath(self.layout.prim).SetInfo("clips", {"default": clips})

    def _anchored(self, file: Path) -> Sdf.AssetPath:
        return Sdf.AssetPath(anchored(file, self.layout.payload))


class ChunkWriter:
    """Writes the frames of one chunk to its clip file, which appears when the block ends well. As AssetWriter."""

    def __init__(
        self,
        chunk: Chunk,
        layout: Layout,
        shot: Shot,
        meshes: list[MeshPrim],
        points: int,
        provenance: Provenance,
        held: list[Samples],
    ) -> None:
        self.provenance = provenance
        self._held = held
        self._chunk, self._layout, self._shot, self._meshes, self._points = chunk, layout, shot, meshes, points

    def __enter__(self) -> ChunkWriter:
        self._scratch = Scratch(self._layout.root)
        try:
            ready = self._scratch.path / self._chunk.path.name
            self._samples = SampledLayer(ready, self._chunk.path, self._shot, self._meshes, self._points, self._held)
            with disk_errors(self._chunk.path):
                self._begin()
        except BaseException:
            self._scratch.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                keep_provenance(self._samples.layer, self.provenance)
                self._samples.finish()
            self._samples.close()
            if kind is None:
                self._samples.read_back()
                publish([(self._samples.ready, self._chunk.path)], self._scratch.path)
        finally:
            self._scratch.close()

    def write(self, frame: Frame) -> None:
        """Add one frame; its time must come after the last one's."""
        self._samples.write(frame)

    def _begin(self) -> None:
        layer = self._samples.layer
        stage = Usd.Stage.Open(layer)
        self._shot.set_on(stage)
        del stage
        for mesh in self._meshes:
            mesh.declare(layer)
        layer.defaultPrim = self._layout.prim.name


def clip_layout(path: str | Path) -> Layout:
    """The layout of an asset with clips. Raises OutputError for a package, which nothing can be added to."""
    layout = layout_of(path)
    if layout.package:
        raise OutputError(f"{path}: a package cannot have its frames in chunks. End its name in .usd or .usdc.")
    return layout


def chunks_of(layout: Layout, times: Sequence[float], size: int) -> list[Chunk]:
    """Every `size` frames, in order; the last chunk may have fewer."""
    firsts = range(0, len(times), size)
    return [Chunk(1 + n, tuple(times[first : first + size]), layout.clip(1 + n)) for n, first in enumerate(firsts)]


def sampled_paths(meshes: Sequence[MeshPrim]) -> list[Sdf.Path]:
    """The attributes that every clip samples."""
    return [path for mesh in meshes for path in mesh.sampled]


def opened(path: Path) -> Sdf.Layer | None:
    """A layer as it is on the disk now, or None where there is none that can be read."""
    try:
        return Sdf.Layer.OpenAsAnonymous(str(path)) if path.is_file() else None
    except Tf.ErrorException:
        return None


def lacks(layer: Sdf.Layer, chunk: Chunk, paths: Sequence[Sdf.Path]) -> str:
    """What a clip has not got of its chunk, in words; empty when it has everything."""
    for path in paths:
        found = layer.ListTimeSamplesForPath(path)
        if list(found) != list(chunk.times):
            return f"{path} has {len(set(found) & set(chunk.times))} of {len(chunk.times)} samples"
    return ""
