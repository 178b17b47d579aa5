"""Files with nothing wrong in them, ours and such as others write: not a word about any."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pxr import Gf, Sdf, Usd, UsdGeom, UsdShade, UsdSkel
from usd_assets import jpeg, png
from verify_assets import TIMES, ball, foreign, frames, posed, put, write, write_clips

from lim_protocol.types import Mesh
from lim_usd.arrays import vectors
from lim_usd.mesh import point_normals
from lim_usd.source import Texture
from lim_usd.verify.run import verify

OURS: dict[str, Callable[[Path], Path]] = {
    "layers": lambda to: write(to / "a.usd", ball()),
    "flat": lambda to: write(to / "a.usd", ball(), flat=True),
    "package": lambda to: write(to / "a.usdz", ball()),
    "split": lambda to: write(to / "a.usd", ball(), split_parts=True),
    "velocities": lambda to: write(to / "a.usd", ball(), velocities=True),
    "quality of every point": lambda to: write(to / "a.usd", ball(), quality=True),
    "colours": lambda to: write(to / "a.usd", ball(texture=False)),
    "jpeg, z up": lambda to: write(
        to / "a.usd", ball(texture=Texture("a.jpg", jpeg()), up_axis="Z", metres_per_unit=1.0)
    ),
    "quarter frames": lambda to: write(to / "a.usd", ball(), np.arange(1, 4.1, 0.25)),
    "one frame": lambda to: write(to / "a.usd", ball(), [1001.0]),
    "keys only": lambda to: write(to / "a.usd", ball(), [1.0, 2.0, 3.0, 9.0, 12.0]),
    "clips": lambda to: write_clips(to / "a.usd", ball()),
    "clips, split, velocities, quality": lambda to: write_clips(
        to / "a.usd", ball(), velocities=True, quality=True, split_parts=True
    ),
}


def animated_topology(to: Path) -> Path:
    """As Houdini writes a simulation: points, faces and normals at every frame, another count at each."""
    stage = foreign(to / "sim.usd")
    mesh = UsdGeom.Mesh.Define(stage, "/obj/fluid")
    mesh.CreateSubdivisionSchemeAttr("none")
    mesh.SetNormalsInterpolation("vertex")
    for time in TIMES:
        source = ball(rings=6 + int(time) % 4, around=10 + int(time) % 3)
        put(mesh, source, posed(source, time), time)
    return _saved(stage)


def sampled_but_constant(to: Path) -> Path:
    """As Houdini writes a deforming mesh unless told otherwise: the same faces at every frame."""
    source = ball()
    stage = foreign(to / "cache.usd")
    mesh = UsdGeom.Mesh.Define(stage, "/obj/geo")
    mesh.CreateSubdivisionSchemeAttr("none")
    for frame in frames(source, TIMES, velocities=True):
        put(mesh, source, frame.points, frame.time)
        mesh.CreateVelocitiesAttr().Set(vectors(frame.velocities), frame.time)
    return _saved(stage)


def holds_and_moves(to: Path) -> Path:
    """As a writer that leaves out what has not changed: still, then moving, then still."""
    source = ball()
    stage = foreign(to / "sparse.usd")
    mesh = UsdGeom.Mesh.Define(stage, "/obj/geo")
    mesh.CreateSubdivisionSchemeAttr("none")
    put(mesh, source, posed(source, 4), None)
    for time in (1.0, 4.0, 5.0, 6.0, 7.0, 8.0):
        put(mesh, source, posed(source, max(time, 4)), time, faces=False)
    return _saved(stage)


def on_twos(to: Path) -> Path:
    """Every pose for two frames, as in drawn animation."""
    return _moving(to / "twos.usd", lambda source, time: posed(source, 2 * (time // 2)))


def sudden_start(to: Path) -> Path:
    """Still, then hit, then flying, then stopped by a wall."""

    def fly(source, time: float) -> np.ndarray:
        return source.mesh.points + np.array([np.clip(time - 4, 0, 4) * 1.5, 0, 0])

    return _moving(to / "hit.usd", fly)


def there_and_back(to: Path) -> Path:
    """A swing whose turning points lie between two frames, so that both are the same."""
    return _moving(
        to / "swing.usd", lambda source, time: source.mesh.points * (1 + 0.3 * np.cos((time - 4.5) * np.pi / 6))
    )


def shaking(to: Path) -> Path:
    """An impact: hard, in turns, at every frame."""
    shakes = np.random.default_rng(1).normal(size=(20, 3)) * 0.3
    return _moving(to / "shake.usd", lambda source, time: source.mesh.points + shakes[int(time)])


def subdivision_cage(to: Path) -> Path:
    """A modelled mesh: no normals, and none needed."""
    source = ball()
    stage = foreign(to / "cage.usd")
    mesh = UsdGeom.Mesh.Define(stage, "/obj/geo")
    mesh.CreateSubdivisionSchemeAttr("catmullClark")
    for time in TIMES:
        put(mesh, source, posed(source, time), time)
    mesh.GetPrim().RemoveProperty("normals")
    return _saved(stage)


def left_handed(to: Path) -> Path:
    """Clockwise faces, and the prim says so."""
    source = ball()
    stage = foreign(to / "left.usd")
    mesh = UsdGeom.Mesh.Define(stage, "/obj/geo")
    mesh.CreateSubdivisionSchemeAttr("none")
    mesh.CreateOrientationAttr("leftHanded")
    put(mesh, source, posed(source, 1), None)
    ends = np.cumsum(source.mesh.face_counts)[:-1]
    mesh.GetFaceVertexIndicesAttr().Set(
        np.concatenate([face[::-1] for face in np.split(source.mesh.face_indices, ends)]).tolist()
    )
    return _saved(stage)


def instances_that_travel(to: Path) -> Path:
    """Two instances of one asset, moved by transforms."""
    write(to / "a.usd", ball())
    stage = foreign(to / "shot.usd")
    for name, side in (("one", -3), ("two", 3)):
        prim = UsdGeom.Xform.Define(stage, f"/obj/{name}")
        prim.GetPrim().GetReferences().AddReference("./a.usd")
        prim.GetPrim().SetInstanceable(True)
        move = prim.AddTranslateOp()
        for time in TIMES:
            move.Set(Gf.Vec3d(side, 0, time), time)
    return _saved(stage)


def tiles(to: Path) -> Path:
    """Texture coordinates over two UDIM tiles."""
    for tile in (1001, 1002):
        (to / f"skin.{tile}.png").write_bytes(png())
    source = ball()
    stage = foreign(to / "tiles.usd")
    mesh = UsdGeom.Mesh.Define(stage, "/obj/geo")
    mesh.CreateSubdivisionSchemeAttr("none")
    put(mesh, source, posed(source, 1), None)
    st = UsdGeom.PrimvarsAPI(mesh).CreatePrimvar("st", Sdf.ValueTypeNames.TexCoord2fArray, "faceVarying")
    st.Set((source.mesh.st[source.mesh.st_indices] * [2, 1]).tolist())
    material = UsdShade.Material.Define(stage, "/obj/mtl")
    surface, image, reader = (UsdShade.Shader.Define(stage, f"/obj/mtl/{name}") for name in ("s", "t", "r"))
    surface.CreateIdAttr("UsdPreviewSurface")
    image.CreateIdAttr("UsdUVTexture")
    reader.CreateIdAttr("UsdPrimvarReader_float2")
    reader.CreateInput("varname", Sdf.ValueTypeNames.String).Set("st")
    image.CreateInput("file", Sdf.ValueTypeNames.Asset).Set("./skin.<UDIM>.png")
    uv = reader.CreateOutput("result", Sdf.ValueTypeNames.Float2)
    image.CreateInput("st", Sdf.ValueTypeNames.Float2).ConnectToSource(uv)
    rgb = image.CreateOutput("rgb", Sdf.ValueTypeNames.Float3)
    surface.CreateInput("diffuseColor", Sdf.ValueTypeNames.Color3f).ConnectToSource(rgb)
    material.CreateSurfaceOutput().ConnectToSource(surface.CreateOutput("surface", Sdf.ValueTypeNames.Token))
    UsdShade.MaterialBindingAPI.Apply(mesh.GetPrim()).Bind(material)
    return _saved(stage)


def skinned(to: Path) -> Path:
    """One joint and one blend shape."""
    source = ball()
    stage = foreign(to / "skinned.usd")
    UsdSkel.Root.Define(stage, "/obj/rig")
    mesh = UsdGeom.Mesh.Define(stage, "/obj/rig/geo")
    mesh.CreateSubdivisionSchemeAttr("none")
    put(mesh, source, source.mesh.points, None)
    skeleton = UsdSkel.Skeleton.Define(stage, "/obj/rig/skeleton")
    skeleton.CreateJointsAttr(["root"])
    skeleton.CreateBindTransformsAttr([Gf.Matrix4d(1)])
    skeleton.CreateRestTransformsAttr([Gf.Matrix4d(1)])
    binding = UsdSkel.BindingAPI.Apply(mesh.GetPrim())
    binding.CreateSkeletonRel().SetTargets([skeleton.GetPath()])
    count = len(source.mesh.points)
    binding.CreateJointIndicesPrimvar(False, 1).Set([0] * count)
    binding.CreateJointWeightsPrimvar(False, 1).Set([1.0] * count)
    shape = UsdSkel.BlendShape.Define(stage, "/obj/rig/geo/fat")
    shape.CreateOffsetsAttr(vectors(source.mesh.points * 0.2))
    binding.CreateBlendShapesAttr(["fat"])
    binding.CreateBlendShapeTargetsRel().SetTargets([shape.GetPath()])
    animation = UsdSkel.Animation.Define(stage, "/obj/rig/anim")
    animation.CreateBlendShapesAttr(["fat"])
    for time in TIMES:
        animation.CreateBlendShapeWeightsAttr().Set([time / 12], time)
    UsdSkel.BindingAPI.Apply(skeleton.GetPrim()).CreateAnimationSourceRel().SetTargets([animation.GetPath()])
    return _saved(stage)


def open_sheet(to: Path) -> Path:
    """A cloth: nothing is inside of it."""
    side = 40
    x, z = np.meshgrid(np.linspace(-1, 1, side), np.linspace(-1, 1, side), indexing="ij")
    corner = (np.arange(side - 1)[:, None] * side + np.arange(side - 1)).ravel()
    faces = np.stack([corner, corner + 1, corner + side + 1, corner + side], 1).ravel().astype(np.int32)
    stage = foreign(to / "cloth.usd")
    mesh = UsdGeom.Mesh.Define(stage, "/obj/cloth")
    mesh.CreateSubdivisionSchemeAttr("none")
    for time in TIMES:
        points = np.stack([x, 0.2 * np.sin(3 * x + time / 3) * np.cos(2 * z), z], -1).reshape(-1, 3).astype(np.float32)
        shape = Mesh(points, np.full(len(corner), 4, np.int32), faces)
        mesh.CreatePointsAttr().Set(vectors(points), time)
        mesh.CreateNormalsAttr().Set(vectors(point_normals(shape)), time)
        mesh.CreateExtentAttr().Set(UsdGeom.PointBased.ComputeExtent(mesh.GetPointsAttr().Get(time)), time)
    mesh.CreateFaceVertexCountsAttr([4] * len(corner))
    mesh.CreateFaceVertexIndicesAttr(faces.tolist())
    return _saved(stage)


THEIRS = (
    animated_topology,
    sampled_but_constant,
    holds_and_moves,
    on_twos,
    sudden_start,
    there_and_back,
    shaking,
    subdivision_cage,
    left_handed,
    instances_that_travel,
    tiles,
    skinned,
    open_sheet,
)


def _moving(path: Path, pose: Callable[..., np.ndarray]) -> Path:
    source = ball()
    stage = foreign(path)
    mesh = UsdGeom.Mesh.Define(stage, "/obj/geo")
    mesh.CreateSubdivisionSchemeAttr("none")
    put(mesh, source, pose(source, TIMES[0]), None)
    for time in TIMES:
        put(mesh, source, pose(source, time), time, faces=False)
    return _saved(stage)


def _saved(stage: Usd.Stage) -> Path:
    stage.GetRootLayer().Save()
    return Path(stage.GetRootLayer().realPath)


@pytest.mark.parametrize("name", OURS)
def test_what_we_write_is_clean(tmp_path: Path, name: str):
    assert list(map(str, verify(OURS[name](tmp_path)).findings)) == []


@pytest.mark.parametrize("make", THEIRS, ids=lambda make: make.__name__)
def test_what_others_write_is_clean(tmp_path: Path, make: Callable[[Path], Path]):
    assert list(map(str, verify(make(tmp_path)).findings)) == []


def test_the_topology_of_every_mesh_is_told(tmp_path: Path):
    kinds = {make.__name__: verify(make(tmp_path)).topology for make in (animated_topology, sampled_but_constant)}
    (varying,), (constant,) = kinds.values()
    assert (varying.kind, varying.changes) == ("varying", len(TIMES) - 1)
    assert varying.points[0] < varying.points[1]
    assert (constant.kind, constant.frames, constant.first, constant.last) == ("sampled", 12, 1, 12)
    assert "VARYING topology, 11 changes" in str(varying)
    split = verify(OURS["split"](tmp_path)).topology
    assert [(each.prim, each.kind) for each in split] == [("/a/geo/south", "static"), ("/a/geo/north", "static")]
