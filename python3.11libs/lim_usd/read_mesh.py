"""One mesh prim at one time as a Mesh in world space, its faces counter-clockwise from outside."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pxr import Gf, Usd, UsdGeom, Vt

from lim_protocol.types import Float32, Int32, Mesh
from lim_usd.check import check_faces, check_mesh, pinned_of, stiffness_of
from lim_usd.read_primvars import read_colors, read_per_point, read_st, uv_primvars
from lim_usd.read_skel import Skeletons
from lim_usd.read_subsets import subset_parts
from lim_usd.source import BadSource, Part

Corners = NDArray[np.integer]


@dataclass(frozen=True, eq=False)
class PrimMesh:
    """A mesh as one prim held it.

    parts  its subsets where they are runs of faces, else the prim itself
    kept   bool [faces of the prim], those that are in the mesh
    """

    mesh: Mesh
    parts: tuple[Part, ...]
    notes: tuple[str, ...]
    kept: NDArray[np.bool_]


def read_mesh(prim: Usd.Prim, time: Usd.TimeCode, skeletons: Skeletons, st_name: str, label: str) -> PrimMesh:
    """Read a UsdGeomMesh. `st_name` is the primvar its shader reads, or ''; `label` names the prim in errors.

    Raises BadSource for what cannot be a mesh: no points or faces, counts that do not meet, indices out of range,
    values that are not finite.
    """
    geom = UsdGeom.Mesh(prim)
    points, matrix = world_points(geom, time, skeletons, label)
    stored = Mesh(
        points,
        _array(geom.GetFaceVertexCountsAttr().Get(time), np.int32),
        _array(geom.GetFaceVertexIndicesAttr().Get(time), np.int32),
    )
    check_faces(stored, label)
    st_notes, stored = _with_st(stored, prim, time, st_name, label)
    color_notes, stored = _with_colors(stored, prim, time)
    stored = _with_weights(stored, prim, time, label)
    kept = _solid_faces(geom, stored.face_counts, time)
    mesh = _rearranged(stored, kept, flip=_is_inside_out(geom, matrix))
    check_mesh(mesh, label)
    part_notes, parts = subset_parts(prim, kept, time)
    notes = [*st_notes, *color_notes, *part_notes, *_face_notes(geom, len(kept) - len(mesh.face_counts))]
    return PrimMesh(mesh, parts, tuple(notes), kept)


def world_points(
    geom: UsdGeom.Mesh, time: Usd.TimeCode, skeletons: Skeletons, label: str
) -> tuple[Float32, Gf.Matrix4d]:
    """The prim's points as posed at `time` in world space, float32 [points, 3], and the matrix that took them there.

    Raises BadSource for points that are sampled and not there at `time`.
    """
    if geom.GetPointsAttr().GetNumTimeSamples() and geom.GetPointsAttr().Get(time) is None:
        raise BadSource(f"{label}: has no points at frame {time}: a clip may be missing. `lim verify` names it.")
    posed, matrix = _posed(geom, time, skeletons)
    return _baked(posed, matrix), matrix


def _posed(geom: UsdGeom.Mesh, time: Usd.TimeCode, skeletons: Skeletons) -> tuple[Vt.Vec3fArray, Gf.Matrix4d]:
    points = geom.GetPointsAttr().Get(time) or Vt.Vec3fArray()
    posed = skeletons.posed(geom.GetPrim(), points, time)
    return posed or (points, geom.ComputeLocalToWorldTransform(time))


def _baked(points: Vt.Vec3fArray, matrix: Gf.Matrix4d) -> Float32:
    rows = np.array(matrix)
    with np.errstate(invalid="ignore", over="ignore"):  # what is not finite is told by the check that follows
        world = np.asarray(points, np.float64).reshape(-1, 3) @ rows[:3, :3] + rows[3, :3]
        baked: Float32 = world.astype(np.float32)
    return baked


def _is_inside_out(geom: UsdGeom.Mesh, matrix: Gf.Matrix4d) -> bool:
    left_handed = bool(geom.GetOrientationAttr().Get() == UsdGeom.Tokens.leftHanded)
    return left_handed != bool(np.linalg.det(np.array(matrix)[:3, :3]) < 0)


def _with_st(mesh: Mesh, prim: Usd.Prim, time: Usd.TimeCode, st_name: str, label: str) -> tuple[list[str], Mesh]:
    found = uv_primvars(prim, time)
    if not found:
        return [], mesh
    taken = next((primvar for primvar in found if primvar.GetPrimvarName() == st_name), found[0])
    try:
        st, st_indices = read_st(taken, time, len(mesh.points), mesh.face_indices)
    except BadSource as error:
        raise BadSource(f"{label}: {error}") from error
    names = ", ".join(primvar.GetPrimvarName() for primvar in found)
    notes = [f"of the UV sets {names}, {taken.GetPrimvarName()} is kept"] if len(found) > 1 else []
    return notes, replace(mesh, st=st, st_indices=st_indices)


def _with_colors(mesh: Mesh, prim: Usd.Prim, time: Usd.TimeCode) -> tuple[list[str], Mesh]:
    primvar = UsdGeom.PrimvarsAPI(prim).FindPrimvarWithInheritance("displayColor")
    if not primvar or not primvar.Get(time):
        return [], mesh
    try:
        colors = read_colors(primvar, time, len(mesh.points), mesh.face_counts, mesh.face_indices)
    except BadSource as error:  # they help, but nobody should have to mend them first
        return [f"colours are left out: {error}"], mesh
    return [], replace(mesh, colors=colors)


def _with_weights(mesh: Mesh, prim: Usd.Prim, time: Usd.TimeCode, label: str) -> Mesh:
    count, names = len(mesh.points), ("lim:stiffness", "lim:pinned")
    try:
        stiffness, pinned = (read_per_point(prim, name, time, count) for name in names)
    except BadSource as error:
        raise BadSource(f"{label}: {error}") from error
    if stiffness is not None:
        mesh = replace(mesh, stiffness=stiffness_of(stiffness, count, f"{label}: primvars:{names[0]}"))
    if pinned is not None:
        mesh = replace(mesh, pinned=pinned_of(pinned, count, f"{label}: primvars:{names[1]}"))
    return mesh


def _solid_faces(geom: UsdGeom.Mesh, counts: Int32, time: Usd.TimeCode) -> NDArray[np.bool_]:
    holes = _array(geom.GetHoleIndicesAttr().Get(time), np.int64)
    return (counts >= 3) & ~np.isin(np.arange(len(counts)), holes)


def _rearranged(mesh: Mesh, kept: NDArray[np.bool_], flip: bool) -> Mesh:
    """Only the faces that are `kept`, each the other way round if `flip`, from the same first corner."""
    if kept.all() and not flip:
        return mesh
    counts = mesh.face_counts[kept]
    first = np.repeat((np.cumsum(mesh.face_counts) - mesh.face_counts)[kept], counts)
    size = np.repeat(counts, counts)
    step = np.arange(len(first)) - np.repeat(np.cumsum(counts) - counts, counts)
    order = first + ((size - step) % size if flip else step)
    st_indices = None if mesh.st_indices is None else mesh.st_indices[order]
    return replace(mesh, face_counts=counts, face_indices=mesh.face_indices[order], st_indices=st_indices)


def _face_notes(geom: UsdGeom.Mesh, dropped: int) -> list[str]:
    notes = []
    if dropped:
        notes.append(f"{dropped} faces are left out, holes or of less than 3 corners")
    scheme = geom.GetSubdivisionSchemeAttr()
    if scheme.HasAuthoredValue() and scheme.Get() != UsdGeom.Tokens.none:
        notes.append(f"a {scheme.Get()} subdivision surface is taken by its cage")
    return notes


def _array(values: Any, kind: type[np.generic]) -> NDArray[Any]:
    return np.array([] if values is None else values, kind)
