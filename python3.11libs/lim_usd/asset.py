"""One tracked mesh as a USD asset: written frame by frame, whole or not there at all."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

import numpy as np
from pxr import Usd

from lim_protocol.types import Float32, Frame
from lim_usd.atomic import Scratch, disk_errors, publish
from lim_usd.component import define_geometry, define_root, frame_arrays, mesh_prims
from lim_usd.layout import anchored, layout_of
from lim_usd.maps import map_path
from lim_usd.package import pack
from lim_usd.provenance import Provenance, sign, write_provenance, write_track
from lim_usd.sampled import SampledLayer, write_hints
from lim_usd.source import Source
from lim_usd.structure import Move, Structure, diagonal, shot_of


def check_output(path: str | Path) -> None:
    """Raise OutputError for a name or place that no asset can be written to, before any work is put into it.

    Tries the place by making and removing a folder there, and sweeps it of what writers that died have left.
    """
    Scratch(layout_of(path).root).close()


class AssetWriter:
    """Writes frames of a tracked mesh to an asset.

        with AssetWriter("creature.usd", source, fps=24, start=1001, end=1024) as writer:
            for frame in frames:
                writer.write(frame)

    path         the root; its layers go to `layers/` beside it, its texture and thumbnail to `maps/`. A name that
                 ends in .usdz gives one package with everything in it
    source       the mesh whose faces, texture coordinates and colours the asset keeps, its parts and texture;
                 up axis and unit must be said (see `source.converted`)
    fps          frames, and time codes, per second
    start, end   first and last frame of the shot: the frames written must begin and end there
    velocities   also write velocities and accelerations; then every frame must have them
    quality      likewise each point's residual and confidence, as lim:track:points of LimTrackAPI
    split_parts  a mesh prim for each part in place of one mesh with its parts as subsets
    flat         one file for all but the texture: no payload, no thumbnail
    provenance   what the asset was made from; may be set anew until the block ends

    The files take their names when the block ends well, the root last, after they were read back; otherwise nothing
    of them stays, and what had those names before is as it was. After the block `files` tells what is there, the
    root first. Memory holds one batch of some 16 MB, however many frames there are.

    Raises OutputError for a name or place that cannot take the file, DiskError when writing fails, ValueError for
    frames that do not belong: times out of order or range, other counts of points, points that are not finite.
    """

    def __init__(
        self,
        path: str | Path,
        source: Source,
        *,
        fps: float,
        start: float,
        end: float,
        velocities: bool = False,
        quality: bool = False,
        split_parts: bool = False,
        flat: bool = False,
        provenance: Provenance | None = None,
    ) -> None:
        self.path = Path(path)
        self.provenance = provenance or Provenance()
        self.files: list[Path] = []
        self._layout = layout_of(path, flat)
        self._source, self._shot = source, shot_of(source, fps, start, end)
        self._meshes = mesh_prims(self._layout.prim, source, frame_arrays(velocities, quality), split_parts)
        if source.texture:
            map_path(self.path, source.texture)  # refuses what is no image
        self._first: Float32 | None = None

    def __enter__(self) -> AssetWriter:
        self._scratch = Scratch(self.path)
        try:
            self._structure = Structure(self._layout, self._source, self._shot, self._meshes, self._scratch.path)
            ready = self._scratch.path / ("geo.usdc" if self._layout.package else "geo.usd")
            points = len(self._source.mesh.points)
            self._samples = SampledLayer(ready, self.path, self._shot, self._meshes, points)
            with disk_errors(self.path):
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
                self._complete()
            self._samples.close()
            if kind is None:
                self._samples.read_back()
                self._commit()
        finally:
            self._scratch.close()

    def write(self, frame: Frame) -> None:
        """Add one frame; its time must come after the last one's."""
        self._samples.write(frame)
        if self._first is None and not self._layout.flat:
            self._first = np.array(frame.points)

    def _begin(self) -> None:
        stage = Usd.Stage.Open(self._samples.layer)
        self._shot.set_on(stage)
        if self._layout.flat:
            define_root(stage, self._layout)
        define_geometry(stage, self._layout.prim, self._source, self._meshes)
        if self._layout.flat:
            self._structure.define_look(stage, self._layout.root)

    def _complete(self) -> None:
        layer, samples = self._samples.layer, self._samples
        with disk_errors(self.path):
            sign(layer, self.provenance.request_sha256)
            size = diagonal(self._source)
            for mesh in self._meshes:
                write_track(layer, mesh.path, self.provenance, size, samples.qualities)
            if self._layout.flat and samples.times:
                write_hints(layer, self._layout.prim, samples.times, samples.hints)
                stage = Usd.Stage.Open(layer)
                write_provenance(stage.GetDefaultPrim(), self.provenance)
        samples.finish()

    def _commit(self) -> None:
        if self._layout.package:
            files = [(self._packed(), self.path)]
        elif self._layout.flat:
            files = [*self._structure.texture(), (self._samples.ready, self.path)]
        else:
            files = [*self._structure.texture(), *self._layers()]
        publish(files, self._scratch.path)
        image = None if self._layout.package else self._structure.image
        targets = [target for _, target in reversed(files)]
        self.files = list(dict.fromkeys([*targets, *([image] if image else [])]))

    def _layers(self) -> list[Move]:
        assert self._first is not None
        structure, samples, request = self._structure, self._samples, self.provenance.request_sha256
        root = structure.root(
            self.provenance, lambda layer: write_hints(layer, self._layout.prim, samples.times, samples.hints)
        )
        return [
            structure.thumbnail(self._first),
            (samples.ready, self._layout.geometry),
            structure.look(request),
            structure.payload(request),
            root,
        ]

    def _packed(self) -> Path:
        texture, image = self._source.texture, self._structure.image
        images = {anchored(image, self.path): texture.data} if texture and image else {}
        with disk_errors(self.path):
            return pack(self._scratch.path, self._samples.ready, f"{self.path.stem}.usdc", images)
