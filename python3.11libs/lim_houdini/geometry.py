"""Between hou.Geometry and the arrays of a Mesh: whole attributes at a time, never point by point.

Houdini's polygons are clockwise seen from outside, ours counter-clockwise: each face keeps its first corner and
turns the others round.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace
from typing import Any

import hou
import numpy as np
from numpy.typing import NDArray

from lim_houdini.errors import Refused
from lim_protocol.types import Float32, Int32, Mesh, UInt8
from lim_usd.check import check_mesh, pinned_of, stiffness_of
from lim_usd.color import linear, srgb
from lim_usd.source import BadSource

DETAIL, PRIM, POINT, VERTEX = 0, 1, 2, 3  # classes, and
SUM, FIRST_MATCH = 5, 8  # methods of the Attribute Promote SOP
PACKED = (
    hou.primType.PackedGeometry, hou.primType.PackedFragment, hou.primType.PackedPrim, hou.primType.AlembicRef,
)  # fmt: skip
VOLUMES = (hou.primType.VDB, hou.primType.Volume)
CONVERTIBLE = (
    hou.primType.PolySoup, hou.primType.Mesh, hou.primType.NURBSSurface, hou.primType.BezierSurface,
    hou.primType.TriangleFan, hou.primType.TriangleStrip, hou.primType.Sphere, hou.primType.Tube,
)  # fmt: skip
POLYGONS = (hou.primType.Polygon,)


@dataclass(frozen=True)
class Holding:
    """What says how the source holds its form: point attributes, taken where there are such, and a point group."""

    stiffness: str
    pin: str
    group: str


def counts(geometry: hou.Geometry) -> tuple[int, int, int]:
    """Points, primitives and vertices."""
    points, prims, vertices = (
        _int(geometry.intrinsicValue(name)) for name in ("pointcount", "primitivecount", "vertexcount")
    )
    return points, prims, vertices


def fingerprint(geometry: hou.Geometry, holding: Holding | None = None) -> tuple[int, ...]:
    """Tells two states of one input apart, at a fraction of the cost of reading the mesh: counts and positions, and
    of a source what holds it."""
    prints = (*counts(geometry), zlib.crc32(geometry.pointFloatAttribValuesAsString("P")))
    if holding is None:
        return prints
    found = [_numbers(geometry, attrib) for attrib in (holding.stiffness, holding.pin)]
    group = geometry.findPointGroup(holding.group) if holding.group else None
    held = [values for values in (*found, None if group is None else _members(group)) if values is not None]
    return (*prints, *(zlib.crc32(values.tobytes()) for values in held))


def read_mesh(geometry: hou.Geometry, name: str, uv: str, colors: bool, holding: Holding | None = None) -> Mesh:
    """The polygons of a geometry; packed ones unpacked, other surfaces converted.

    uv       point or vertex attribute with texture coordinates; left out where there is none of that name
    colors   take Cd of the points along
    holding  names of what says where the source is stiff and pinned; None for a key that is not the source

    Raises Refused, beginning with `name`, for what has no polygons, for points that are not finite, and for stiffness
    and pins that are none.
    """
    geometry = _polygons(geometry, name)
    points, prims, vertices = counts(geometry)
    if prims == 0:
        raise Refused(f"{name}: no polygons, only {points} points. Connect geometry with faces.")
    face_counts, table = topology(geometry, prims, vertices)
    turned = turn(face_counts)
    st, st_indices = _texture_coordinates(geometry, uv, points, vertices, table)
    mesh = Mesh(
        points=np.frombuffer(geometry.pointFloatAttribValuesAsString("P"), np.float32).reshape(points, 3),
        face_counts=face_counts,
        face_indices=table[turned],
        st=st,
        st_indices=None if st_indices is None else st_indices[turned],
        colors=_colors(geometry, points) if colors else None,
    )
    try:
        check_mesh(mesh, name)
        if holding is not None:
            mesh = replace(mesh, stiffness=_stiffness(geometry, holding, name), pinned=_pinned(geometry, holding, name))
    except BadSource as error:
        raise Refused(str(error)) from None
    if np.ptp(mesh.points, axis=0).max() == 0:
        raise Refused(f"{name}: all {points} points are in one place. Check what the input is at that frame.")
    return mesh


def turn(face_counts: Int32) -> NDArray[np.int64]:
    """Where each corner comes from when every face runs the other way round from its first corner, int64 [corners].

    Done twice it changes nothing.
    """
    starts = np.cumsum(face_counts, dtype=np.int64) - face_counts
    count = np.repeat(face_counts.astype(np.int64), face_counts)
    start = np.repeat(starts, face_counts)
    place = np.arange(len(start)) - start
    turned: NDArray[np.int64] = start + (count - place) % count
    return turned


def topology(geometry: hou.Geometry, prims: int, vertices: int) -> tuple[Int32, Int32]:
    """Corners per face and the point of every corner, in Houdini's order.

    No call of hou.Geometry gives these in bulk: point numbers are promoted to the vertices, and ones summed over the
    faces, by the verb of the Attribute Promote SOP.
    """
    promote = _verb("attribpromote")
    if promote is None:
        return _topology_one_by_one(geometry)
    given, there = hou.Geometry(), hou.Geometry()
    given.copy(geometry)
    given.addAttrib(hou.attribType.Point, "lim_point", 0)
    numbers = np.arange(_int(given.intrinsicValue("pointcount")), dtype=np.int32)
    given.setPointIntAttribValuesFromString("lim_point", numbers.tobytes())
    promote.setParms({"inname": "lim_point", "inclass": POINT, "outclass": VERTEX, "method": FIRST_MATCH})
    promote.execute(there, [given])
    table = np.frombuffer(there.vertexIntAttribValuesAsString("lim_point"), np.int32)
    given.addAttrib(hou.attribType.Vertex, "lim_corner", 1)
    promote.setParms({"inname": "lim_corner", "inclass": VERTEX, "outclass": PRIM, "method": SUM})
    there = hou.Geometry()
    promote.execute(there, [given])
    face_counts = np.frombuffer(there.primIntAttribValuesAsString("lim_corner"), np.int32)
    assert len(table) == vertices == face_counts.sum() and len(face_counts) == prims
    return face_counts, table


def build(mesh: Mesh) -> hou.Geometry:
    """A mesh as Houdini has it. Point by point within Houdini: seconds per million, once per file."""
    geometry = hou.Geometry()
    geometry.createPoints([(0.0, 0.0, 0.0)] * len(mesh.points))
    put(geometry, "P", mesh.points)
    corners = mesh.face_indices[turn(mesh.face_counts)]
    geometry.createPolygons([face.tolist() for face in np.split(corners, np.cumsum(mesh.face_counts)[:-1])])
    if mesh.colors is not None:
        geometry.addAttrib(hou.attribType.Point, "Cd", (1.0, 1.0, 1.0))
        put(geometry, "Cd", linear(mesh.colors))
    if mesh.st is not None and mesh.st_indices is not None:
        put_uv(geometry, "uv", mesh.st, mesh.st_indices, mesh.face_counts)
    return geometry


def read_ids(geometry: hou.Geometry, name: str) -> Int32 | None:
    """A whole number per point, each once, int32 [points]; None where there is no such attribute."""
    attrib = geometry.findPointAttrib(name) if name else None
    if attrib is None or attrib.dataType() != hou.attribData.Int or attrib.size() != 1:
        return None
    ids = np.frombuffer(geometry.pointIntAttribValuesAsString(name), np.int32)
    return ids if len(np.unique(ids)) == len(ids) else None


def put(geometry: hou.Geometry, name: str, values: NDArray[Any]) -> None:
    """Point values, [points] or [points, 3], into an attribute that is made where it is missing."""
    if geometry.findPointAttrib(name) is None:
        zero = 0.0 if values.ndim == 1 else (0.0, 0.0, 0.0)
        geometry.addAttrib(hou.attribType.Point, name, zero, transform_as_normal=name == "N")
    geometry.setPointFloatAttribValuesFromString(name, np.ascontiguousarray(values, np.float32).tobytes())


def put_uv(geometry: hou.Geometry, name: str, st: Float32, st_indices: Int32, face_counts: Int32) -> None:
    """Texture coordinates of our corners into a vertex attribute."""
    if geometry.findVertexAttrib(name) is None:
        geometry.addAttrib(hou.attribType.Vertex, name, (0.0, 0.0, 0.0))
    uvw = np.zeros((len(st_indices), 3), np.float32)
    uvw[:, :2] = st[st_indices][turn(face_counts)]
    geometry.setVertexFloatAttribValuesFromString(name, uvw.tobytes())


def _polygons(geometry: hou.Geometry, name: str) -> hou.Geometry:
    """The geometry with nothing but polygons in it."""
    prims = counts(geometry)[1]
    for kinds, verb in ((PACKED, "unpack"), (CONVERTIBLE, "convert")):
        if _count(geometry, POLYGONS) < prims and _count(geometry, kinds):
            geometry = _changed(geometry, verb, name, kinds)
            prims = counts(geometry)[1]
    if _count(geometry, POLYGONS) < prims:
        raise Refused(_words_for_others(geometry, name, prims))
    return geometry


def _changed(geometry: hou.Geometry, verb_name: str, name: str, kinds: tuple[hou.EnumValue, ...]) -> hou.Geometry:
    verb = _verb(verb_name)
    if verb is None:
        found = ", ".join(kind.name() for kind in kinds if _count(geometry, (kind,)))
        raise Refused(f"{name}: has {found}. Put an {verb_name.capitalize()} SOP before this node.")
    changed = hou.Geometry()
    verb.execute(changed, [geometry])
    return changed


def _words_for_others(geometry: hou.Geometry, name: str, prims: int) -> str:
    volumes = _count(geometry, VOLUMES)
    if volumes:
        return f"{name}: {volumes} of {prims} primitives are volumes. Convert them to polygons (Convert VDB SOP)."
    others = prims - _count(geometry, POLYGONS)
    return f"{name}: {others} of {prims} primitives are no polygons. Convert them (Convert SOP), or delete them."


def _count(geometry: hou.Geometry, kinds: tuple[hou.EnumValue, ...]) -> int:
    return sum(geometry.countPrimType(kind) for kind in kinds)


def _texture_coordinates(
    geometry: hou.Geometry, uv: str, points: int, vertices: int, table: Int32
) -> tuple[Float32 | None, Int32 | None]:
    """st and st_indices, in Houdini's order of corners."""
    vertex, point = geometry.findVertexAttrib(uv), geometry.findPointAttrib(uv)
    if not uv or (vertex is None and point is None):
        return None, None
    if vertex is None and point is not None:
        values = np.frombuffer(geometry.pointFloatAttribValuesAsString(uv), np.float32).reshape(points, -1)
        return np.ascontiguousarray(values[:, :2]), table
    values = np.frombuffer(geometry.vertexFloatAttribValuesAsString(uv), np.float32).reshape(vertices, -1)
    pairs = np.ascontiguousarray(values[:, :2]) + np.float32(0)  # -0 and 0 are one place
    distinct, index = np.unique(pairs.view(np.uint64).ravel(), return_inverse=True)
    return distinct.view(np.float32).reshape(-1, 2), index.astype(np.int32).reshape(-1)


