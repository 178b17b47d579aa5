"""What an asset says about its making: the software, the request, and how well the track meets its keyframes.

The names are those of usd_schemas/schema.usda. Where a host has not registered it, they are plain attributes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from pxr import Sdf, Usd, Vt

from lim_protocol import __version__
from lim_protocol.types import Quality
from lim_usd.arrays import doubles

SOFTWARE = "LIM for Houdini and USD"
VERSION = __version__

TRACK_API, PROVENANCE_API, AUTHORSHIP_API = "LimTrackAPI", "LimProvenanceAPI", "AuthorshipAPI"
KEYS, FRAME = "lim:track:keys:", "lim:track:frame:"
FIGURES = tuple(figure.name for figure in fields(Quality))

# How IPTC calls what software has made by altering captured content by a rule.
_DIGITAL_SOURCE = "http://cv.iptc.org/newscodes/digitalsourcetype/algorithmicallyEnhanced"


@dataclass(frozen=True)
class Provenance:
    """What an asset was made from, and by what. Whatever is empty is not written.

    method          how it was tracked
    model           the network that was used, and the sha256 of its weights
    request_sha256  of all that the result depends on
    inputs          name, time and sha256 of each key, the source's first
    """

    method: str = ""
    model: str = ""
    weights_sha256: str = ""
    request_sha256: str = ""
    inputs: Sequence[tuple[str, float, str]] = ()


def sign(layer: Sdf.Layer, request_sha256: str = "") -> None:
    """Name the software that wrote the layer and the request it belongs to, in its customLayerData."""
    said = {"software": SOFTWARE, "version": VERSION}
    layer.customLayerData = {"lim": {**said, "request": request_sha256} if request_sha256 else said}


def request_of(layer: Sdf.Layer) -> str:
    """The request that a layer was signed with; empty where it was not."""
    return str(layer.customLayerData.get("lim", {}).get("request", ""))


def keep_provenance(layer: Sdf.Layer, provenance: Provenance) -> None:
    """Sign a layer with all that is known, for whoever puts the pieces of an asset together."""
    sign(layer, provenance.request_sha256)
    data = layer.customLayerData
    data["lim"]["provenance"] = json.dumps(asdict(provenance))
    layer.customLayerData = data


def kept_provenance(layer: Sdf.Layer) -> Provenance:
    """What `keep_provenance` left in a layer."""
    said = json.loads(layer.customLayerData.get("lim", {}).get("provenance", "{}"))
    return Provenance(**{**said, "inputs": [tuple(each) for each in said.get("inputs", ())]})


def write_provenance(prim: Usd.Prim, provenance: Provenance) -> None:
    """Say on the root prim what made the asset, in our own schema and, where the host has it, in UsdMedia's."""
    prim.AddAppliedSchema(PROVENANCE_API)
    names = [name for name, _, _ in provenance.inputs]
    hashes = [sha256 for _, _, sha256 in provenance.inputs]
    values: dict[str, str | list[str]] = {
        "software": SOFTWARE,
        "version": VERSION,
        "model": provenance.model,
        "weightsSha256": provenance.weights_sha256,
        "requestSha256": provenance.request_sha256,
        "inputs": names,
        "inputsSha256": hashes if all(hashes) else [],
    }
    for name, value in values.items():
        _set_text(prim, f"lim:provenance:{name}", value)
    if Usd.SchemaRegistry().FindAppliedAPIPrimDefinition(AUTHORSHIP_API) is not None:
        prim.AddAppliedSchema(f"{AUTHORSHIP_API}:lim")
        _set_text(prim, "authorship:lim:softwarePackage", SOFTWARE)
        _set_text(prim, "authorship:lim:softwareVersion", VERSION)
        _set_text(prim, "authorship:lim:digitalSourceType", _DIGITAL_SOURCE)
        _set_text(prim, "authorship:lim:inputs", [word for pair in zip(names, hashes) for word in pair])


