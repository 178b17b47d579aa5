"""A compact variant of an asset: one joint and blend shapes (UsdSkel) in place of points at every frame.

The asset's root gains a variant set `geoRep`: `full` is what was there, `bake` the compact one. Both have the same
prims, faces, texture coordinates and look. A bake is for previews, crowds and engines; it is never the master.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pxr import Gf, Sdf, Usd, UsdGeom, UsdSkel, Vt

from lim_protocol.types import Float32
from lim_usd.arrays import ints, vectors
from lim_usd.atomic import DiskError, Scratch, disk_errors, publish
from lim_usd.clips import opened
from lim_usd.compact import Compact, compact
from lim_usd.glb import write_glb
from lim_usd.layout import EXTENSIONS, Layout, anchored, layout_of
from lim_usd.motion import Motion, read_motion
from lim_usd.provenance import apply_schema, request_of, sign
from lim_usd.read import read_usd
from lim_usd.source import BadSource

VARIANT_SET, FULL, BAKE = "geoRep", "full", "bake"
BAKE_API = "LimBakeAPI"

_FAMILIES = ("primvars:", "faceVertex", "subdivisionScheme", "doubleSided", "orientation", "subsetFamily:")


@dataclass(frozen=True)
class Baked:
    """What a bake came to: its file, in bytes, beside that of the master; its shapes, and how far it is off."""

    path: Path
    bytes: int
    master_bytes: int
    shapes: int
    frames: int
    error_max: float
    error_rms: float


def bake(path: str | Path, tolerance: float) -> Baked:
    """Add the compact variant to the asset at `path`, written by AssetWriter or in chunks.

    tolerance  the largest distance of any point from the master at any frame, as a part of the diagonal

    Raises BadSource for an asset that has no layers of ours, ToleranceError where the bound asks for as many shapes as
    there are frames, OutputError and DiskError where the files cannot be written.
    """
    layout = layout_of(path)
    geometry, root = opened(layout.geometry), opened(layout.root)
    if root is None or geometry is None or not root.GetPrimAtPath(layout.prim):
        raise BadSource(f"{path}: is no asset with layers beside it. Bake one that was written without --flat.")
    scratch = Scratch(layout.root)
    try:
        motion = read_motion(layout.root, scratch.path)
        made = compact(motion.points, motion.normals, tolerance)
        ready = scratch.path / "bake.usd"
        with disk_errors(layout.root):
            _write(ready, geometry, layout, motion, made, tolerance)
            chosen = _with_variants(layout, scratch.path)
            _read_back(ready, layout, made)
        publish([(ready, bake_path(layout)), (chosen, layout.root)], scratch.path)
        sizes = bake_path(layout).stat().st_size, _master_bytes(layout)
        return Baked(bake_path(layout), *sizes, len(made.shapes), len(motion.times), made.error_max, made.error_rms)
    finally:
        scratch.close()


def bake_glb(path: str | Path, out: str | Path, tolerance: float) -> Baked:
    """Write the motion of any stage of meshes as binary glTF with morph targets. Arguments and errors as for `bake`."""
    path = Path(path)
    scratch = Scratch(Path(out))
    try:
        motion = read_motion(path, scratch.path)
        source = read_usd(path, motion.times[0])
        if len(source.mesh.points) != motion.points.shape[1]:
            raise BadSource(f"{path}: has meshes that are hidden or not of purpose render. Bake an asset without them.")
        made = compact(motion.points, motion.normals, tolerance)
        stage = Usd.Stage.Open(str(path))
        seconds = (np.array(motion.times) - motion.times[0]) / stage.GetTimeCodesPerSecond()
        file = write_glb(out, source, made, seconds)
        layout = layout_of(path) if path.suffix in EXTENSIONS else None
        master = _master_bytes(layout) if layout and layout.geometry.exists() else path.stat().st_size
        sizes = file.stat().st_size, master
        return Baked(file, *sizes, len(made.shapes), len(motion.times), made.error_max, made.error_rms)
    finally:
        scratch.close()


def bake_path(layout: Layout) -> Path:
    """Where the compact variant's layer lies."""
    return layout.geometry.with_name(f"{layout.root.stem}_bake.usd")


