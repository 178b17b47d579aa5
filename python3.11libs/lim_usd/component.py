"""What an asset holds besides its samples: root, geometry, look, and how they hang together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pxr import Kind, Sdf, Tf, Usd, UsdGeom, UsdMedia, UsdShade

from lim_usd.arrays import ints
from lim_usd.layout import Layout, anchored
from lim_usd.material import define_material
from lim_usd.mesh import MOTION, QUALITY, RATES, MeshPrim
from lim_usd.pieces import part_faces, split
from lim_usd.source import Part, Source

PART_FAMILY = "part"


def frame_arrays(velocities: bool, quality: bool) -> tuple[str, ...]:
    """The arrays of a frame that are written."""
    return (*MOTION, *(RATES if velocities else ()), *(QUALITY if quality else ()))


def mesh_prims(root: Sdf.Path, source: Source, arrays: Sequence[str], split_parts: bool) -> list[MeshPrim]:
    """One mesh prim for the whole source, or one for each of its parts."""
    geo = root.AppendChild("geo")
    if not split_parts or len(source.parts) < 2:
        return [MeshPrim(geo.AppendChild("mesh"), source.mesh, slice(None), arrays)]
    pieces = split(source.mesh, source.parts)
    names = _identifiers([part.name for part in source.parts])
    return [MeshPrim(geo.AppendChild(name), mesh, points, arrays) for name, (mesh, points) in zip(names, pieces)]


def define_root(stage: Usd.Stage, layout: Layout) -> Usd.Prim:
    """Author what a shot sees before it loads anything: a component with a name and a class to change it by."""
    root = UsdGeom.Xform.Define(stage, layout.prim).GetPrim()
    stage.SetDefaultPrim(root)
    model = Usd.ModelAPI(root)
    model.SetKind(Kind.Tokens.component)
    model.SetAssetName(layout.root.stem)
    model.SetAssetIdentifier(Sdf.AssetPath(f"./{layout.root.name}"))
    classes = stage.CreateClassPrim("/__class__").GetPath()
    shared = stage.CreateClassPrim(classes.AppendChild(root.GetName()))
    root.GetInherits().AddInherit(shared.GetPath())
    return root


def set_thumbnail(root: Usd.Prim, layout: Layout) -> None:
    """Name the asset's picture, for browsers."""
    previews = UsdMedia.AssetPreviewsAPI.Apply(root)
    image = Sdf.AssetPath(anchored(layout.thumbnail, layout.root))
    previews.SetDefaultThumbnails(UsdMedia.AssetPreviewsAPI.Thumbnails(image))


def define_geometry(stage: Usd.Stage, root: Sdf.Path, source: Source, meshes: Sequence[MeshPrim]) -> None:
    """Author the meshes, with all that does not move."""
    stage.SetDefaultPrim(UsdGeom.Xform.Define(stage, root).GetPrim())
    UsdGeom.Scope.Define(stage, root.AppendChild("geo"))
    for mesh in meshes:
        mesh.define(stage)
    if len(meshes) == 1 and len(source.parts) > 1:
        _define_subsets(UsdGeom.Mesh.Get(stage, meshes[0].path), source.parts)


def define_look(
    stage: Usd.Stage, root: Sdf.Path, meshes: Sequence[MeshPrim], texture: str | None, colored: bool
) -> None:
    """Author the material and bind the meshes to it. `texture` is the image's path from the layer's folder."""
    stage.SetDefaultPrim(UsdGeom.Xform.Define(stage, root).GetPrim())
    UsdGeom.Scope.Define(stage, root.AppendChild("mtl"))
    material = define_material(stage, root.AppendPath("mtl/preview"), texture, colored)
    for mesh in meshes:
        UsdShade.MaterialBindingAPI.Apply(stage.OverridePrim(mesh.path)).Bind(material)


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
