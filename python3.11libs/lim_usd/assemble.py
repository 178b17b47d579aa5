"""The chunks of an asset brought together: what is missing is said; when nothing is, the root learns what they know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pxr import Sdf, Usd

from lim_protocol.types import Float32, Quality
from lim_usd.atomic import Scratch, disk_errors, publish
from lim_usd.clips import Chunk, clip_layout, lacks, opened
from lim_usd.layout import Layout
from lim_usd.provenance import (
    FIGURES,
    FRAME,
    kept_provenance,
    request_of,
    usd_name,
    write_frame_quality,
    write_provenance,
    write_track,
)
from lim_usd.sampled import write_hints
from lim_usd.source import BadSource


@dataclass(frozen=True)
class Assembly:
    """How far an asset's chunks have come. `wrong` says of each that is not as it should be what it is."""

    chunks: tuple[Chunk, ...]
    wrong: dict[int, str]

    @property
    def complete(self) -> bool:
        """Every chunk is there, whole and of the root's request."""
        return not self.wrong


def assemble(path: str | Path) -> Assembly:
    """Look at every chunk of the asset at `path`; when all are there, write what they know into root and payload.

    The root gains the extentsHint of the whole range, the meshes the record of how well each key was met. Chunks are
    left as they are. Doing it again changes nothing.

    Raises BadSource where there is no asset with chunks, DiskError where the root cannot be written.
    """
    layout = clip_layout(path)
    root, manifest = opened(layout.root), opened(layout.manifest)
    if root is None:
        raise BadSource(f"{path}: cannot be read as USD. Give the root of an asset that was written with --chunk.")
    said = manifest.customLayerData.get("lim", {}) if manifest else {}
    if manifest is None or "times" not in said or "chunks" not in said:
        raise BadSource(f"{path}: has no chunks ({layout.manifest} does not list any). Write it with --chunk first.")
    chunks = _listed(layout, list(said["times"]), list(said["chunks"]))
    paths = _sampled(manifest)
    layers = {chunk.number: opened(chunk.path) for chunk in chunks}
    states = {chunk.number: _state(chunk, layers[chunk.number], root, paths) for chunk in chunks}
    assembly = Assembly(tuple(chunks), {number: words for number, words in states.items() if words})
    if assembly.complete:
        _join(layout, [layer for layer in layers.values() if layer], paths)
    return assembly


def _listed(layout: Layout, times: list[float], counts: list[int]) -> list[Chunk]:
    ends = np.cumsum(counts)
    return [
        Chunk(1 + n, tuple(times[end - count : end]), layout.clip(1 + n))
        for n, (end, count) in enumerate(zip(ends, counts))
    ]


def _sampled(manifest: Sdf.Layer) -> list[Sdf.Path]:
    found: list[Sdf.Path] = []

    def visit(path: Sdf.Path) -> None:
        if path.IsPropertyPath():
            found.append(path)

    manifest.Traverse("/", visit)  # type: ignore[arg-type]  # the stubs take Sdf.Path for pathlib's
    return found


def _state(chunk: Chunk, layer: Sdf.Layer | None, root: Sdf.Layer, paths: Sequence[Sdf.Path]) -> str:
    if layer is None:
        return "cannot be read" if chunk.path.exists() else "is missing"
    if request_of(layer) != request_of(root):
        return "belongs to another request than the root"
    return lacks(layer, chunk, paths)


def _join(layout: Layout, clips: Sequence[Sdf.Layer], paths: Sequence[Sdf.Path]) -> None:
    scratch = Scratch(layout.root)
    try:
        root, payload = _copied(layout.root, scratch.path), _copied(layout.payload, scratch.path)
        with disk_errors(layout.root):
            _add_to_root(root, layout, clips, paths)
            _add_to_payload(payload, clips, paths)
            root.Save()
            payload.Save()
        files = [(scratch.path / path.name, path) for path in (layout.payload, layout.root)]
        del root, payload
        publish(files, scratch.path)
    finally:
        scratch.close()


def _copied(path: Path, folder: Path) -> Sdf.Layer:
    copy = folder / path.name
    with disk_errors(path):
        copy.write_bytes(path.read_bytes())
        return Sdf.Layer.FindOrOpen(str(copy))


def _add_to_root(root: Sdf.Layer, layout: Layout, clips: Sequence[Sdf.Layer], paths: Sequence[Sdf.Path]) -> None:
    boxes = [
        np.asarray(clip.QueryTimeSample(path, time), np.float32)
        for path in paths
        if path.name == "extent"
        for clip in clips
        for time in clip.ListTimeSamplesForPath(path)
    ]
    hint: Float32 = np.stack([np.min([box[0] for box in boxes], 0), np.max([box[1] for box in boxes], 0)])
    write_hints(root, layout.prim, (), [hint])
    stage = Usd.Stage.Open(root, Usd.Stage.LoadNone)
    write_provenance(stage.GetDefaultPrim(), kept_provenance(clips[-1]))


def _add_to_payload(payload: Sdf.Layer, clips: Sequence[Sdf.Layer], paths: Sequence[Sdf.Path]) -> None:
    provenance = kept_provenance(clips[-1])
    for mesh in dict.fromkeys(path.GetPrimPath() for path in paths):
        Sdf.CreatePrimInLayer(payload, mesh)
        qualities = {time: quality for clip in clips for time, quality in _qualities(clip, mesh).items()}
        write_track(payload, mesh, provenance, None, qualities)
        for time, quality in qualities.items():
            write_frame_quality(payload, mesh, time, quality)


def _qualities(clip: Sdf.Layer, mesh: Sdf.Path) -> dict[float, Quality]:
    names = [mesh.AppendProperty(FRAME + usd_name(figure)) for figure in FIGURES]
    return {
        float(time): Quality(*(float(clip.QueryTimeSample(name, time)) for name in names))
        for time in clip.ListTimeSamplesForPath(names[0])
    }