def _master_bytes(layout: Layout) -> int:
    clips = layout.manifest.parent.glob(f"{layout.root.stem}_[0-9]*.usd") if layout.manifest.exists() else ()
    return sum(file.stat().st_size for file in (layout.geometry, *clips))


def _write(ready: Path, geometry: Sdf.Layer, layout: Layout, motion: Motion, made: Compact, tolerance: float) -> None:
    layer = Sdf.Layer.CreateNew(str(ready))
    for key in ("defaultPrim", "upAxis", "metersPerUnit", "timeCodesPerSecond", "framesPerSecond"):
        layer.pseudoRoot.SetInfo(key, geometry.pseudoRoot.GetInfo(key))
    layer.startTimeCode, layer.endTimeCode = motion.times[0], motion.times[-1]
    sign(layer, request_of(geometry))
    stage = Usd.Stage.Open(layer)
    UsdGeom.Xform.Define(stage, layout.prim)
    rig = UsdSkel.Root.Define(stage, layout.prim.AppendChild("geo"))
    skeleton = _skeleton(stage, rig.GetPath(), motion, made)
    for path, run in motion.meshes.items():
        _mesh(stage, geometry, path, run, skeleton, made)
        _tell_error(layer.GetPrimAtPath(path), made, tolerance)
    _extents(stage, rig, motion)
    del stage
    layer.subLayerPaths.append(anchored(layout.look, bake_path(layout)))
    layer.Save()


def _skeleton(stage: Usd.Stage, rig: Sdf.Path, motion: Motion, made: Compact) -> UsdSkel.Skeleton:
    skeleton = UsdSkel.Skeleton.Define(stage, rig.AppendChild("skeleton"))
    skeleton.CreateJointsAttr(["root"])
    skeleton.CreateBindTransformsAttr(Vt.Matrix4dArray([Gf.Matrix4d(1)]))
    skeleton.CreateRestTransformsAttr(Vt.Matrix4dArray([Gf.Matrix4d(1)]))
    animation = UsdSkel.Animation.Define(stage, rig.AppendChild("animation"))
    animation.CreateJointsAttr(["root"])
    animation.CreateScalesAttr(Vt.Vec3hArray([Gf.Vec3h(1)]))
    animation.CreateBlendShapesAttr(_names(made))
    rotations, translations = animation.CreateRotationsAttr(), animation.CreateTranslationsAttr()
    weights = animation.CreateBlendShapeWeightsAttr()
    for frame, time in enumerate(motion.times):
        turn = Gf.Matrix3d(*made.rotations[frame].T.ravel().tolist()).ExtractRotation().GetQuat()
        rotations.Set(Vt.QuatfArray([Gf.Quatf(turn)]), time)
        translations.Set(vectors(made.translations[frame][None]), time)
        weights.Set(Vt.FloatArray(made.weights[frame].tolist()), time)
    UsdSkel.BindingAPI.Apply(skeleton.GetPrim()).CreateAnimationSourceRel().SetTargets([animation.GetPath()])
    return skeleton


def _mesh(
    stage: Usd.Stage, geometry: Sdf.Layer, path: Sdf.Path, run: slice, skeleton: UsdSkel.Skeleton, made: Compact
) -> None:
    mesh = UsdGeom.Mesh.Define(stage, path)
    _copy_still(geometry, stage.GetRootLayer(), path)
    points = vectors(made.base[run])
    mesh.CreatePointsAttr(points)
    mesh.CreateNormalsAttr(vectors(_unit(made.base_normals[run])))
    mesh.SetNormalsInterpolation(UsdGeom.Tokens.vertex)
    binding = UsdSkel.BindingAPI.Apply(mesh.GetPrim())
    binding.CreateSkeletonRel().SetTargets([skeleton.GetPath()])
    binding.CreateJointIndicesPrimvar(False, 1).Set(ints(np.zeros(len(points))))
    binding.CreateJointWeightsPrimvar(False, 1).Set(Vt.FloatArray([1.0] * len(points)))
    names = _names(made)
    shapes = []
    for name, offsets, normals in zip(names, made.shapes, made.shape_normals):
        shape = UsdSkel.BlendShape.Define(stage, path.AppendChild(name))
        shape.CreateOffsetsAttr(vectors(offsets[run]))
        shape.CreateNormalOffsetsAttr(vectors(normals[run]))
        shapes.append(shape.GetPath())
    binding.CreateBlendShapesAttr(names)
    binding.CreateBlendShapeTargetsRel().SetTargets(shapes)


