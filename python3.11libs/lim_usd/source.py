"""What one file or stage held at one time: a mesh, and what belongs to it but does not travel with a job."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from lim_protocol.types import Float32, Mesh

UpAxis = Literal["Y", "Z"]


class BadSource(ValueError):
    """A file or prim that cannot be used. The message names it, what was found, and what to do."""


@dataclass(frozen=True)
class Part:
    """A run of consecutive faces of the mesh that had a name of its own: an object, a prim, a solid."""

    name: str
    faces: int


@dataclass(frozen=True, eq=False)
class Texture:
    """An image as it was found: `data` is the encoded file, `name` what the file or prim called it."""

    name: str
    data: bytes


@dataclass(frozen=True, eq=False)
class Source:
    """A mesh with its surroundings.

    mesh             points in the file's own axis and unit, with all transforms above the mesh applied
    parts            in the order of the faces; their face counts add up to the mesh's
    texture          base colour; None without
    up_axis          None where the file does not say
    metres_per_unit  None where the file does not say
    notes            what a person should be told about how the file was taken
    """

    mesh: Mesh
    parts: tuple[Part, ...] = ()
    texture: Texture | None = None
    up_axis: UpAxis | None = None
    metres_per_unit: float | None = None
    notes: tuple[str, ...] = ()


def converted(source: Source, up_axis: UpAxis | None, metres_per_unit: float | None) -> Source:
    """The source in another up axis and unit; what either side leaves unsaid (None) stays as it is.

    Up axes turn by a quarter about X, as OpenUSD, Houdini and Blender do: Y-up (x, y, z) is Z-up (x, -z, y).
    """
    points = source.mesh.points
    if up_axis and source.up_axis and up_axis != source.up_axis:
        points = turned(points, up_axis)
    if metres_per_unit and source.metres_per_unit and metres_per_unit != source.metres_per_unit:
        points = (points * (source.metres_per_unit / metres_per_unit)).astype(np.float32)
    return replace(
        source,
        mesh=replace(source.mesh, points=points),
        up_axis=up_axis or source.up_axis,
        metres_per_unit=metres_per_unit or source.metres_per_unit,
    )


def turned(points: Float32, up_axis: UpAxis) -> Float32:
    """Points [n, 3] of the other up axis in this one."""
    x, y, z = points.T
    return np.stack([x, -z, y] if up_axis == "Z" else [x, z, -y], axis=1).astype(np.float32)
