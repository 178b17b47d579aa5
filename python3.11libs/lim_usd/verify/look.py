"""What a mesh is bound to, and whether its shaders can read what the mesh has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from pxr import Sdf, Usd, UsdGeom, UsdShade

from lim_usd.verify.findings import Findings

_COLORS = ("diffuseColor", "emissiveColor", "specularColor")


def check_look(prim: Usd.Prim, look_expected: bool, findings: Findings) -> list[UsdShade.Material]:
    """The mesh's materials, after a check of its bindings; `look_expected` where the stage has any material."""
    found = []
    for bound in (prim, *(subset.GetPrim() for subset in _material_subsets(prim))):
        _check_binding(bound, findings)
        material, _ = UsdShade.MaterialBindingAPI(bound).ComputeBoundMaterial()
        if material:
            found.append(material)
    if not found and look_expected and not findings.has("binding-broken", prim.GetPath()):
        words = "is bound to no material, though the asset has some"
        findings.add("no-material", prim.GetPath(), words, "Bind it to one")
    for material in found:
        _check_material(material, prim, findings)
    _check_subsets(prim, findings)
    return found


def has_materials(stage: Usd.Stage) -> bool:
    """Whether the asset has a look at all."""
    return any(UsdShade.Material(prim) for prim in stage.Traverse())


def texture_readers(material: UsdShade.Material) -> Iterator[tuple[UsdShade.Shader, str | None]]:
    """Each texture of a material and the primvar it is read at; None where nothing says."""
    for shader in _shaders(material):
        if shader.GetShaderId() == "UsdUVTexture":
            yield shader, _varname(shader)


def _check_binding(prim: Usd.Prim, findings: Findings) -> None:
    for relation in prim.GetRelationships():
        if not relation.GetName().startswith("material:binding") or "collection" in relation.GetName():
            continue
        if not prim.HasAPI("MaterialBindingAPI"):
            words = "has a material binding and not the MaterialBindingAPI, so hosts may pass over it"
            findings.add("binding-without-api", prim.GetPath(), words, "Apply MaterialBindingAPI")
        for target in relation.GetTargets():
            if not UsdShade.Material(prim.GetStage().GetPrimAtPath(target)):
                words = f"is bound to {target}, which is no material"
                findings.add("binding-broken", prim.GetPath(), words, "Bind it to a material that exists")


def _check_material(material: UsdShade.Material, mesh: Usd.Prim, findings: Findings) -> None:
    surface, _, _ = material.ComputeSurfaceSource()
    if not surface:
        words = "has no surface shader for any renderer"
        findings.add("no-surface", material.GetPath(), words, "Connect its outputs:surface")
        return
    for shader in _shaders(material):
        _check_connections(shader, findings)
        identifier = str(shader.GetShaderId() or "")
        if identifier == "UsdUVTexture":
            _check_texture(shader, findings)
        if identifier.startswith("UsdPrimvarReader_"):
            _check_reader(shader, mesh, findings)
    for name in _COLORS:
        for source in _sources(surface, name):
            space = source.GetInput("sourceColorSpace")
            if source.GetShaderId() == "UsdUVTexture" and space and space.Get() == "raw":
                words = f"feeds {name} and is read as raw numbers, so its colours come out too light"
                findings.add("texture-color-space", source.GetPath(), words, "Set sourceColorSpace to sRGB or auto")


def _check_connections(shader: UsdShade.Shader, findings: Findings) -> None:
    for given in shader.GetInputs():
        for path in given.GetAttr().GetConnections():
            if not shader.GetPrim().GetStage().GetAttributeAtPath(path):
                words = f"is connected to {path}, which does not exist"
                findings.add("connection-broken", given.GetAttr().GetPath(), words, "Connect it to what is there")


def _check_texture(shader: UsdShade.Shader, findings: Findings) -> None:
    file = shader.GetInput("file")
    value = _value(file)
    if not isinstance(value, Sdf.AssetPath) or not value.path:
        findings.add("texture-unset", shader.GetPath(), "is a texture without a file", "Name its image")
    given = shader.GetInput("st")
    if not given or not given.GetAttr().HasAuthoredConnections():
        words = "is a texture that reads no texture coordinates, so all of it shows one pixel"
        findings.add("texture-without-st", shader.GetPath(), words, "Connect its st to a primvar reader")


