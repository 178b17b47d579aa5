"""All frames of an asset's meshes as two arrays on the disk, to be gone through more than once in flat memory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pxr import Sdf, Usd, UsdGeom

from lim_protocol.types import Float32, Mesh
from lim_usd.arrays import view
from lim_usd.mesh import point_normals
from lim_usd.source import BadSource

_BATCH_BYTES = 128 << 20


@dataclass(frozen=True, eq=False)
class Motion:
    """Meshes that keep their faces, over their frames, in the space of the asset's root.

    times    of the frames
    meshes   path of each mesh, and which of the points are its
    points   float32 [frames, points, 3], and `normals`: mapped files
    """

    times: tuple[float, ...]
    meshes: dict[Sdf.Path, slice]
    points: Float32
    normals: Float32


def read_motion(path: Path, scratch: Path) -> Motion:
    """Every frame of the asset at `path`, in files in `scratch`.

    Raises BadSource for a stage without meshes, without motion, or with meshes whose points change in number.
    """
    stage = Usd.Stage.Open(str(path))
    prims = [UsdGeom.Mesh(prim) for prim in stage.Traverse() if UsdGeom.Mesh(prim)]
    if not prims:
        raise BadSource(f"{path}: holds no mesh. Bake an asset that was tracked.")
    times = tuple(sorted({time for prim in prims for time in prim.GetPointsAttr().GetTimeSamples()}))
    if len(times) < 2:
        raise BadSource(f"{path}: its points do not move over time, so there is nothing to bake.")
    counts = [len(prim.GetPointsAttr().Get(times[0]) or []) for prim in prims]
    ends = np.cumsum(counts)
    meshes = {prim.GetPath(): slice(int(end - count), int(end)) for prim, end, count in zip(prims, ends, counts)}
    del stage, prims
    shape = (len(times), int(ends[-1]), 3)
    points, normals = (np.memmap(scratch / name, np.float32, "w+", shape=shape) for name in ("points", "normals"))
    step = max(1, _BATCH_BYTES // (24 * shape[1]))
    for first in range(0, len(times), step):
        stage = Usd.Stage.Open(str(path))
        for frame in range(first, min(first + step, len(times))):
            for mesh, run in meshes.items():
                _read(stage, mesh, times[frame], points[frame, run], normals[frame, run])
    return Motion(times, meshes, points, normals)


def _read(stage: Usd.Stage, path: Sdf.Path, time: float, points: Float32, normals: Float32) -> None:
    mesh = UsdGeom.Mesh.Get(stage, path)
    values = mesh.GetPointsAttr().Get(time)
    if values is None or len(values) != len(points):
        found = "no" if values is None else str(len(values))
        raise BadSource(
            f"{path}: has {found} points at frame {time:g} and {len(points)} before. `lim verify` tells more."
        )
    matrix = UsdGeom.XformCache(time).ComputeRelativeTransform(mesh.GetPrim(), stage.GetDefaultPrim())[0]
    rows = np.array(matrix)
    points[:] = view(values, np.float32) @ rows[:3, :3] + rows[3, :3]
    authored = mesh.GetNormalsAttr().Get(time)
    if authored is not None and len(authored) == len(points) and np.allclose(rows[:3, :3], np.eye(3)):
        normals[:] = view(authored, np.float32)
        return
    counts = view(mesh.GetFaceVertexCountsAttr().Get(time), np.int32)
    normals[:] = point_normals(Mesh(points, counts, view(mesh.GetFaceVertexIndicesAttr().Get(time), np.int32)))