def write_track(
    layer: Sdf.Layer, mesh: Sdf.Path, provenance: Provenance, diagonal: float | None, qualities: Mapping[float, Quality]
) -> None:
    """Put on a mesh what it was tracked from and how well, over all keys. `diagonal` may stand in another layer."""
    prim = layer.GetPrimAtPath(mesh)
    apply_schema(prim, TRACK_API)
    names = {time: name for name, time, _ in provenance.inputs}
    if provenance.inputs:
        name, time, _ = provenance.inputs[0]
        _attribute(prim, "lim:track:sourceKey", Sdf.ValueTypeNames.String).default = name
        _attribute(prim, "lim:track:sourceTime", Sdf.ValueTypeNames.Double).default = time
    if provenance.method:
        _attribute(prim, "lim:track:method", Sdf.ValueTypeNames.Token).default = provenance.method
    if diagonal is not None:
        _attribute(prim, "lim:track:sourceDiagonal", Sdf.ValueTypeNames.Double).default = diagonal
    _doubles(prim, f"{KEYS}times", list(qualities))
    if names:
        spec = _attribute(prim, f"{KEYS}names", Sdf.ValueTypeNames.StringArray)
        spec.default = Vt.StringArray([names.get(time, "") for time in qualities])
    for figure in FIGURES:
        _doubles(prim, KEYS + usd_name(figure), [getattr(quality, figure) for quality in qualities.values()])


def write_frame_quality(layer: Sdf.Layer, mesh: Sdf.Path, time: float, quality: Quality) -> None:
    """Sample on a mesh how well one frame meets the surface it was measured against."""
    prim = layer.GetPrimAtPath(mesh)
    for figure in FIGURES:
        name = FRAME + usd_name(figure)
        if name not in prim.attributes:
            Sdf.AttributeSpec(prim, name, Sdf.ValueTypeNames.Double, Sdf.VariabilityVarying)
        layer.SetTimeSample(mesh.AppendProperty(name), time, float(getattr(quality, figure)))


def read_quality(path: str | Path) -> dict[float, Quality]:
    """The record that `write_track` left on the first mesh that has one, by time; empty without one."""
    stage = Usd.Stage.Open(str(path))
    return next((found for prim in stage.Traverse() if (found := quality_of(prim))), {})


def quality_of(prim: Usd.Prim) -> dict[float, Quality]:
    """The record of every key on one prim, by time; empty without one."""
    times = prim.GetAttribute(f"{KEYS}times").Get() if prim.HasAttribute(f"{KEYS}times") else None
    columns = [prim.GetAttribute(KEYS + usd_name(figure)).Get() for figure in FIGURES] if times else []
    if not times or any(column is None or len(column) != len(times) for column in columns):
        return {}
    return {float(time): Quality(*map(float, row)) for time, row in zip(times, zip(*columns))}


def apply_schema(prim: Sdf.PrimSpec, name: str) -> None:
    """Add an applied schema to a prim of a layer, whether this host knows it or not."""
    listed = prim.GetInfo("apiSchemas") or Sdf.TokenListOp()
    if name not in listed.prependedItems:
        listed.prependedItems = [*listed.prependedItems, name]
        prim.SetInfo("apiSchemas", listed)


def usd_name(figure: str) -> str:
    """A field's name as USD writes it: residual_p95 is residualP95."""
    first, *rest = figure.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _set_text(prim: Usd.Prim, name: str, value: str | list[str]) -> None:
    if not value:
        return
    kind: Any = Sdf.ValueTypeNames.String if isinstance(value, str) else Sdf.ValueTypeNames.StringArray
    prim.CreateAttribute(name, kind, False, Sdf.VariabilityUniform).Set(value)


def _doubles(prim: Sdf.PrimSpec, name: str, values: Sequence[float]) -> None:
    _attribute(prim, name, Sdf.ValueTypeNames.DoubleArray).default = doubles(np.array(values, np.float64))


def _attribute(prim: Sdf.PrimSpec, name: str, kind: Sdf.ValueTypeName) -> Sdf.AttributeSpec:
    return prim.attributes.get(name) or Sdf.AttributeSpec(prim, name, kind, Sdf.VariabilityUniform)
