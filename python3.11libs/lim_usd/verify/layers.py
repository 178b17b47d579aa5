"""What an asset's layers say of themselves, and whether all that they name is there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from pxr import Sdf, Usd, UsdGeom, UsdUtils

from lim_usd.provenance import request_of
from lim_usd.verify.findings import Findings

_AGAIN = "Export it again"
_IMAGES = {
    ".png": (b"\x89PNG\r\n\x1a\n",),
    ".jpg": (b"\xff\xd8\xff",),
    ".jpeg": (b"\xff\xd8\xff",),
    ".exr": (b"\x76\x2f\x31\x01",),
}
_LIKELY_SIZE = (1e-3, 1e5)  # metres, of a thing that someone films


def check_layers(stage: Usd.Stage, path: Path, findings: Findings) -> None:
    """Metadata of the root, and every file that the stage depends on."""
    _check_root(stage, path, findings)
    layers, assets, unresolved = UsdUtils.ComputeAllDependencies(Sdf.AssetPath(str(path)))
    for file in dict.fromkeys(unresolved):
        findings.add("file-missing", file, "is named by the asset and is not there", "Bring it back, or mend the path")
    for asset in assets:
        _check_image(str(asset), findings)
    root = stage.GetRootLayer()
    for layer in layers:
        _check_paths(layer, findings)
        if layer != root and layer.pseudoRoot.nameChildren:
            _check_agreement(root, layer, findings)


def is_ours(stage: Usd.Stage) -> bool:
    """Whether LIM wrote the asset, so that more can be asked of it."""
    return "lim" in stage.GetRootLayer().customLayerData


def check_size(size: float, stage: Usd.Stage, where: object, findings: Findings) -> None:
    """The diagonal of a mesh, in scene units, against the layer's unit."""
    metres = size * UsdGeom.GetStageMetersPerUnit(stage)
    if size > 0 and not _LIKELY_SIZE[0] <= metres <= _LIKELY_SIZE[1]:
        words = f"is {metres:.3g} m across, as the layer's unit is {UsdGeom.GetStageMetersPerUnit(stage):g} m"
        findings.add("unlikely-size", where, words, "Say the unit that the points are in, or scale them")


def _check_root(stage: Usd.Stage, path: Path, findings: Findings) -> None:
    layer = stage.GetRootLayer()
    default = stage.GetDefaultPrim()
    if not layer.HasDefaultPrim():
        words = "names no defaultPrim, so nothing appears where it is referenced"
        findings.add("no-default-prim", path, words, "Name its root prim as defaultPrim")
    elif not default:
        words = f"names {layer.defaultPrim} as its defaultPrim, which does not exist"
        findings.add("no-default-prim", path, words, "Name a prim that exists")
    if not stage.HasAuthoredMetadata(UsdGeom.Tokens.upAxis):
        findings.add("no-up-axis", path, "does not say which axis is up", "Say upAxis in the root layer")
    if not UsdGeom.StageHasAuthoredMetersPerUnit(stage):
        findings.add("no-unit", path, "does not say its unit of length", "Say metersPerUnit in the root layer")
    if default and _is_asset(stage, default) and not Usd.ModelAPI(default).GetKind():
        words = "is an asset without a kind, so no one can pick it as one"
        findings.add("no-kind", default.GetPath(), words, "Give it the kind component")


def _is_asset(stage: Usd.Stage, prim: Usd.Prim) -> bool:
    return is_ours(stage) or prim.HasAuthoredMetadata("assetInfo") or prim.HasAuthoredPayloads()