def _check_reader(shader: UsdShade.Shader, mesh: Usd.Prim, findings: Findings) -> None:
    name = _value(shader.GetInput("varname"))
    if not name:
        findings.add("reader-unset", shader.GetPath(), "reads a primvar without a name", "Set its varname")
        return
    primvar = UsdGeom.PrimvarsAPI(mesh).FindPrimvarWithInheritance(str(name))
    if not primvar or not primvar.HasAuthoredValue():
        there = [each.GetPrimvarName() for each in UsdGeom.PrimvarsAPI(mesh).FindPrimvarsWithInheritance()]
        listed = ", ".join(sorted(there)) or "none"
        words = f"reads primvar {name}, which {mesh.GetPath()} has not (it has {listed})"
        findings.add("primvar-name", shader.GetPath(), words, "Read a primvar that the mesh has")


def _check_subsets(prim: Usd.Prim, findings: Findings) -> None:
    geom = UsdGeom.Imageable(prim)
    faces = len(UsdGeom.Mesh(prim).GetFaceVertexCountsAttr().Get(Usd.TimeCode.EarliestTime()) or [])
    for family in UsdGeom.Subset.GetAllGeomSubsetFamilyNames(geom):
        subsets = list(UsdGeom.Subset.GetGeomSubsets(geom, UsdGeom.Tokens.face, family))
        taken = np.zeros(faces, np.int64)
        for subset in subsets:
            _count_faces(subset, taken, findings)
        kind = UsdGeom.Subset.GetFamilyType(geom, family)
        if kind != UsdGeom.Tokens.unrestricted and (taken > 1).any():
            words = f"has {int((taken > 1).sum())} faces in more than one subset of family {family}"
            findings.add("subset-overlap", prim.GetPath(), words, "Give each face to one subset")
        if kind == UsdGeom.Tokens.partition and (taken == 0).any():
            words = f"has {int((taken == 0).sum())} faces in no subset of family {family}, said to be a partition"
            findings.add("subset-incomplete", prim.GetPath(), words, "Give each face to one subset")


def _count_faces(subset: UsdGeom.Subset, taken: NDArray[np.int64], findings: Findings) -> None:
    indices = np.asarray(subset.GetIndicesAttr().Get(Usd.TimeCode.EarliestTime()) or [], np.int64)
    inside = (indices >= 0) & (indices < len(taken))
    if not inside.all():
        words = f"names {int((~inside).sum())} faces that the mesh has not got"
        findings.add("subset-range", subset.GetPath(), words, "Name faces from 0 to the last")
    np.add.at(taken, indices[inside], 1)


def _material_subsets(prim: Usd.Prim) -> Sequence[UsdGeom.Subset]:
    return UsdShade.MaterialBindingAPI(prim).GetMaterialBindSubsets()


def _shaders(material: UsdShade.Material) -> Iterator[UsdShade.Shader]:
    for prim in Usd.PrimRange(material.GetPrim()):
        if shader := UsdShade.Shader(prim):
            yield shader


def _sources(shader: UsdShade.Shader, name: str) -> Iterator[UsdShade.Shader]:
    given = shader.GetInput(name)
    for attribute in UsdShade.Utils.GetValueProducingAttributes(given) if given else []:
        if source := UsdShade.Shader(attribute.GetPrim()):
            yield source


def _varname(texture: UsdShade.Shader) -> str | None:
    for source in _sources(texture, "st"):
        if source.GetShaderId() == "UsdTransform2d":
            return next((str(_value(each.GetInput("varname"))) for each in _sources(source, "in")), None)
        return str(_value(source.GetInput("varname")))
    return None


def _value(given: UsdShade.Input | None) -> object:
    if not given:
        return None
    attributes = UsdShade.Utils.GetValueProducingAttributes(given)
    return attributes[0].Get(Usd.TimeCode.EarliestTime()) if attributes else None
