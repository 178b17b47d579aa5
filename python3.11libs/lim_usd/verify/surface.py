"""The faces of a mesh: whether they are faces, and which way they look."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pxr import Usd, UsdGeom

from lim_protocol.types import Float32, Int32, fan
from lim_usd.arrays import view
from lim_usd.verify.findings import Findings

_INSIDE_OUT = -0.05  # of a ball of the same area; a closed surface that is not folded up is far above zero
# What is inside an open surface cannot be said: parts of the edges, and of the area that its holes would have.
_OPEN, _HOLE = 0.1, 0.05
_AGAIN = "Export the mesh again"


@dataclass(frozen=True, eq=False)
class Faces:
    """Faces of a mesh as its prim has them, known to be sound.

    triangles  int32 [triangles, 3], and `corners` int32 [triangles, 3]: which corner of the mesh each one is
    flipped    the prim says leftHanded: faces are clockwise from outside
    """

    counts: Int32
    indices: Int32
    triangles: Int32
    corners: Int32
    flipped: bool


def read_faces(mesh: UsdGeom.Mesh, time: Usd.TimeCode, points: int, findings: Findings) -> Faces | None:
    """The faces at one time; None, with findings, where they are not faces of so many points."""
    counts = view(mesh.GetFaceVertexCountsAttr().Get(time) or [], np.int32)
    indices = view(mesh.GetFaceVertexIndicesAttr().Get(time) or [], np.int32)
    path = mesh.GetPath()
    at = None if time.IsDefault() or not _is_sampled(mesh) else time.GetValue()
    if not len(counts):
        findings.add("no-faces", path, "has no faces", "Export polygons", at)
        return None
    if (counts < 3).any():
        words = f"has {int((counts < 3).sum())} faces of fewer than 3 corners"
        findings.add("face-too-small", path, words, "Remove them", at)
        return None
    if int(counts.sum()) != len(indices):
        words = f"has {len(indices)} corners where its face counts add up to {int(counts.sum())}"
        findings.add("face-counts", path, words, _AGAIN, at)
        return None
    if indices.min() < 0 or indices.max() >= points:
        words = f"has face indices from {indices.min()} to {indices.max()} into {points} points"
        findings.add("face-index-range", path, words, _AGAIN, at)
        return None
    flipped = mesh.GetOrientationAttr().Get(time) == UsdGeom.Tokens.leftHanded
    corners = fan(counts, np.arange(len(indices), dtype=np.int32))
    return Faces(counts, indices, indices[corners], corners, flipped)


def check_faces(mesh: UsdGeom.Mesh, faces: Faces, points: Float32, findings: Findings) -> None:
    """Faces that use a point twice, neighbours that look to different sides, a surface that is inside out."""
    path = mesh.GetPath()
    following = np.arange(1, len(faces.indices) + 1)
    ends = np.cumsum(faces.counts)
    following[ends - 1] = ends - faces.counts
    one, other = faces.indices.astype(np.int64), faces.indices[following].astype(np.int64)
    if same := int((one == other).sum()):
        words = f"has {same} faces that use one point twice in a row"
        findings.add("face-degenerate", path, words, "Clean the mesh")
    key, forward = np.minimum(one, other) * len(points) + np.maximum(one, other), one < other
    edges, inverse, uses = np.unique(key, return_inverse=True, return_counts=True)
    along = np.bincount(inverse.reshape(-1), forward, len(edges))
    twisted = int(((uses == 2) & (along != 1)).sum())
    if twisted:
        words = f"has {twisted} edges whose two faces look to different sides"
        findings.add("winding-mixed", path, words, "Make the winding of all faces agree")
    elif (uses == 1).sum() <= _OPEN * len(edges) and _is_inside_out(points, faces):
        words = "is inside out: its faces are clockwise from outside"
        findings.add("winding-inverted", path, words, "Reverse the faces, or say its orientation is leftHanded")


def _is_inside_out(points: Float32, faces: Faces) -> bool:
    """Of a surface that is all but closed: its signed volume is below zero."""
    a, b, c = (points.astype(np.float64) - points.mean(0, dtype=np.float64))[faces.triangles].transpose(1, 0, 2)
    normals = np.cross(b - a, c - a) / 2
    area = float(np.linalg.norm(normals, axis=1).sum())
    if area == 0 or np.linalg.norm(normals.sum(0)) > _HOLE * area:
        return False
    volume = float(np.einsum("ij,ij->", a, np.cross(b, c))) / 6 * (-1 if faces.flipped else 1)
    fullness: float = volume * 6 * np.pi**0.5 / area**1.5
    return fullness < _INSIDE_OUT


def face_normals(points: Float32, faces: Faces, picked: NDArray[np.int64]) -> NDArray[np.float32]:
    """Outward normals of the picked triangles, as long as twice their area, float32 [picked, 3]."""
    a, b, c = points[faces.triangles[picked]].transpose(1, 0, 2)
    u, v = (b - a).T, (c - a).T
    crossed = np.stack([u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]], axis=1)
    return -crossed if faces.flipped else crossed


def _is_sampled(mesh: UsdGeom.Mesh) -> bool:
    return bool(mesh.GetFaceVertexIndicesAttr().GetNumTimeSamples())
