"""Geometry of the stand-in: numpy arrays per attribute, faces as counts and a table of points."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np


class EnumValue:
    def __init__(self, name):
        self._name = name

    def name(self):
        return self._name

    def __repr__(self):
        return self._name


def _enum(*names):
    return SimpleNamespace(**{name: EnumValue(name) for name in names})


attribType = _enum("Point", "Vertex", "Prim", "Global")
attribData = _enum("Int", "Float", "String")
numericData = _enum("Int8", "Int16", "Int32", "Int64", "Float16", "Float32", "Float64")
primType = _enum(
    "Polygon", "PackedGeometry", "PackedFragment", "PackedPrim", "AlembicRef", "VDB", "Volume", "PolySoup", "Mesh",
    "NURBSSurface", "BezierSurface", "TriangleFan", "TriangleStrip", "Sphere", "Tube",
)  # fmt: skip


class Attrib:
    def __init__(self, geometry, kind, name):
        self._geometry, self._kind, self._name = geometry, kind, name

    def name(self):
        return self._name

    def size(self):
        values = self._geometry._attribs[self._kind][self._name]
        return values.shape[1] if getattr(values, "ndim", 1) > 1 else 1

    def dataType(self):
        values = self._geometry._attribs[self._kind][self._name]
        dtype = getattr(values, "dtype", None)
        return attribData.String if dtype is None else attribData.Int if dtype.kind == "i" else attribData.Float

    def destroy(self):
        del self._geometry._attribs[self._kind][self._name]


class Geometry:
    """`_others` counts primitives that are no polygons, by the type's name; `_packed` is what a packed one holds."""

    def __init__(self, geo=None):
        self._writable = True
        self._counts, self._table = np.zeros(0, np.int32), np.zeros(0, np.int32)
        self._attribs = {kind: {} for kind in ("Point", "Vertex", "Prim", "Global")}
        self._attribs["Point"]["P"] = np.zeros((0, 3), np.float32)
        self._groups = {}
        self._others, self._packed = {}, None
        if geo is not None:
            self.copy(geo)

    def _write(self):
        if not self._writable:
            raise RuntimeError("GeometryPermissionError: this geometry is read-only")

    def _many(self, kind):
        return {"Point": len(self._attribs["Point"]["P"]), "Vertex": len(self._table), "Prim": self._prims()}[kind]

    def _prims(self):
        return len(self._counts) + sum(self._others.values())

    # ---- what Houdini has

    def copy(self, geometry, clone_data_ids=False, prims=None):
        self._write()
        for name in ("_counts", "_table", "_others", "_packed"):
            setattr(self, name, getattr(geometry, name))
        self._attribs = {kind: dict(values) for kind, values in geometry._attribs.items()}
        self._groups = dict(geometry._groups)

    def clear(self):
        self._write()
        self.__init__()

    def freeze(self, read_only=False, clone_data_ids=False):
        frozen = Geometry(self)
        frozen._writable = not read_only
        return frozen

    def intrinsicValue(self, intrinsic_name):
        counts = {"pointcount": "Point", "vertexcount": "Vertex", "primitivecount": "Prim"}
        return self._many(counts[intrinsic_name])

    def countPrimType(self, type_or_name):
        name = type_or_name.name()
        return len(self._counts) if name == "Polygon" else self._others.get(name, 0)

    def prims(self):
        ends = np.cumsum(self._counts)
        return tuple(_Prim(self._table[end - count : end]) for end, count in zip(ends, self._counts))

    def addAttrib(self, type, name, default_value, transform_as_normal=False, create_local_variable=False):
        self._write()
        kind = type.name()
        if kind == "Global":
            self._attribs[kind][name] = default_value
        elif isinstance(default_value, str):
            self._attribs[kind][name] = [default_value] * self._many(kind)
        else:
            dtype = np.int32 if isinstance(np.asarray(default_value).flat[0], np.integer) else np.float32
            one = np.asarray(default_value, dtype)
            self._attribs[kind][name] = np.broadcast_to(one, (self._many(kind), *one.shape)).copy()
        return Attrib(self, kind, name)

    def _find(self, kind, name):
        return Attrib(self, kind, name) if name in self._attribs[kind] else None

    def findPointAttrib(self, name):
        return self._find("Point", name)

    def findVertexAttrib(self, name):
        return self._find("Vertex", name)

    def findPrimAttrib(self, name):
        return self._find("Prim", name)

    def findGlobalAttrib(self, name):
        return self._find("Global", name)

    def attribValue(self, name_or_attrib):
        return self._attribs["Global"][name_or_attrib]

    def setGlobalAttribValue(self, name_or_attrib, attrib_value):
        self._write()
        self._attribs["Global"][name_or_attrib] = attrib_value

    def createPoints(self, point_positions):
        self._write()
        assert not self._many("Point"), "the stand-in makes points once"
        self._attribs["Point"]["P"] = np.array(list(point_positions), np.float32).reshape(-1, 3)
        return tuple(range(self._many("Point")))

    def createPolygons(self, point_positions, is_closed=True):
        self._write()
        assert not self._prims(), "the stand-in makes polygons once"
        self._counts = np.array([len(face) for face in point_positions], np.int32)
        self._table = np.array([int(number) for face in point_positions for number in face], np.int32)
        return tuple(range(len(self._counts)))

    def loadFromFile(self, file_name):
        """Wavefront OBJ and nothing else, its faces turned to run clockwise, as Houdini does."""
        points, faces = [], []
        for line in Path(file_name).read_text().splitlines():
            word, *rest = line.split() or [""]
            if word == "v":
                points.append([float(x) for x in rest[:3]])
            elif word == "f":
                first, *others = [int(part.split("/")[0]) - 1 for part in rest]
                faces.append([first, *others[::-1]])
        self.clear()
        self.createPoints(points)
        self.createPolygons(faces)

    def pointGroups(self):
        return tuple(name for kind, name in self._groups if kind == "Point")

    def findPointGroup(self, name, scope=None):
        numbers = self._groups.get(("Point", name))
        return None if numbers is None else PointGroup(numbers)

    def primGroups(self):
        return tuple(name for kind, name in self._groups if kind == "Prim")


