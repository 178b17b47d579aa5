"""LIM Asset (LOP): the asset on the stage, with a choice of variant and value clips."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import hou

from lim_houdini.errors import Refused, told
from lim_houdini.settings import number, text


def cook(node: hou.LopNode) -> None:
    """Refer to the asset from a prim of its own."""
    from pxr import Sdf, Usd, UsdGeom

    with told():
        file, path = text(node, "filepath"), text(node, "primpath")
        if not file:
            raise Refused("File: nothing is named. Choose a USD file.")
        if not Sdf.Path.IsValidPathString(path) or not Sdf.Path(path).IsPrimPath():
            raise Refused(f"Primitive Path: {path!r} is none. Write such as /creature.")
        asset = _opened(file)
        if asset is None or not asset.GetDefaultPrim():
            raise Refused(f"File: {file} has no default prim to refer to. Choose an asset.")
    stage = node.editableStage()
    assert stage is not None
    prim = UsdGeom.Xform.Define(stage, path).GetPrim()
    scale = number(node, "timescale")
    offset = Sdf.LayerOffset(number(node, "timeoffset"), scale if scale > 0 else 1.0)
    if text(node, "reftype") == "payload":
        prim.GetPayloads().AddPayload(file, layerOffset=offset)
    else:
        prim.GetReferences().AddReference(file, layerOffset=offset)
    if text(node, "variantset") and text(node, "variant"):
        prim.GetVariantSet(text(node, "variantset")).SetVariantSelection(text(node, "variant"))
    if text(node, "clipset"):
        Usd.ClipsAPI(prim).SetClipSets(Sdf.StringListOp.CreateExplicit([text(node, "clipset")]))


def reload(kwargs: dict[str, Any]) -> None:
    """Button: read the file again."""
    from pxr import Sdf

    layer = Sdf.Layer.Find(text(kwargs["node"], "filepath"))
    if layer is not None:
        layer.Reload()
    kwargs["node"].cook(force=True)


def variant_sets(node: hou.LopNode) -> list[str]:
    """Menu: the asset's variant sets."""
    stage = _opened(text(node, "filepath"))
    return _menu(stage.GetDefaultPrim().GetVariantSets().GetNames() if stage and stage.GetDefaultPrim() else [])


def variants(node: hou.LopNode) -> list[str]:
    """Menu: the variants of the chosen set."""
    stage, chosen = _opened(text(node, "filepath")), text(node, "variantset")
    known = stage and chosen and stage.GetDefaultPrim()
    return _menu(stage.GetDefaultPrim().GetVariantSet(chosen).GetVariantNames() if known else [])


def clip_sets(node: hou.LopNode) -> list[str]:
    """Menu: the asset's sets of value clips."""
    from pxr import Usd

    stage = _opened(text(node, "filepath"))
    names: list[str] = []
    for prim in stage.Traverse() if stage else ():
        names += [name for name in Usd.ClipsAPI(prim).GetClips() or {} if name not in names]
    return _menu(names)


def _opened(file: str) -> Any:
    """The stage of a file; None where there is none. Raises nothing: menus are asked at any time."""
    from pxr import Tf, Usd

    if not file or not Path(file).is_file():
        return None
    try:
        return Usd.Stage.Open(file)
    except Tf.ErrorException:
        return None


def _menu(names: list[str]) -> list[str]:
    """Token and label of each, with nothing to choose first."""
    return ["", "(as the asset says)", *(word for name in names for word in (name, name))]
