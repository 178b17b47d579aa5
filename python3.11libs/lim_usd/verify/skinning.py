"""Joints, weights and blend shapes of a mesh that is moved by a skeleton."""

from __future__ import annotations

import numpy as np
from pxr import Usd, UsdGeom, UsdSkel

from lim_usd.verify.findings import Findings

_AGAIN = "Export it again"


def check_skinning(prim: Usd.Prim, points: int, findings: Findings) -> None:
    """Whether the mesh's bindings name what is there, with finite numbers that hosts can read."""
    binding = UsdSkel.BindingAPI(prim)
    if not prim.HasAPI("SkelBindingAPI"):
        return
    if not binding.GetInheritedSkeleton():
        words = "is bound for skinning and has no skeleton"
        findings.add("skeleton-missing", prim.GetPath(), words, "Bind it to a skeleton")
        return
    _check_weights(binding, points, findings)
    names = binding.GetBlendShapesAttr().Get() or []
    targets = binding.GetBlendShapeTargetsRel().GetTargets()
    if len(names) != len(targets):
        words = f"names {len(names)} blend shapes and targets {len(targets)}"
        findings.add("blend-shapes", prim.GetPath(), words, "Name one shape for each target")
    for target in targets:
        shape = UsdSkel.BlendShape(prim.GetStage().GetPrimAtPath(target))
        offsets = np.asarray(shape.GetOffsetsAttr().Get() if shape else [], np.float32)
        indices = shape.GetPointIndicesAttr().Get() if shape else None
        if not shape or len(offsets) != (len(indices) if indices else points):
            findings.add("blend-shapes", target, f"does not fit the {points} points of {prim.GetPath()}", _AGAIN)
        elif not np.isfinite(offsets).all():
            findings.add("points-nan", target, "has offsets that are not finite", _AGAIN)
    _check_animation(binding, findings)


def _check_weights(binding: UsdSkel.BindingAPI, points: int, findings: Findings) -> None:
    path = binding.GetPrim().GetPath()
    weights = UsdGeom.Primvar(binding.GetJointWeightsAttr())
    indices = UsdGeom.Primvar(binding.GetJointIndicesAttr())
    if not weights or not indices or not weights.HasAuthoredValue():
        return
    values, places = (np.asarray(each.Get(Usd.TimeCode.EarliestTime())) for each in (weights, indices))
    if values.shape != places.shape:
        words = f"has {len(values)} joint weights and {len(places)} joint indices"
        findings.add("joint-weights", path, words, _AGAIN)
        return
    constant = weights.GetInterpolation() == UsdGeom.Tokens.constant
    rows = values.reshape(-1, weights.GetElementSize())
    if not constant and len(rows) != points:
        findings.add("joint-weights", path, f"has joint weights for {len(rows)} of {points} points", _AGAIN)
    if not np.isfinite(values).all() or np.abs(rows.sum(1) - 1).max() > 1e-2:
        findings.add("joint-weights", path, "has joint weights that do not add up to 1", "Normalise them")
    joints = binding.GetInheritedSkeleton().GetJointsAttr().Get() or []
    if len(places) and (places.min() < 0 or places.max() >= len(joints)):
        findings.add("joint-weights", path, f"names joint {places.max()} of {len(joints)}", _AGAIN)


def _check_animation(binding: UsdSkel.BindingAPI, findings: Findings) -> None:
    source = UsdSkel.BindingAPI(binding.GetInheritedSkeleton().GetPrim()).GetInheritedAnimationSource()
    animation = UsdSkel.Animation(source) if source else None
    if not animation:
        return
    weights = animation.GetBlendShapeWeightsAttr()
    shapes = animation.GetBlendShapesAttr().Get() or []
    for time in weights.GetTimeSamples():
        values = np.asarray(weights.Get(time))
        if len(values) != len(shapes):
            words = f"has {len(values)} weights for {len(shapes)} blend shapes"
            findings.add("blend-weights", weights.GetPath(), words, "Write one weight for each shape", time)
        elif not np.isfinite(values).all():
            findings.add("blend-weights", weights.GetPath(), "has weights that are not finite", _AGAIN, time)
        elif len(values) and (values.min() < -1e-4 or values.max() > 1 + 1e-4):
            words = f"has weights from {values.min():.3g} to {values.max():.3g}: some hosts cut them to 0 to 1"
            findings.add("blend-weights", weights.GetPath(), words, "Scale the shapes so that weights are 0 to 1", time)
