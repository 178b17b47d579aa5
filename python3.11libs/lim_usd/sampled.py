"""A crate file that takes frames one by one in flat memory, and is read back before anyone else sees it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pxr import Sdf, Usd, UsdGeom

from lim_protocol.types import Float32, Frame, Quality
from lim_usd.arrays import vectors
from lim_usd.atomic import DiskError, disk_errors
from lim_usd.check import check_frame
from lim_usd.mesh import MeshPrim, Samples
from lim_usd.provenance import apply_schema, write_frame_quality

# Each save rewrites the tables of all samples, so one per frame is quadratic in time, and one at the end holds
# every frame in memory: batches of bytes do neither, whatever the size of a frame.
BATCH_BYTES = 16 << 20


@dataclass(frozen=True)
class Shot:
    """What every layer of an asset says of itself: up axis, metres per unit, frames per second, first and last."""

    up_axis: str
    unit: float
    fps: float
    start: float
    end: float

    def set_on(self, stage: Usd.Stage) -> None:
        """Say it. Also where it is the fallback: hosts differ in what they take silence for."""
        UsdGeom.SetStageUpAxis(stage, self.up_axis)
        UsdGeom.SetStageMetersPerUnit(stage, self.unit)
        stage.SetTimeCodesPerSecond(self.fps)
        stage.SetFramesPerSecond(self.fps)
        stage.SetStartTimeCode(self.start)
        stage.SetEndTimeCode(self.end)


class SampledLayer:
    """The layer of a shot's frames, in a file at `ready` that is to become `target`.

    layer      open until `close`; what is static in it is the business of whoever made the object
    times      of the frames written
    hints      box around all meshes at each of them, float32 [frames, 2, 3]
    qualities  of those frames that were measured, by time

    Layers that are written one after the other may share `held`, which is kept for memory's sake alone.
    """

    def __init__(
        self,
        ready: Path,
        target: Path,
        shot: Shot,
        meshes: Sequence[MeshPrim],
        points: int,
        held: list[Samples] | None = None,
    ) -> None:
        self.ready, self.target, self.meshes = ready, target, meshes
        self.times: list[float] = []
        self.hints: list[Float32] = []
        self.qualities: dict[float, Quality] = {}
        self._shot, self._points, self._frame_bytes, self._unsaved = shot, points, 0, 0
        self._held = [] if held is None else held
        with disk_errors(target):
            self.layer = Sdf.Layer.CreateNew(str(ready))

    def write(self, frame: Frame) -> None:
        """Add one frame; its time must come after the last one's. Raises ValueError, DiskError."""
        self._check(frame)
        with disk_errors(self.target):
            self._frame_bytes = sum(mesh.write(self.layer, frame) for mesh in self.meshes)
            self._unsaved += self._frame_bytes
            self.times.append(frame.time)
            self._hint()
            if frame.quality is not None:
                self._measured(frame.time, frame.quality)
            if self._unsaved >= BATCH_BYTES:
                self._save()

    def finish(self) -> None:
        """Save the last batch. Raises ValueError where the shot is not whole, DiskError."""
        if not self.times or self.times[-1] != self._shot.end:
            last = f"ends at {self.times[-1]:g}" if self.times else "has no frame"
            raise ValueError(f"{self.target}: {last}, but the shot ends at frame {self._shot.end:g}")
        with disk_errors(self.target):
            self._save()

    def close(self) -> None:
        """Let go of the file: one that is still mapped can be neither removed nor moved on Windows."""
        del self.layer

    def read_back(self) -> None:
        """Compare what is on the disk with what was written. Raises DiskError."""
        # What is read of a mapped file counts as resident until its layer goes: a layer for each batch of frames.
        # They are anonymous, so that it is the file that is read and not the layer that wrote it.
        step = max(1, BATCH_BYTES // self._frame_bytes)
        for first in range(0, len(self.times), step):
            with disk_errors(self.target):
                layer = Sdf.Layer.OpenAsAnonymous(str(self.ready))
            for mesh in self.meshes:
                if lost := mesh.missing(layer, self.times, range(first, min(first + step, len(self.times)))):
                    raise DiskError(f"{self.target}: does not read back as it was written: {lost}")

    def _save(self) -> None:
        # While the first batch's last arrays are held, the heap has no free end, and the allocator does not give
        # each batch's memory back to the system only to fault it in again: a quarter of all the time.
        if not self._held:
            self._held.extend(mesh.last for mesh in self.meshes)
        self.layer.Save()
        self._unsaved = 0

    def _check(self, frame: Frame) -> None:
        if self.times and frame.time <= self.times[-1]:
            raise ValueError(f"frame {frame.time:g} comes after frame {self.times[-1]:g}: write frames in order")
        if not self.times and frame.time != self._shot.start:
            raise ValueError(f"frame {frame.time:g} is the first, frame {self._shot.start:g} should be")
        check_frame(frame, self._points, self.meshes[0].arrays)

    def _hint(self) -> None:
        extents = np.stack([mesh.extents[-1] for mesh in self.meshes])
        self.hints.append(np.stack([extents[:, 0].min(0), extents[:, 1].max(0)]))

    def _measured(self, time: float, quality: Quality) -> None:
        self.qualities[time] = quality
        for mesh in self.meshes:
            write_frame_quality(self.layer, mesh.path, time, quality)


def write_hints(layer: Sdf.Layer, root: Sdf.Path, times: Sequence[float], hints: Sequence[Float32]) -> None:
    """Sample the root's extentsHint: the box that a viewer draws where it loads nothing else."""
    prim, path = layer.GetPrimAtPath(root), root.AppendProperty("extentsHint")
    apply_schema(prim, "GeomModelAPI")
    spec = prim.attributes.get("extentsHint") or Sdf.AttributeSpec(prim, "extentsHint", Sdf.ValueTypeNames.Float3Array)
    spec.default = vectors(hints[0])
    for time, hint in zip(times, hints):
        layer.SetTimeSample(path, time, vectors(hint))