def _copy_still(geometry: Sdf.Layer, layer: Sdf.Layer, path: Sdf.Path) -> None:
    """Everything of a mesh that does not move: faces, primvars, subsets."""
    for spec in geometry.GetPrimAtPath(path).properties:
        if spec.name.startswith(_FAMILIES):
            Sdf.CopySpec(geometry, spec.path, layer, spec.path)
    for child in geometry.GetPrimAtPath(path).nameChildren:
        Sdf.CopySpec(geometry, child.path, layer, child.path)


def _extents(stage: Usd.Stage, rig: UsdSkel.Root, motion: Motion) -> None:
    """The boxes that UsdSkel itself would compute: of a mesh before it is posed, of the rig at every frame.

    The true boxes of all frames are the root's extentsHint, which stands whatever the variant.
    """
    for path in motion.meshes:
        mesh = UsdGeom.Mesh.Get(stage, path)
        mesh.CreateExtentAttr(UsdGeom.PointBased.ComputeExtent(mesh.GetPointsAttr().Get()))
    whole = rig.CreateExtentAttr()
    for place, time in enumerate(motion.times):
        box = UsdGeom.Boundable.ComputeExtentFromPlugins(rig, time)
        if place == 0:
            whole.Set(box)
        whole.Set(box, time)


def _tell_error(prim: Sdf.PrimSpec, made: Compact, tolerance: float) -> None:
    apply_schema(prim, BAKE_API)
    said = {
        "errorBound": tolerance,
        "errorMax": made.error_max,
        "errorRms": made.error_rms,
        "diagonal": made.diagonal,
    }
    for name, value in said.items():
        spec = Sdf.AttributeSpec(prim, f"lim:bake:{name}", Sdf.ValueTypeNames.Double, Sdf.VariabilityUniform)
        spec.default = value


def _with_variants(layout: Layout, folder: Path) -> Path:
    """A copy of the root with its payload in one variant, and the bake's in another."""
    copy = folder / "root" / layout.root.name
    copy.parent.mkdir()
    copy.write_bytes(layout.root.read_bytes())
    layer = Sdf.Layer.FindOrOpen(str(copy))
    prim = layer.GetPrimAtPath(layout.prim)
    prim.payloadList.ClearEdits()
    if VARIANT_SET not in prim.variantSets:
        variants = Sdf.VariantSetSpec(prim, VARIANT_SET)
        for name, target in ((FULL, layout.payload), (BAKE, bake_path(layout))):
            variant = Sdf.VariantSpec(variants, name)
            variant.primSpec.payloadList.Prepend(Sdf.Payload(anchored(target, layout.root)))
        prim.variantSetNameList.Prepend(VARIANT_SET)
        prim.variantSelections[VARIANT_SET] = FULL
    layer.Save()
    return copy


def _read_back(ready: Path, layout: Layout, made: Compact) -> None:
    layer = Sdf.Layer.OpenAsAnonymous(str(ready))
    weights = layout.prim.AppendPath("geo/animation.blendShapeWeights")
    times = layer.ListTimeSamplesForPath(weights)
    if len(times) != len(made.weights) or len(layer.QueryTimeSample(weights, times[-1])) != len(made.shapes):
        raise DiskError(f"{bake_path(layout)}: does not read back as it was written")


def _names(made: Compact) -> list[str]:
    return [f"shape_{number:03}" for number in range(len(made.shapes))]


def _unit(normals: Float32) -> Float32:
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    unit: Float32 = (normals / np.where(lengths > 0, lengths, 1)).astype(np.float32)
    return unit