class PointGroup:
    def __init__(self, numbers):
        self._numbers = numbers

    def points(self):
        return tuple(_Vertex(number) for number in self._numbers)


class _Prim:
    def __init__(self, table):
        self._table = table

    def vertices(self):
        return tuple(_Vertex(number) for number in self._table)


class _Vertex:
    def __init__(self, number):
        self._number = number

    def point(self):
        return self

    def number(self):
        return int(self._number)


def _bulk(kind, number):
    """The four methods per class of attribute and type of number."""
    dtype = {"Float": np.float32, "Int": np.int32}[number]

    def read(self, name):
        values = np.asarray(self._attribs[kind][name])
        assert values.dtype == dtype, f"{name} is {values.dtype}"
        return values.tobytes()

    def write(self, name, values):
        self._write()
        assert isinstance(values, bytes), "Houdini wants bytes"
        there = self._attribs[kind][name]
        assert there.dtype == dtype
        if len(values) != there.nbytes:
            raise RuntimeError(f"OperationFailed: {len(values)} bytes for {there.nbytes}")
        self._attribs[kind][name] = np.frombuffer(values, dtype).reshape(there.shape)

    low = kind.lower()
    setattr(Geometry, f"{low}{number}AttribValuesAsString", read)
    setattr(Geometry, f"set{kind}{number}AttribValuesFromString", write)


for _kind in ("Point", "Vertex", "Prim"):
    for _number in ("Float", "Int"):
        _bulk(_kind, _number)


class SopVerb:
    def __init__(self, name):
        self._name, self._parms = name, {}

    def setParms(self, p):
        self._parms = dict(p)

    def execute(self, dest, inputs):
        assert len(inputs) == 1
        dest.copy(inputs[0])
        {"attribpromote": _promote, "unpack": _unpack, "convert": _convert}[self._name](dest, self._parms)


def _promote(geometry, parms):
    kinds = ("Global", "Prim", "Point", "Vertex")
    source, target = kinds[parms["inclass"]], kinds[parms["outclass"]]
    values = geometry._attribs[source].pop(parms["inname"])
    if (source, target, parms["method"]) == ("Point", "Vertex", 8):
        promoted = values[geometry._table]
    else:
        assert (source, target, parms["method"]) == ("Vertex", "Prim", 5)
        face = np.repeat(np.arange(len(geometry._counts)), geometry._counts)
        promoted = np.bincount(face, values, minlength=len(geometry._counts)).astype(values.dtype)
    geometry._attribs[target][parms["inname"]] = promoted


def _unpack(geometry, parms):
    if geometry._packed is not None:
        geometry.copy(geometry._packed)


def _convert(geometry, parms):
    """Only what a test puts in `_packed` can be converted here."""
    _unpack(geometry, parms)


class _Category:
    _without = frozenset()

    def nodeVerb(self, verb_name):
        known = {"attribpromote", "unpack", "convert"} - self._without
        return SopVerb(verb_name) if verb_name in known else None


_category = _Category()


def sopNodeTypeCategory():
    return _category


def _save(geometry):
    """For recorded networks: arrays that np.savez takes."""
    points = {f"Point.{name}": values for name, values in geometry._attribs["Point"].items()}
    return {"counts": geometry._counts, "table": geometry._table, **points}


def _load(arrays):
    geometry = Geometry()
    geometry._counts, geometry._table = arrays["counts"], arrays["table"]
    for name, values in arrays.items():
        if name.startswith("Point."):
            geometry._attribs["Point"][name[6:]] = values
    return geometry
