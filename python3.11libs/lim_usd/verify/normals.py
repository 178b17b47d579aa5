"""Authored normals against the faces they lie on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pxr import Sdf, Usd, UsdGeom

from lim_protocol.types import Float32
from lim_usd.arrays import view
from lim_usd.verify.findings import Findings
from lim_usd.verify.surface import Faces, face_normals

_LOOKED_AT = 4000  # triangles of each frame
_LENGTH = 0.02  # off one
_SOME = 0.15  # of the triangles: smoothing over sharp edges turns fewer against their faces
_STALE = 0.6  # of what the cosine was at the first frame

_AGAIN = "Compute the normals anew"


class NormalsCheck:
    """Looks at the same some thousand triangles of every frame. `faces` must be those of the frame that follows."""

    def __init__(self, path: Sdf.Path, findings: Findings) -> None:
        self.path, self._findings = path, findings
        self.agreement: list[float] = []
        self._first = 0.0
        self._faces: Faces | None = None

    @property
    def faces(self) -> Faces | None:
        """Of the frames to come."""
        return self._faces

    @faces.setter
    def faces(self, faces: Faces | None) -> None:
        self._faces = faces
        count = len(faces.triangles) if faces else 0
        self._picked = np.unique(np.linspace(0, count - 1, min(count, _LOOKED_AT)).astype(np.int64))
        self._weights = np.zeros(0)

    def frame(self, mesh: UsdGeom.Mesh, points: Float32, time: float) -> None:
        """Compare one frame."""
        values, spread = _authored(mesh, time)
        faces = self._faces
        if faces is None or values is None or not len(self._picked):
            return
        sizes = {"vertex": len(points), "varying": len(points), "faceVarying": len(faces.indices)}
        sizes |= {"uniform": len(faces.counts), "constant": 1}
        if len(values) != sizes[spread]:
            words = f"has {len(values)} normals where {spread} interpolation needs {sizes[spread]}"
            self._findings.add("normals-count", self.path, words, "Write as many, or say their interpolation", time)
        elif spread in ("vertex", "varying", "faceVarying"):
            corners = faces.triangles if spread != "faceVarying" else faces.corners
            self._compare(values[corners[self._picked]], points, faces, time)

    def _compare(self, normals: Float32, points: Float32, faces: Faces, time: float) -> None:
        lengths = np.sqrt(np.einsum("tcd,tcd->tc", normals, normals))
        if not np.isfinite(lengths).all():
            self._findings.add("normals-nan", self.path, "has normals that are not finite", _AGAIN, time)
            return
        if (np.abs(lengths - 1) > _LENGTH).any():
            words = f"has normals of length {lengths.min():.3g} to {lengths.max():.3g}, not 1"
            self._findings.add("normals-length", self.path, words, "Normalise them", time)
        true = face_normals(points, faces, self._picked)
        area = np.sqrt(np.einsum("td,td->t", true, true))
        solid = area > 1e-6 * area.max()
        mean = normals.mean(1)
        scale = area * np.sqrt(np.einsum("td,td->t", mean, mean))
        cosines = np.einsum("td,td->t", mean, true)[solid] / np.maximum(scale[solid], 1e-30)
        if len(cosines):
            self._judge(cosines, time)

    def _judge(self, cosines: NDArray[np.floating], time: float) -> None:
        average, against = float(cosines.mean()), float((cosines < 0).mean())
        if not self.agreement:
            self._first = average
        self.agreement.append(average)
        if against > 1 - _SOME:
            words = "has normals that point into the surface, or faces that are clockwise from outside"
            self._findings.add("normals-flipped", self.path, words, "Reverse the one that is wrong", time)
        elif against > _SOME:
            words = f"has normals that point against {against:.0%} of its faces"
            self._findings.add("normals-wrong", self.path, words, _AGAIN, time)
        elif self._first > 0.5 and average < _STALE * self._first:
            words = f"has normals that do not follow its faces: a mean cosine of {average:.2f} from {self._first:.2f}"
            self._findings.add("normals-stale", self.path, words, _AGAIN, time)


def check_normals(mesh: UsdGeom.Mesh, findings: Findings) -> None:
    """Whether the mesh has normals where it needs them, and none where they mean nothing."""
    scheme = mesh.GetSubdivisionSchemeAttr()
    values, _ = _authored(mesh, Usd.TimeCode.EarliestTime())
    if values is None and scheme.Get() == UsdGeom.Tokens.none:
        words = "is a polygon mesh without normals, so every host shades it in a way of its own"
        findings.add("normals-missing", mesh.GetPath(), words, "Write normals")
    if values is not None and scheme.Get() != UsdGeom.Tokens.none:
        said = "" if scheme.HasAuthoredValue() else ", as it does not say its subdivisionScheme"
        words = f"has normals and is a {scheme.Get()} subdivision surface{said}: it will be smoothed, and they ignored"
        findings.add("normals-on-subdivision", mesh.GetPath(), words, "Set subdivisionScheme to none")


def _authored(mesh: UsdGeom.Mesh, time: float | Usd.TimeCode) -> tuple[Float32 | None, str]:
    primvar = UsdGeom.PrimvarsAPI(mesh).GetPrimvar("normals")
    if primvar and primvar.HasAuthoredValue():
        return np.asarray(primvar.ComputeFlattened(time), np.float32), str(primvar.GetInterpolation())
    values = mesh.GetNormalsAttr().Get(time)
    return None if values is None else view(values, np.float32), str(mesh.GetNormalsInterpolation())
