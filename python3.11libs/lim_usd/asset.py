"""One tracked mesh as one USD file with its texture beside it: written frame by frame, whole or not there at all."""

from __future__ import annotations

import contextlib
from pathlib import Path
from types import TracebackType

import numpy as np
from pxr import Sdf, Usd, UsdGeom

from lim_protocol.types import Frame, Quality
from lim_usd.arrays import vectors
from lim_usd.atomic import DiskError, OutputError, Scratch, disk_errors, publish
from lim_usd.check import check_frame
from lim_usd.component import define_component, mesh_prims, root_path
from lim_usd.maps import image_in_place, map_path
from lim_usd.mesh import Samples
from lim_usd.provenance import sign, write_quality
from lim_usd.source import Source

EXTENSIONS = (".usd", ".usdc")

# Each save rewrites the tables of all samples, so one per frame is quadratic in time, and one at the end holds
# every frame in memory: batches of bytes do neither, whatever the size of a frame.
BATCH_BYTES = 16 << 20


def check_output(path: str | Path) -> None:
    """Raise OutputError for a name or place that no asset can be written to, before any work is put into it.

    Tries the place by making and removing a folder there, and sweeps it of what writers that died have left.
    """
    Scratch(_asset_path(path)).close()


def _asset_path(path: str | Path) -> Path:
    if Path(path).suffix not in EXTENSIONS:
        raise OutputError(f"{path}: an asset is one binary file. End its name in {' or '.join(EXTENSIONS)}.")
    return Path(path)


class AssetWriter:
    """Writes frames of a tracked mesh to one crate file, and its texture to `maps/` beside it.

        with AssetWriter("creature.usd", source, fps=24, start=1001, end=1024) as writer:
            for frame in frames:
                writer.write(frame)

    source       the mesh whose faces, texture coordinates and colours the asset keeps, its parts and texture;
                 up axis and unit must be said (see `source.converted`)
    fps          frames, and time codes, per second
    start, end   first and last frame of the shot: the frames written must begin and end there
    velocities   also write velocities and accelerations; then every frame must have them
    split_parts  a mesh prim for each part in place of one mesh with its parts as subsets

    The file takes its name when the block ends well, after it was read back; otherwise nothing of it stays, and
    what had that name before is as it was. After the block `files` tells what is there: the asset, then its texture
    if it has one. Memory holds one batch of some 16 MB, however many frames there are.

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
        split_parts: bool = False,
    ) -> None:
        self.path = _asset_path(path)
        if source.up_axis is None or source.metres_per_unit is None:
            raise ValueError("the source's up axis and unit are not said: converted(source, 'Y', 0.01) says them")
        if source.texture is not None and source.mesh.st is None:
            raise ValueError("a texture needs texture coordinates, and the source's mesh has none")
        self._source = source
        self._up_axis, self._unit = source.up_axis, source.metres_per_unit
        self._fps, self._start, self._end = fps, start, end
        self._meshes = mesh_prims(root_path(self.path), source, velocities, split_parts)
        self._map = map_path(self.path, source.texture) if source.texture else None
        self._times: list[float] = []
        self._qualities: dict[float, Quality] = {}
        self._unsaved = 0
        self._held: list[Samples] = []
        self.files: list[Path] = []

    def __enter__(self) -> AssetWriter:
        self._scratch = Scratch(self.path)
        try:
            with disk_errors(self.path):
                self._layer = self._begin()
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
            del self._layer  # a file that is still mapped can be neither removed nor moved on Windows
            if kind is None:
                self._commit()
        finally:
            self._scratch.close()

    def write(self, frame: Frame) -> None:
        """Add one frame; its time must come after the last one's."""
        self._check(frame)
        with disk_errors(self.path):
            self._frame_bytes = sum(mesh.write(self._layer, frame) for mesh in self._meshes)
            self._unsaved += self._frame_bytes
            self._write_extents_hint(frame.time)
            self._times.append(frame.time)
            if frame.quality is not None:
                self._qualities[frame.time] = frame.quality
            if self._unsaved >= BATCH_BYTES:
                self._save()

    def _begin(self) -> Sdf.Layer:
        layer = Sdf.Layer.CreateNew(str(self._scratch.path / "asset.usdc"))
        stage = Usd.Stage.Open(layer)
        UsdGeom.SetStageUpAxis(stage, self._up_axis)
        UsdGeom.SetStageMetersPerUnit(stage, self._unit)
        stage.SetTimeCodesPerSecond(self._fps)
        stage.SetFramesPerSecond(self._fps)
        stage.SetStartTimeCode(self._start)
        stage.SetEndTimeCode(self._end)
        sign(layer)
        define_component(stage, self.path, self._source, self._meshes, f"./{self._map}" if self._map else None)
        return layer

    def _save(self) -> None:
        # While the first batch's last arrays are held, the heap has no free end, and the allocator does not give
        # each batch's memory back to the system only to fault it in again: a quarter of all the time.
        self._held = self._held or [mesh.last for mesh in self._meshes]
        self._layer.Save()
        self._unsaved = 0

    def _check(self, frame: Frame) -> None:
        if self._times and frame.time <= self._times[-1]:
            raise ValueError(f"frame {frame.time:g} comes after frame {self._times[-1]:g}: write frames in order")
        if not self._times and frame.time != self._start:
            raise ValueError(f"frame {frame.time:g} is the first, frame {self._start:g} should be")
        check_frame(frame, len(self._source.mesh.points), self._meshes[0].vectors)

    def _complete(self) -> None:
        if not self._times or self._times[-1] != self._end:
            last = f"ends at {self._times[-1]:g}" if self._times else "has no frame"
            raise ValueError(f"{self.path}: {last}, but the shot ends at frame {self._end:g}")
        with disk_errors(self.path):
            for mesh in self._meshes:
                write_quality(self._layer, mesh.path, self._qualities)
            self._save()

    def _commit(self) -> None:
        ready = self._scratch.path / "asset.usdc"
        with disk_errors(self.path):
            self._read_back(ready)
        with contextlib.ExitStack() as stack:
            files = [self.path]
            if self._source.texture and self._map:
                files.append(self.path.parent / self._map)
                stack.enter_context(image_in_place(self._source.texture.data, files[1], self._scratch.path))
            publish(ready, self.path)
        self.files = files

    def _write_extents_hint(self, time: float) -> None:
        extents = np.stack([mesh.extents[-1] for mesh in self._meshes])
        hint = vectors(np.stack([extents[:, 0].min(0), extents[:, 1].max(0)]))
        path = root_path(self.path).AppendProperty("extentsHint")
        if not self._times:
            self._layer.GetAttributeAtPath(path).default = hint
        self._layer.SetTimeSample(path, time, hint)

    def _read_back(self, ready: Path) -> None:
        # What is read of a mapped file counts as resident until its layer goes: a layer for each batch of frames.
        # They are anonymous, so that it is the file that is read and not the layer that wrote it.
        step = max(1, BATCH_BYTES // self._frame_bytes)
        for first in range(0, len(self._times), step):
            layer = Sdf.Layer.OpenAsAnonymous(str(ready))
            for mesh in self._meshes:
                if lost := mesh.missing(layer, self._times, range(first, min(first + step, len(self._times)))):
                    raise DiskError(f"{self.path}: does not read back as it was written: {lost}")
