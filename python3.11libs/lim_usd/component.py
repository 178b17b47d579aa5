"""What an asset holds before its first frame: root, geometry, look, and how they hang together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pxr import Kind, Sdf, Tf, Usd, UsdGeom, UsdShade, Vt

from lim_usd.arrays import ints
from lim_usd.material import define_material
from lim_usd.mesh import MeshPrim
from lim_usd.pieces import part_faces, split
from lim_usd.source import Part, Source

PART_FAMILY = "part"


def root_path(file: Path) -> Sdf.Path:
    """The root prim's path: the file's name, as USD can say it."""
    return Sdf.Path.absoluteRootPath.AppendChild(Tf.MakeValidIdentifier(file.stem))


def mesh_prims(root: Sdf.Path, source: Source, velocities: bool, split_parts: bool) -> list[MeshPrim]:
    """One mesh prim for the whole source, or one for each of its parts."""
    geo = root.AppendChild("geo")
    if not split_parts or len(source.parts) < 2:
        return [MeshPrim(geo.AppendChild("mesh"), source.mesh, slice(None), velocities)]
    pieces = split(source.mesh, source.parts)
    names = _identifiers([part.name for part in source.parts])
    return [MeshPrim(geo.AppendChild(name), mesh, points, velocities) for name, (mesh, points) in zip(names, pieces)]


def define_component(
    stage: Usd.Stage, file: Path, source: Source, meshes: Sequence[MeshPrim], texture: str | None
) -> None:
    """Author everything but time samples. `texture` is the image's path from the file's folder."""
    path = root_path(file)
    root = UsdGeom.Xform.Define(stage, path)
    stage.SetDefaultPrim(root.GetPrim())
    model = Usd.ModelAPI(root)
    model.SetKind(Kind.Tokens.component)
    model.SetAssetName(file.stem)
    model.SetAssetIdentifier(Sdf.AssetPath(f"./{file.name}"))
    UsdGeom.ModelAPI.Apply(root.GetPrim()).SetExtentsHint(Vt.Vec3fArray(2))
    UsdGeom.Scope.Define(stage, path.AppendChild("geo"))
    UsdGeom.Scope.Define(stage, path.AppendChild("mtl"))
    colored = source.mesh.colors is not None
    material = define_material(stage, path.AppendPath("mtl/preview"), texture, colored)
    for mesh in meshes:
        prim = mesh.define(stage)
        UsdShade.MaterialBindingAPI.Apply(prim.GetPrim()).Bind(material)
    if len(meshes) == 1 and len(source.parts) > 1:
        _define_subsets(UsdGeom.Mesh.Get(stage, meshes[0].path), source.parts)


def _define_subsets(mesh: UsdGeom.Mesh, parts: Sequence[Part]) -> None:
    names = _identifiers([part.name for part in parts])
    for name, faces in zip(names, part_faces(parts)):
        indices = ints(np.arange(faces.start, faces.stop))
        UsdGeom.Subset.CreateGeomSubset(mesh, name, UsdGeom.Tokens.face, indices, PART_FAMILY)
    UsdGeom.Subset.SetFamilyType(mesh, PART_FAMILY, UsdGeom.Tokens.partition)


def _identifiers(names: Sequence[str]) -> list[str]:
    """Names as USD can say them, told apart by a number where they would meet."""
    taken: dict[str, int] = {}
    result = []
    for name in names:
        plain = Tf.MakeValidIdentifier(name)
        unique = plain
        while unique in taken:
            taken[plain] += 1
            unique = f"{plain}_{taken[plain]}"
        taken[unique] = 1
        result.append(unique)
    return result
