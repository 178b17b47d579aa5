"""One mesh prim of an asset: faces and texture coordinates once, points, normals and extent at every time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from pxr import Sdf, Usd, UsdGeom, Vt

from lim_protocol.types import Float32, Frame, Mesh
from lim_usd.arrays import floats, ints, pairs, vectors
from lim_usd.color import linear
from lim_usd.indexed import each_once

Pick: TypeAlias = "slice | NDArray[np.integer]"
Samples: TypeAlias = "dict[str, Vt.Vec3fArray | Vt.FloatArray]"

MOTION, RATES, QUALITY = ("points", "normals"), ("velocities", "accelerations"), ("residuals", "confidence")

# What each array of a frame is called in USD, and its type there. Quality is no primvar: where it repeats, and at the
# source's own key it does, validators ask for indices, which would cost more than they save.
ATTRIBUTES = {
    "points": ("points", Sdf.ValueTypeNames.Point3fArray),
    "normals": ("normals", Sdf.ValueTypeNames.Normal3fArray),
    "velocities": ("velocities", Sdf.ValueTypeNames.Vector3fArray),
    "accelerations": ("accelerations", Sdf.ValueTypeNames.Vector3fArray),
    "residuals": ("lim:track:points:residual", Sdf.ValueTypeNames.FloatArray),
    "confidence": ("lim:track:points:confidence", Sdf.ValueTypeNames.FloatArray),
}


class MeshPrim:
    """A mesh prim whose faces never change; `pick` takes its points out of a frame's.

    arrays   the arrays of a frame that it is sampled by
    last     the samples written last, and `extents` those of all times: to compare with what is read back
    """

    def __init__(self, path: Sdf.Path, mesh: Mesh, pick: Pick, arrays: Sequence[str], clip: bool = False) -> None:
        self.path = path
        self.mesh = mesh
        self.arrays = tuple(arrays)
        self.extents: list[Float32] = []
        self.last: Samples = {}
        self._pick, self._clip = pick, clip

    @property
    def sampled(self) -> list[Sdf.Path]:
        """The attributes that every frame has a sample of."""
        return [self.path.AppendProperty(name) for name in (*(ATTRIBUTES[a][0] for a in self.arrays), "extent")]

    def as_clip(self) -> MeshPrim:
        """The same prim for a clip: samples, and no default values, which clips have no use for."""
        return MeshPrim(self.path, self.mesh, self._pick, self.arrays, clip=True)

    def declare(self, layer: Sdf.Layer) -> None:
        """Name the sampled attributes, as a clip and its manifest do."""
        prim = Sdf.CreatePrimInLayer(layer, self.path)
        for array in self.arrays:
            Sdf.AttributeSpec(prim, *ATTRIBUTES[array])
        Sdf.AttributeSpec(prim, "extent", Sdf.ValueTypeNames.Float3Array)

    def rest(self, layer: Sdf.Layer) -> None:
        """Set the default values to the source's own pose: what shows where no clip has a sample."""
        values = {"points": vectors(self.mesh.points), "normals": vectors(point_normals(self.mesh))}
        values["extent"] = UsdGeom.PointBased.ComputeExtent(values["points"])
        for name, value in values.items():
            layer.GetAttributeAtPath(self.path.AppendProperty(name)).default = value

    def define(self, stage: Usd.Stage) -> UsdGeom.Mesh:
        """Author all that does not move, and the attributes that will."""
        prim = UsdGeom.Mesh.Define(stage, self.path)
        prim.CreateFaceVertexCountsAttr(ints(self.mesh.face_counts))
        prim.CreateFaceVertexIndicesAttr(ints(self.mesh.face_indices))
        prim.CreateSubdivisionSchemeAttr(UsdGeom.Tokens.none)
        prim.CreatePointsAttr()
        prim.CreateNormalsAttr()
        prim.SetNormalsInterpolation(UsdGeom.Tokens.vertex)
        prim.CreateExtentAttr()
        if "velocities" in self.arrays:
            prim.CreateVelocitiesAttr()
            prim.CreateAccelerationsAttr()
        for array in QUALITY:
            if array in self.arrays:
                prim.GetPrim().CreateAttribute(*ATTRIBUTES[array], custom=False)
        self._define_primvars(UsdGeom.PrimvarsAPI(prim))
        return prim

    def _define_primvars(self, primvars: UsdGeom.PrimvarsAPI) -> None:
        if self.mesh.st is not None and self.mesh.st_indices is not None:
            type_name = Sdf.ValueTypeNames.TexCoord2fArray
            st = primvars.CreatePrimvar("st", type_name, UsdGeom.Tokens.faceVarying)
            values, indices = each_once(self.mesh.st, self.mesh.st_indices)
            st.Set(pairs(values))
            st.SetIndices(ints(indices))
        if self.mesh.colors is not None:
            type_name = Sdf.ValueTypeNames.Color3fArray
            color = primvars.CreatePrimvar("displayColor", type_name, UsdGeom.Tokens.vertex)
            palette, of_points = np.unique(self.mesh.colors, axis=0, return_inverse=True)
            color.Set(vectors(linear(palette)))
            color.SetIndices(ints(of_points.reshape(-1)))

    def write(self, layer: Sdf.Layer, frame: Frame) -> int:
        """Add the frame's samples, and with the first frame the default values; returns the bytes they take."""
        samples: Samples = {}
        for array in self.arrays:
            values = getattr(frame, array)[self._pick]
            samples[ATTRIBUTES[array][0]] = vectors(values) if values.ndim > 1 else floats(values)
        # OpenUSD's own extent takes a fiftieth of numpy's min and max along the short axis.
        samples["extent"] = UsdGeom.PointBased.ComputeExtent(samples["points"])
        for name, value in samples.items():
            path = self.path.AppendProperty(name)
            if not self._clip and not self.extents and name in ("points", "normals", "extent"):
                layer.GetAttributeAtPath(path).default = value  # the crate keeps equal arrays once
            layer.SetTimeSample(path, frame.time, value)
        self.extents.append(np.array(samples["extent"]))
        self.last = samples
        return sum(getattr(frame, array)[self._pick].nbytes for array in self.arrays)

    def missing(self, layer: Sdf.Layer, times: Sequence[float], looked_at: range) -> str:
        """What `layer`, read from the disk, lacks of what was written; empty when it is all there.

        Compares all times, the last samples, and the extents of the times `looked_at`, counted from 0.
        """
        for name, value in self.last.items():
            path = self.path.AppendProperty(name)
            found = layer.ListTimeSamplesForPath(path)
            if list(found) != list(times):
                return f"{path} has {len(found)} of {len(times)} samples"
            if layer.QueryTimeSample(path, times[-1]) != value:
                return f"{path} differs at {times[-1]:g}"
        path = self.path.AppendProperty("extent")
        for place in looked_at:
            if not np.array_equal(layer.QueryTimeSample(path, times[place]), self.extents[place]):
                return f"{path} differs at {times[place]:g}"
        return ""


def point_normals(mesh: Mesh) -> Float32:
    """Unit normals of the points, float32 [points, 3], weighted by the area of the faces around each."""
    triangles = mesh.triangles()
    a, b, c = mesh.points.astype(np.float64)[triangles].transpose(1, 0, 2)
    faces = np.cross(b - a, c - a)
    sums = np.stack(
        [np.bincount(triangles.ravel(), np.repeat(faces[:, axis], 3), len(mesh.points)) for axis in range(3)], axis=1
    )
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)
    unit: Float32 = np.where(lengths > 0, sums / np.where(lengths > 0, lengths, 1), [0.0, 1.0, 0.0]).astype(np.float32)
    return unit
