"""Texture coordinates and colours of a mesh prim, whatever their interpolation, as a Mesh keeps them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pxr import Usd, UsdGeom

from lim_protocol.types import Float32, Int32, UInt8
from lim_usd.color import srgb
from lim_usd.indexed import each_once
from lim_usd.source import BadSource

# What exporters call the first set, most binding first; a shader's own choice comes before these.
UV_NAMES = ("st", "UVMap", "uv", "map1", "st0", "st_0", "UVChannel_1")


def uv_primvars(prim: Usd.Prim, time: Usd.TimeCode) -> list[UsdGeom.Primvar]:
    """The prim's primvars that can be texture coordinates, the likeliest first."""
    found = [
        primvar
        for primvar in UsdGeom.PrimvarsAPI(prim).FindPrimvarsWithInheritance()
        if _is_uv(primvar) and primvar.Get(time)
    ]
    rank = {name: place for place, name in enumerate(UV_NAMES)}
    role = [primvar for primvar in found if "texCoord" in str(primvar.GetTypeName())]
    named = [primvar for primvar in found if primvar.GetPrimvarName() in rank and primvar not in role]
    return sorted(role + named, key=lambda primvar: rank.get(primvar.GetPrimvarName(), len(rank)))


def read_st(primvar: UsdGeom.Primvar, time: Usd.TimeCode, points: int, corner_points: Int32) -> tuple[Float32, Int32]:
    """Texture coordinates float32 [uvs, 2] and the one of each corner, int32 [corners].

    Values of every corner of its own are made shared, so that seams are where the values differ.
    Raises BadSource where counts or indices do not fit the mesh.
    """
    each_corner = primvar.GetInterpolation() == UsdGeom.Tokens.faceVarying
    values, indices = _elements(primvar, time, len(corner_points) if each_corner else points)
    st = np.array(values[:, :2], np.float32)
    if not each_corner:
        return st, indices[corner_points].astype(np.int32)
    if primvar.IsIndexed():
        return st, indices.astype(np.int32)
    return each_once(st, indices.astype(np.int32))


def read_colors(
    primvar: UsdGeom.Primvar, time: Usd.TimeCode, points: int, counts: Int32, corner_points: Int32
) -> UInt8:
    """A colour for every point, uint8 [points, 3] sRGB; where faces or corners have one, the mean of those around.

    Raises BadSource where the count of values does not fit the mesh.
    """
    sizes = {
        UsdGeom.Tokens.constant: 1,
        UsdGeom.Tokens.uniform: len(counts),
        UsdGeom.Tokens.faceVarying: len(corner_points),
    }
    interpolation = primvar.GetInterpolation()
    values, indices = _elements(primvar, time, sizes.get(interpolation, points))
    light = values[indices]
    if interpolation == UsdGeom.Tokens.constant:
        return srgb(np.repeat(light, points, axis=0))
    if interpolation == UsdGeom.Tokens.uniform:
        light = np.repeat(light, counts, axis=0)
    elif interpolation != UsdGeom.Tokens.faceVarying:
        return srgb(light)
    return srgb(_mean_per_point(light, corner_points, points))


def read_per_point(prim: Usd.Prim, name: str, time: Usd.TimeCode, points: int) -> NDArray[np.float64] | None:
    """A number for every point, float64 [points], of a primvar that may also be one for all; None without it.

    Raises BadSource for anything but one number per point or one for all.
    """
    primvar = UsdGeom.PrimvarsAPI(prim).FindPrimvarWithInheritance(name)
    if not primvar or primvar.Get(time) is None:
        return None
    constant = primvar.GetInterpolation() == UsdGeom.Tokens.constant
    if not constant and primvar.GetInterpolation() not in (UsdGeom.Tokens.vertex, UsdGeom.Tokens.varying):
        raise BadSource(
            f"{primvar.GetName()} is {primvar.GetInterpolation()}. Make it vertex, a number for each point."
        )
    if str(primvar.GetTypeName()).removesuffix("[]") not in ("float", "double", "half", "int", "uchar", "bool"):
        raise BadSource(f"{primvar.GetName()} is of type {primvar.GetTypeName()}. Make it numbers: float[] or int[].")
    values, indices = _elements(primvar, time, 1 if constant else points)
    return np.broadcast_to(values[indices], (points,))


def _mean_per_point(values: NDArray[np.float64], corner_points: Int32, points: int) -> NDArray[np.float64]:
    sums = np.stack([np.bincount(corner_points, values[:, axis], points) for axis in range(3)], axis=1)
    return sums / np.maximum(np.bincount(corner_points, minlength=points), 1)[:, None]


def _is_uv(primvar: UsdGeom.Primvar) -> bool:
    kind = str(primvar.GetTypeName())
    fits = kind.startswith(("texCoord", "float2", "double2", "half2")) and kind.endswith("[]")
    spread = (UsdGeom.Tokens.faceVarying, UsdGeom.Tokens.vertex, UsdGeom.Tokens.varying)
    return fits and primvar.GetInterpolation() in spread and primvar.GetElementSize() == 1


def _elements(primvar: UsdGeom.Primvar, time: Usd.TimeCode, count: int) -> tuple[NDArray[np.float64], NDArray[Any]]:
    """The primvar's values, and which of them each of `count` elements has."""
    values = np.atleast_1d(np.asarray(primvar.Get(time), np.float64))
    indices = np.asarray(primvar.GetIndices(time)) if primvar.IsIndexed() else np.arange(len(values))
    name, kind = primvar.GetName(), primvar.GetInterpolation()
    if len(indices) != count:
        raise BadSource(f"{name} ({kind}) has {len(indices)} values where the mesh needs {count}. Export it again.")
    if len(indices) and (indices.min() < 0 or indices.max() >= len(values)):
        raise BadSource(f"{name} has indices from {indices.min()} to {indices.max()} into {len(values)} values.")
    return values, indices
