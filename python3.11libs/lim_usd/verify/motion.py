"""One mesh frame by frame: each frame against itself here, all of them against each other in `series`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from pxr import Sdf, Usd, UsdGeom, Vt

from lim_protocol.types import Float32
from lim_usd.arrays import view
from lim_usd.verify.findings import Findings
from lim_usd.verify.normals import NormalsCheck
from lim_usd.verify.rates import RateCheck
from lim_usd.verify.surface import Faces, read_faces

_LOOSE = 0.1  # of the diagonal: an extent that much larger than it need be is one of another thing
_TIGHT = 1e-3  # of the diagonal: points may stick out that far, by rounding
_AGAIN = "Export it again"


@dataclass
class Series:
    """Figures of each frame that was read; lengths are parts of the first frame's diagonal.

    step, turn      root mean square over the points of what they moved since the last frame, per frame of time, and
                    of how much that differs from the step before; turn_max the largest component of any point's
    back, back_max  cosine between the turn and the one before, over all points and for the point that turned most
    same            every point is where it was before
    along           cosine between this step and the last step that was one
    """

    times: list[float] = field(default_factory=list)
    size: list[float] = field(default_factory=list)
    step: list[float] = field(default_factory=list)
    turn: list[float] = field(default_factory=list)
    turn_max: list[float] = field(default_factory=list)
    back: list[float] = field(default_factory=list)
    back_max: list[float] = field(default_factory=list)
    same: list[bool] = field(default_factory=list)
    along: list[float] = field(default_factory=list)
    points: list[int] = field(default_factory=list)


class MeshMotion:
    """Reads a mesh at its times, in order; holds three frames of it, however many there are."""

    def __init__(self, path: Sdf.Path, skinned: bool, findings: Findings) -> None:
        self.path, self.series, self.changes = path, Series(), 0
        self.diagonal = 0.0
        self._skinned, self._findings = skinned, findings
        self._normals, self._rates = NormalsCheck(path, findings), RateCheck(path, findings)
        self._faces: Faces | None = None
        self._last: Float32 | None = None
        self._moved: Float32 | None = None  # the step before, per frame of time
        self._turned: Float32 | None = None
        self._going: Float32 | None = None  # the last step that was one

    def read(self, stage: Usd.Stage, times: Sequence[float]) -> None:
        """Take some frames; they go on where the last call's ended."""
        mesh = UsdGeom.Mesh.Get(stage, self.path)
        varying = bool(mesh.GetFaceVertexIndicesAttr().GetNumTimeSamples())
        points = mesh.GetPointsAttr()
        extent = None if self._skinned else mesh.GetExtentAttr()
        hints = list(_hints(mesh.GetPrim()))
        for time in times:
            array = points.Get(time)
            if array is None:
                words = "has no points: a value clip is missing, or blocked"
                self._findings.add("no-points", self.path, words, "Write the chunk again", time)
                self._forget()
                continue
            if varying or self._faces is None:
                self._take_faces(mesh, time, len(array))
            sound = self._frame(mesh, array, time)
            if sound and extent is not None and len(array):
                self._check_extent(extent, array, time)
                for hint in hints:
                    self._check_hint(hint, mesh, array, time)

    def _take_faces(self, mesh: UsdGeom.Mesh, time: float, points: int) -> None:
        faces = read_faces(mesh, Usd.TimeCode(time), points, self._findings)
        former, self._faces = self._faces, faces
        if faces is not None and former is not None and not _equal(former, faces):
            self.changes += 1
            self._forget()
        self._normals.faces = faces

    def _frame(self, mesh: UsdGeom.Mesh, array: Vt.Vec3fArray, time: float) -> bool:
        points = view(array, np.float32)
        self.series.times.append(time)
        self.series.points.append(len(points))
        if not self._is_sound(points, time):
            self._forget()
            self._pad(np.nan)
            return False
        box = UsdGeom.PointBased.ComputeExtent(array)
        size = float(np.linalg.norm(np.subtract(box[1], box[0], dtype=np.float64)))
        self.diagonal = self.diagonal or size
        if not size and len(points) > 1:
            self._findings.add("collapsed", self.path, "has all its points in one place", "Track it again", time)
        self._compare(points, time)
        self.series.size.append(size)
        self._normals.frame(mesh, points, time)
        self._rates.frame(mesh, points, time)
        return True

    def _is_sound(self, points: Float32, time: float) -> bool:
        flat = points.ravel()
        if not np.isfinite(np.dot(flat, flat)):  # a hundredth of isfinite's time; sums of squares hide nothing
            bad = int((~np.isfinite(points).all(1)).sum())
            words = f"has {bad} points that are not finite" if bad else "has points further out than floats can count"
            self._findings.add("points-nan", self.path, words, "Clean the mesh and export it again", time)
            return False
        if self._last is not None and len(points) != len(self._last):
            words = f"has {len(points)} points where it had {len(self._last)}, with the same faces"
            self._findings.add("point-count", self.path, words, _AGAIN, time)
            return False
        if self._faces is not None and int(self._faces.indices.max()) >= len(points):
            words = f"has {len(points)} points, and faces that name point {int(self._faces.indices.max())}"
            self._findings.add("point-count", self.path, words, _AGAIN, time)
            return False
        return True

    def _compare(self, points: Float32, time: float) -> None:
        if self._last is None or len(self.series.times) < 2:
            self._pad(0.0, size=False)
            self._last = points.copy()
            return
        series, scale = self.series, 1 / (self.diagonal or 1.0)
        step = points - self._last
        step *= np.float32(scale / (time - series.times[-2]))
        squares = float(np.dot(step.ravel(), step.ravel()))
        turned = None if self._moved is None else step - self._moved
        series.step.append((squares / len(points)) ** 0.5)
        series.same.append(squares == 0)
        series.along.append(_cosine(step, self._going))
        series.turn.append(0.0 if turned is None else _rms(turned))
        series.turn_max.append(0.0)
        series.back_max.append(0.0)
        if turned is not None:
            self._look_back(turned)
        series.back.append(_cosine(turned, self._turned))
        self._last, self._moved, self._turned = points.copy(), step, turned
        if squares:
            self._going = step

    def _look_back(self, turned: Float32) -> None:
        flat = turned.ravel()
        low, high = int(flat.argmin()), int(flat.argmax())
        place = low if -flat[low] > flat[high] else high
        point = place // 3
        self.series.turn_max[-1] = abs(float(flat[place]))
        if self._turned is not None:
            self.series.back_max[-1] = _cosine(turned[point], self._turned[point])

    def _pad(self, value: float, size: bool = True) -> None:
        series = self.series
        for row in (series.step, series.turn, series.turn_max, series.back, series.back_max, series.along):
            row.append(value)
        series.same.append(False)
        if size:
            series.size.append(value)

    def _forget(self) -> None:
        self._last = self._moved = self._turned = self._going = None
        self._rates.forget()

    def _check_extent(self, attribute: Usd.Attribute, points: Vt.Vec3fArray, time: float) -> None:
        box = attribute.Get(time)
        if box is None or len(box) != 2:
            self._findings.add("extent-missing", self.path, "has no extent", "Write one for every frame", time)
            return
        self._check_box(view(box, np.float32), points, "extent", "extent-wrong", time)

    def _check_hint(self, prim: Usd.Prim, mesh: UsdGeom.Mesh, points: Vt.Vec3fArray, time: float) -> None:
        hint = prim.GetAttribute("extentsHint").Get(time)
        if hint is None or len(hint) < 2:
            return
        cache = UsdGeom.XformCache(Usd.TimeCode(time))
        matrix = cache.ComputeRelativeTransform(mesh.GetPrim(), prim)[0]
        box = np.array(UsdGeom.PointBased.ComputeExtent(points), np.float64)
        corners = np.array(np.meshgrid(*box.T)).reshape(3, -1).T
        placed = corners @ np.array(matrix)[:3, :3] + np.array(matrix)[3, :3]
        hull = np.stack([placed.min(0), placed.max(0)])
        room = view(hint, np.float32)[:2]
        if _sticks_out(hull, room) > _TIGHT * _size(hull):
            words = f"has an extentsHint that {self.path} sticks out of"
            self._findings.add("extents-hint", prim.GetPath(), words, "Write it anew from the extents", time)

    def _check_box(self, box: Float32, points: Vt.Vec3fArray, name: str, code: str, time: float) -> None:
        true = np.array(UsdGeom.PointBased.ComputeExtent(points), np.float64)
        size = _size(true)
        if not np.isfinite(box).all() or (box[1] < box[0]).any():
            self._findings.add(code, self.path, f"has an {name} that is no box: {_told(box)}", "Write it anew", time)
        elif _sticks_out(true, box) > _TIGHT * size or _sticks_out(box, true) > _LOOSE * size:
            words = f"has an {name} of {_told(box)} around points that span {_told(true)}"
            self._findings.add(code, self.path, words, "Write it anew", time)


