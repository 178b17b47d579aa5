"""GeomSubsets of a mesh prim as parts, where each is a run of consecutive faces."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from numpy.typing import NDArray
from pxr import Usd, UsdGeom

from lim_usd.source import Part


def subset_parts(prim: Usd.Prim, kept: NDArray[np.bool_], time: Usd.TimeCode) -> tuple[list[str], tuple[Part, ...]]:
    """What to tell, and the parts: of the first family of face subsets that do not overlap and are runs of faces.

    `kept` tells which of the prim's faces are in the mesh. Faces of no subset are a part with the prim's name, and
    so is the whole mesh where no family will do.
    """
    whole = (Part(prim.GetName(), int(kept.sum())),)
    families = _families(prim)
    for subsets in families:
        if parts := _runs(subsets, kept, prim.GetName(), time):
            return [], parts
    told = ["its subsets are not runs of faces, so they are not kept as parts"] if families else []
    return told, whole


def _families(prim: Usd.Prim) -> list[list[UsdGeom.Subset]]:
    families: dict[str, list[UsdGeom.Subset]] = defaultdict(list)
    for subset in UsdGeom.Subset.GetAllGeomSubsets(UsdGeom.Imageable(prim)):
        if subset.GetElementTypeAttr().Get() == UsdGeom.Tokens.face:
            families[str(subset.GetFamilyNameAttr().Get())].append(subset)
    return list(families.values())


def _runs(
    subsets: list[UsdGeom.Subset], kept: NDArray[np.bool_], rest: str, time: Usd.TimeCode
) -> tuple[Part, ...] | None:
    owner = np.full(len(kept), -1)
    for place, subset in enumerate(subsets):
        faces = np.asarray(subset.GetIndicesAttr().Get(time) or [], np.int64)
        if len(faces) and (faces.min() < 0 or faces.max() >= len(kept) or (owner[faces] >= 0).any()):
            return None
        owner[faces] = place
    owner = owner[kept]
    starts = np.flatnonzero(np.diff(owner, prepend=-2))
    owners = owner[starts]
    if len(np.unique(owners)) < len(owners):
        return None
    names = [rest if place < 0 else subsets[place].GetPrim().GetName() for place in owners]
    sizes = np.diff(starts, append=len(owner))
    return tuple(Part(name, int(size)) for name, size in zip(names, sizes))
