"""Writes one mesh in each of the formats that keyframes come in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import trimesh
from PIL import Image
from pxr import Gf, Sdf, Usd, UsdGeom, Vt

from lim_protocol.types import Mesh, UInt8
from lim_usd.color import linear


def write_obj(path: Path, mesh: Mesh, texture: UInt8) -> None:
    """Polygons with texture coordinates; beside it the material and its image."""
    assert mesh.st is not None and mesh.st_indices is not None
    image = path.with_name(f"{path.name.split('.')[0]}_color.png")
    Image.fromarray(texture).save(image)
    library = path.with_suffix(".mtl")
    library.write_text(f"newmtl coat\nKd 1 1 1\nmap_Kd {image.name}\n")
    corners = np.stack([mesh.face_indices, mesh.st_indices], axis=1) + 1
    rings = np.split(corners, np.cumsum(mesh.face_counts)[:-1])
    lines = [f"mtllib {library.name}", "o creature"]
    lines += [f"v {x:.7f} {y:.7f} {z:.7f}" for x, y, z in mesh.points.tolist()]
    lines += [f"vt {s:.7f} {t:.7f}" for s, t in mesh.st.tolist()]
    lines += ["usemtl coat", *("f " + " ".join(f"{v}/{t}" for v, t in ring.tolist()) for ring in rings)]
    path.write_text("\n".join(lines) + "\n")


def write_ply(path: Path, mesh: Mesh) -> None:
    """Triangles with vertex colours, binary."""
    solid = trimesh.Trimesh(mesh.points, mesh.triangles(), vertex_colors=mesh.colors, process=False)
    path.write_bytes(solid.export(file_type="ply", vertex_normal=False))


def write_glb(path: Path, mesh: Mesh, texture: UInt8) -> None:
    """Triangles with texture coordinates and the image inside; points are doubled along seams."""
    assert mesh.st is not None and mesh.st_indices is not None
    pairs, corner = np.unique(np.stack([mesh.face_indices, mesh.st_indices], axis=1), axis=0, return_inverse=True)
    material = trimesh.visual.material.PBRMaterial(
        name="coat", baseColorTexture=Image.fromarray(texture), metallicFactor=0.0, roughnessFactor=0.8
    )
    visual = trimesh.visual.TextureVisuals(uv=mesh.st[pairs[:, 1]], material=material)
    faces = corner.reshape(-1, 3)
    solid = trimesh.Trimesh(mesh.points[pairs[:, 0]], faces, visual=visual, process=False)
    path.write_bytes(trimesh.Scene({"creature": solid}).export(file_type="glb"))


def write_usd(path: Path, mesh: Mesh) -> None:
    """Polygons of any number of corners, with displayColor at the points."""
    assert mesh.colors is not None
    layer = Sdf.Layer.CreateNew(str(path), {"format": "usdc"})
    stage = Usd.Stage.Open(layer)
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.y)
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    root = UsdGeom.Xform.Define(stage, "/creature")
    stage.SetDefaultPrim(root.GetPrim())
    prim = UsdGeom.Mesh.Define(stage, "/creature/mesh")
    prim.CreateFaceVertexCountsAttr(Vt.IntArray.FromNumpy(mesh.face_counts))
    prim.CreateFaceVertexIndicesAttr(Vt.IntArray.FromNumpy(mesh.face_indices))
    prim.CreatePointsAttr(Vt.Vec3fArray.FromNumpy(mesh.points))
    prim.CreateSubdivisionSchemeAttr(UsdGeom.Tokens.none)
    low, high = mesh.points.min(axis=0).tolist(), mesh.points.max(axis=0).tolist()
    prim.CreateExtentAttr(Vt.Vec3fArray([Gf.Vec3f(low), Gf.Vec3f(high)]))
    color = UsdGeom.PrimvarsAPI(prim).CreatePrimvar(
        "displayColor", Sdf.ValueTypeNames.Color3fArray, UsdGeom.Tokens.vertex
    )
    color.Set(Vt.Vec3fArray.FromNumpy(linear(mesh.colors)))
    layer.Save()
