"""Values that lie on a mesh: whether there are as many as it needs, and texture coordinates in particular."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pxr import Sdf, Usd, UsdGeom, UsdShade

from lim_usd.verify.findings import Findings
from lim_usd.verify.look import texture_readers
from lim_usd.verify.surface import Faces

_TILES = 10  # UDIM's across; whoever repeats a texture more often does it in the shader
_MIRRORED = 0.9  # of the area in texture space: half of it is the other half of a symmetric thing
_AGAIN = "Export it again"
_TYPES = {
    "points": "point3f[]",
    "normals": "normal3f[]",
    "velocities": "vector3f[]",
    "accelerations": "vector3f[]",
    "extent": "float3[]",
    "faceVertexCounts": "int[]",
    "faceVertexIndices": "int[]",
}


def check_types(prim: Usd.Prim, findings: Findings) -> None:
    """Attributes of the mesh that are of another type than the schema's: hosts pass over them, or stop."""
    for name, kind in _TYPES.items():
        for spec in prim.GetAttribute(name).GetPropertyStack(Usd.TimeCode.EarliestTime()):
            if isinstance(spec, Sdf.AttributeSpec) and str(spec.typeName) != kind:
                words = f"is of type {spec.typeName}, not {kind}"
                findings.add("wrong-type", prim.GetPath().AppendProperty(name), words, _AGAIN)


def check_primvars(prim: Usd.Prim, faces: Faces, points: int, time: Usd.TimeCode, findings: Findings) -> None:
    """Counts, indices and finiteness of all primvars."""
    sizes = {
        UsdGeom.Tokens.constant: 1,
        UsdGeom.Tokens.uniform: len(faces.counts),
        UsdGeom.Tokens.vertex: points,
        UsdGeom.Tokens.varying: points,
        UsdGeom.Tokens.faceVarying: len(faces.indices),
    }
    for primvar in UsdGeom.PrimvarsAPI(prim).GetPrimvarsWithAuthoredValues():
        if primvar.GetTypeName().isArray and not primvar.GetPrimvarName().startswith("skel:"):
            _check_primvar(primvar, sizes, time, findings)


def check_st(prim: Usd.Prim, faces: Faces, materials: Sequence[UsdShade.Material], findings: Findings) -> None:
    """The texture coordinates that the mesh's textures are read at, or else its `st`."""
    named: dict[str, UsdShade.Shader | None] = {}
    for material in materials:
        named.update({name: shader for shader, name in texture_readers(material) if name})
    for name, shader in (named or {"st": None}).items():
        primvar = UsdGeom.PrimvarsAPI(prim).FindPrimvarWithInheritance(name)
        if primvar and primvar.HasAuthoredValue():
            _check_coordinates(primvar, faces, shader, findings)


def _check_primvar(primvar: UsdGeom.Primvar, sizes: dict[str, int], time: Usd.TimeCode, findings: Findings) -> None:
    path, spread = primvar.GetAttr().GetPath(), primvar.GetInterpolation()
    values = np.asarray(primvar.Get(time) if primvar.Get(time) is not None else [])
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        findings.add("primvar-nan", path, "has values that are not finite", _AGAIN)
    needed = sizes.get(str(spread), 1) * (1 if primvar.IsIndexed() else max(1, primvar.GetElementSize()))
    given = np.asarray(primvar.GetIndices(time)) if primvar.IsIndexed() else values
    if len(given) != needed:
        what = "indices" if primvar.IsIndexed() else "values"
        words = f"has {len(given)} {what} where {spread} interpolation needs {needed}"
        findings.add("primvar-count", path, words, _AGAIN)
    elif primvar.IsIndexed() and len(given) and not (given.min() >= 0 and given.max() < len(values)):
        words = f"has indices from {given.min()} to {given.max()} into {len(values)} values"
        findings.add("primvar-index-range", path, words, _AGAIN)


def _check_coordinates(
    primvar: UsdGeom.Primvar, faces: Faces, shader: UsdShade.Shader | None, findings: Findings
) -> None:
    path = primvar.GetAttr().GetPath()
    if "texCoord2" not in str(primvar.GetTypeName()):
        words = f"is of type {primvar.GetTypeName()}: hosts look for texCoord2f[]"
        findings.add("st-type", path, words, "Write it as texCoord2f[]")
    if primvar.ValueMightBeTimeVarying():
        words = "is time-sampled, which several hosts do not read"
        findings.add("st-animated", path, words, "Write one value: texture coordinates do not move")
    corners = _of_corners(primvar, faces)
    if corners is None or not len(corners):
        return
    low, high = corners.min(0), corners.max(0)
    if not (high - low).any():
        words = "has one texture coordinate for all corners"
        findings.add("st-collapsed", path, words, "Unwrap the mesh")
        return
    _check_range(primvar, low, high, shader, findings)
    a, b, c = corners[faces.corners].transpose(1, 0, 2)
    u, v = b - a, c - a
    areas = (u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]) * (-1 if faces.flipped else 1)
    total = np.abs(areas).sum()
    if total == 0:
        findings.add("st-collapsed", path, "has no area in texture space", "Unwrap the mesh")
    elif -areas[areas < 0].sum() > _MIRRORED * total:
        words = "is mirrored: faces that are counter-clockwise on the mesh are clockwise in the texture"
        findings.add("st-mirrored", path, words, "Mirror the coordinates, and the image with them")


def _check_range(
    primvar: UsdGeom.Primvar,
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    shader: UsdShade.Shader | None,
    findings: Findings,
) -> None:
    path, span = primvar.GetAttr().GetPath(), f"from ({low[0]:.4g}, {low[1]:.4g}) to ({high[0]:.4g}, {high[1]:.4g})"
    if (high - low).max() > _TILES:
        words = f"runs {span}, far over the unit square: pixels, or points, in place of texture coordinates"
        findings.add("st-range", path, words, "Divide it by the size of the image, or project it anew")
    elif shader is not None and not _has_tiles(shader) and ((low > 1).any() or (high < 0).any()):
        words = f"runs {span}, wholly outside of the one tile of its texture"
        findings.add("st-range", path, words, "Move it into the unit square, or give the texture as UDIM tiles")


def _has_tiles(shader: UsdShade.Shader) -> bool:
    file = shader.GetInput("file").Get() if shader.GetInput("file") else None
    return isinstance(file, Sdf.AssetPath) and "<UDIM>" in file.path


def _of_corners(primvar: UsdGeom.Primvar, faces: Faces) -> NDArray[Any] | None:
    """The value at each corner, [corners, 2]; None where counts do not fit, which is told elsewhere."""
    time = Usd.TimeCode.EarliestTime()
    values = np.asarray(primvar.Get(time), np.float64)
    indices = np.asarray(primvar.GetIndices(time)) if primvar.IsIndexed() else np.arange(len(values))
    if primvar.GetInterpolation() in (UsdGeom.Tokens.vertex, UsdGeom.Tokens.varying):
        if len(indices) <= int(faces.indices.max()):
            return None
        indices = indices[faces.indices]
    fits = len(indices) == len(faces.indices) and len(indices) and indices.min() >= 0 and indices.max() < len(values)
    return values[indices] if fits and np.isfinite(values).all() else None