def _colors(geometry: hou.Geometry, points: int) -> NDArray[np.uint8] | None:
    if geometry.findPointAttrib("Cd") is None:
        return None
    return srgb(np.frombuffer(geometry.pointFloatAttribValuesAsString("Cd"), np.float32).reshape(points, 3))


def _stiffness(geometry: hou.Geometry, holding: Holding, name: str) -> Float32 | None:
    values = _numbers(geometry, holding.stiffness)
    if values is None:
        return None
    return stiffness_of(values, counts(geometry)[0], f"{name}: point attribute '{holding.stiffness}'")


def _pinned(geometry: hou.Geometry, holding: Holding, name: str) -> UInt8 | None:
    """1 where the attribute is above 0 or the group has the point."""
    points, values = counts(geometry)[0], _numbers(geometry, holding.pin)
    pinned = None if values is None else pinned_of(values, points, f"{name}: point attribute '{holding.pin}'")
    if holding.group:
        group = geometry.findPointGroup(holding.group)
        if group is None:
            raise Refused(f"{name}: there is no point group '{holding.group}'. Make it, or clear Pin Group.")
        pinned = np.zeros(points, np.uint8) if pinned is None else pinned
        pinned[_members(group)] = 1
    return pinned


def _numbers(geometry: hou.Geometry, name: str) -> NDArray[Any] | None:
    """A point attribute's values, [values]; None where there is none of that name. Not one per point where the
    attribute is a vector. Raises Refused for words."""
    attrib = geometry.findPointAttrib(name) if name else None
    if attrib is None:
        return None
    if attrib.dataType() == hou.attribData.Int:
        return np.frombuffer(geometry.pointIntAttribValuesAsString(name), np.int32)
    if attrib.dataType() == hou.attribData.Float:
        return np.frombuffer(geometry.pointFloatAttribValuesAsString(name), np.float32)
    raise Refused(f"point attribute '{name}' is no number. Make it a float, or name another.")


def _members(group: hou.PointGroup) -> NDArray[np.int64]:
    """The numbers of a group's points: point by point, but only of a group that somebody named."""
    return np.array([point.number() for point in group.points()], np.int64)


def _topology_one_by_one(geometry: hou.Geometry) -> tuple[Int32, Int32]:
    """Where the verb is missing: seconds per million corners."""
    corners = [[vertex.point().number() for vertex in prim.vertices()] for prim in geometry.prims()]
    flat = [number for face in corners for number in face]
    return np.array([len(face) for face in corners], np.int32), np.array(flat, np.int32)


def _verb(name: str) -> hou.SopVerb | None:
    verb = hou.sopNodeTypeCategory().nodeVerb(name)
    return verb if isinstance(verb, hou.SopVerb) else None


def _int(value: Any) -> int:
    return int(value)