def _check_agreement(root: Sdf.Layer, layer: Sdf.Layer, findings: Findings) -> None:
    """Composition does not convert: a layer of another axis or unit comes in lying down or too large."""
    for key, code in (("upAxis", "axis-mismatch"), ("metersPerUnit", "unit-mismatch")):
        ours, theirs = (
            each.pseudoRoot.GetInfo(key) if each.pseudoRoot.HasInfo(key) else None for each in (root, layer)
        )
        if ours is not None and theirs is not None and ours != theirs:
            words = f"has {key} {theirs} where the root has {ours}"
            findings.add(code, layer.identifier, words, "Convert one to the other: composing does not")
    if layer.HasTimeCodesPerSecond() and root.timeCodesPerSecond != layer.timeCodesPerSecond:
        words = f"has {layer.timeCodesPerSecond:g} time codes per second where the root has {root.timeCodesPerSecond:g}"
        findings.add("rate-mismatch", layer.identifier, words, "Write both at one rate")
    if request_of(root) and request_of(layer) and request_of(root) != request_of(layer):
        words = "was written for another request than the root"
        findings.add("mixed-requests", layer.identifier, words, "Write again what is out of date")


def _check_paths(layer: Sdf.Layer, findings: Findings) -> None:
    for name in dict.fromkeys(_named(layer)):
        if name.startswith(("/", "\\", "file:")) or re.match(r"[A-Za-z]:[\\/]", name):
            words = f"names {name}, which is nowhere on another machine"
            findings.add("absolute-path", layer.identifier, words, "Make it relative: ./ and the way from this layer")


def _named(layer: Sdf.Layer) -> Iterator[str]:
    for names in UsdUtils.ExtractExternalReferences(layer.identifier):
        yield from (str(name) for name in names)


def _check_image(file: str, findings: Findings) -> None:
    if "[" in file:  # inside a package
        return
    heads = _IMAGES.get(Path(file).suffix.lower())
    if heads is None:
        return
    with Path(file).open("rb") as image:
        head = image.read(8)
    if not head.startswith(heads):
        words = "is empty" if not head else f"is no {Path(file).suffix[1:].upper()} file inside"
        findings.add("image-broken", file, words, "Save the image again")


def check_clips(stage: Usd.Stage, findings: Findings) -> None:
    """Value clips: what they are to drive, and what stands in their way."""
    for prim in stage.Traverse():
        clips = Usd.ClipsAPI(prim)
        for name in (prim.GetMetadata("clips") or {}) if prim.HasMetadata("clips") else {}:
            files = clips.ComputeClipAssetPaths(name)
            if not files:
                findings.add("clips-empty", prim.GetPath(), f"has a clip set {name} of no files", _AGAIN)
            for place in {int(row[1]) for row in clips.GetClipActive(name) or []}:
                if place >= len(files):
                    words = f"makes clip {place} of set {name} active, and there are {len(files)}"
                    findings.add("clips-active", prim.GetPath(), words, "Name a file for each active clip")
            _check_manifest(stage, prim, name, findings)


def _check_manifest(stage: Usd.Stage, prim: Usd.Prim, name: str, findings: Findings) -> None:
    clips = Usd.ClipsAPI(prim)
    manifest = clips.GetClipManifestAssetPath(name)
    layer = Sdf.Layer.FindOrOpen(manifest.resolvedPath) if manifest and manifest.resolvedPath else None
    if layer is None:
        return
    below = Sdf.Path(clips.GetClipPrimPath(name) or "/")
    driven: list[Sdf.Path] = []

    def visit(path: Sdf.Path) -> None:
        if path.IsPropertyPath():
            driven.append(path)

    layer.Traverse("/", visit)  # type: ignore[arg-type]  # the stubs take Sdf.Path for pathlib's
    for path in driven:
        attribute = stage.GetAttributeAtPath(path.ReplacePrefix(below, prim.GetPath()))
        if attribute and attribute.GetResolveInfo(Usd.TimeCode.EarliestTime()).GetSource() == _DEFAULT:
            words = "has a default value in a layer as strong as its clips', which hides them"
            findings.add("clips-shadowed", attribute.GetPath(), words, "Put default values into a weaker layer")


_DEFAULT = Usd.ResolveInfoSourceDefault
