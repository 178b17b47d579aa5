"""A skinned square with a blend shape, and where OpenUSD's own baking of the skin puts it."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from pxr import Gf, Sdf, Usd, UsdGeom, UsdSkel, Vt
from stage_files import SQUARE

IDENTITY = Gf.Matrix4d(1)


def skinned(path: Path, constant: bool = False, joints: bool = True, shapes: bool = True) -> Path:
    """The square of the other tests: its far end turns about Z with the second joint, and a blend shape lifts it."""
    stage = Usd.Stage.CreateNew(str(path))
    root = UsdSkel.Root.Define(stage, "/rig")
    UsdGeom.XformCommonAPI(root).SetTranslate((10, 0, 0))
    names = ["base", "base/tip"]
    skeleton = UsdSkel.Skeleton.Define(stage, "/rig/skeleton")
    skeleton.CreateJointsAttr(names)
    tip = Gf.Matrix4d(1).SetTranslate((1, 0, 0))
    skeleton.CreateBindTransformsAttr([IDENTITY, tip])
    skeleton.CreateRestTransformsAttr([IDENTITY, tip])
    animation = UsdSkel.Animation.Define(stage, "/rig/animation")
    UsdSkel.BindingAPI.Apply(skeleton.GetPrim()).CreateAnimationSourceRel().SetTargets(["/rig/animation"])
    animation.CreateJointsAttr(names)
    animation.CreateTranslationsAttr([(0, 0, 0), (1, 0, 0)])
    animation.CreateScalesAttr(Vt.Vec3hArray([Gf.Vec3h(1, 1, 1)] * 2))
    turn = animation.CreateRotationsAttr()
    for time, angle in [(1, 0), (5, 90)]:
        half = math.radians(angle) / 2
        turn.Set(Vt.QuatfArray([Gf.Quatf(1), Gf.Quatf(math.cos(half), 0, 0, math.sin(half))]), time)
    mesh = UsdGeom.Mesh.Define(stage, "/rig/mesh")
    mesh.CreatePointsAttr(SQUARE)
    mesh.CreateFaceVertexCountsAttr([3, 3, 4])
    mesh.CreateFaceVertexIndicesAttr([0, 1, 2, 0, 2, 3, 1, 4, 5, 2])
    binding = UsdSkel.BindingAPI.Apply(mesh.GetPrim())
    binding.CreateSkeletonRel().SetTargets(["/rig/skeleton"])
    if joints:
        binding.CreateJointIndicesPrimvar(constant, 1).Set([1] if constant else [0, 0, 0, 0, 1, 1])
        binding.CreateJointWeightsPrimvar(constant, 1).Set([1.0] if constant else [1.0] * 6)
        binding.CreateGeomBindTransformAttr(IDENTITY)
    if shapes:
        shape = UsdSkel.BlendShape.Define(stage, "/rig/mesh/up")
        shape.CreateOffsetsAttr([(0, 0, 2), (0, 0, 2)])
        shape.CreatePointIndicesAttr([4, 5])
        binding.CreateBlendShapesAttr(["up"])
        binding.CreateBlendShapeTargetsRel().SetTargets(["/rig/mesh/up"])
        animation.CreateBlendShapesAttr(["up"])
        weights = animation.CreateBlendShapeWeightsAttr()
        weights.Set([0.0], 1)
        weights.Set([1.0], 5)
    stage.Save()
    return path


def baked(path: Path, time: float) -> np.ndarray:
    stage = Usd.Stage.Open(Sdf.Layer.OpenAsAnonymous(str(path)))
    UsdSkel.BakeSkinning(UsdSkel.Root.Get(stage, "/rig"), Gf.Interval(1, 5))
    mesh = UsdGeom.Mesh.Get(stage, "/rig/mesh")
    matrix = np.array(mesh.ComputeLocalToWorldTransform(time))
    return np.array(mesh.GetPointsAttr().Get(time)) @ matrix[:3, :3] + matrix[3, :3]
