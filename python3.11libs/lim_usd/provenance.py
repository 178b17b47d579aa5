"""What an asset says about its making: the software, and how well the track meets each of its keyframes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

import numpy as np
from pxr import Sdf, Usd

from lim_protocol.types import Quality
from lim_usd.arrays import doubles

SOFTWARE = "LIM for Houdini and USD"
VERSION = "0.1.0"

KEY_TIMES = "lim:track:keyTimes"


def sign(layer: Sdf.Layer) -> None:
    """Name the software that wrote the layer, in its customLayerData."""
    layer.customLayerData = {"lim": {"software": SOFTWARE, "version": VERSION}}


def write_quality(layer: Sdf.Layer, mesh: Sdf.Path, qualities: Mapping[float, Quality]) -> None:
    """Put the record of every key on a mesh prim: `lim:track:keyTimes` and an array beside it per figure.

    Plain uniform attributes of this namespace: any USD reads them, with no schema of ours registered.
    """
    prim = layer.GetPrimAtPath(mesh)
    times = np.array(list(qualities), np.float64)
    _attribute(prim, KEY_TIMES, Sdf.ValueTypeNames.DoubleArray).default = doubles(times)
    for figure in fields(Quality):
        values = np.array([getattr(quality, figure.name) for quality in qualities.values()], np.float64)
        spec = _attribute(prim, _attribute_name(figure.name), Sdf.ValueTypeNames.DoubleArray)
        spec.default = doubles(values)


def read_quality(path: str | Path) -> dict[float, Quality]:
    """The record that `write_quality` left on the first mesh that has one, by time; empty without one."""
    stage = Usd.Stage.Open(str(path))
    for prim in stage.Traverse():
        if prim.HasAttribute(KEY_TIMES):
            names = [_attribute_name(figure.name) for figure in fields(Quality)]
            columns = [[float(value) for value in prim.GetAttribute(name).Get()] for name in names]
            times = prim.GetAttribute(KEY_TIMES).Get()
            return {float(time): Quality(*row) for time, row in zip(times, zip(*columns))}
    return {}


def _attribute(prim: Sdf.PrimSpec, name: str, kind: Sdf.ValueTypeName) -> Sdf.AttributeSpec:
    return Sdf.AttributeSpec(prim, name, kind, Sdf.VariabilityUniform)


def _attribute_name(figure: str) -> str:
    first, *rest = figure.split("_")
    return "lim:track:" + first + "".join(word.capitalize() for word in rest)