def times_of(mesh: UsdGeom.Mesh) -> list[float]:
    """Every time that the mesh's points, faces, normals or velocities are sampled at; its first where nothing is."""
    attributes = (
        mesh.GetPointsAttr(),
        mesh.GetFaceVertexIndicesAttr(),
        mesh.GetNormalsAttr(),
        mesh.GetVelocitiesAttr(),
    )
    times = sorted({time for attribute in attributes for time in attribute.GetTimeSamples()})
    return times or [mesh.GetPrim().GetStage().GetStartTimeCode()]


def _hints(prim: Usd.Prim) -> Iterator[Usd.Prim]:
    while prim and not prim.IsPseudoRoot():
        if prim.HasAttribute("extentsHint") and prim.GetAttribute("extentsHint").HasAuthoredValue():
            yield prim
        prim = prim.GetParent()


def _equal(one: Faces, other: Faces) -> bool:
    return np.array_equal(one.counts, other.counts) and np.array_equal(one.indices, other.indices)


def _rms(vectors: Float32) -> float:
    flat = vectors.ravel()
    return float((np.dot(flat, flat) / max(len(vectors), 1)) ** 0.5)


def _cosine(one: Float32 | None, other: Float32 | None) -> float:
    if one is None or other is None:
        return 0.0
    a, b = one.ravel(), other.ravel()
    norms = float(np.dot(a, a)) ** 0.5 * float(np.dot(b, b)) ** 0.5
    return float(np.dot(a, b)) / norms if norms else 0.0


def _size(box: NDArray[np.floating]) -> float:
    return float(np.linalg.norm(box[1] - box[0])) or 1e-30


def _sticks_out(inner: NDArray[np.floating], outer: NDArray[np.floating]) -> float:
    return float(np.maximum(outer[0] - inner[0], inner[1] - outer[1]).max())


def _told(box: NDArray[np.floating]) -> str:
    return " to ".join("(" + ", ".join(f"{value:.4g}" for value in corner) + ")" for corner in box)
