"""What a reader of animated files hands over: surfaces as they lie, and each motion of theirs as a function of time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lim_cli.readers.contents import Material
from lim_protocol.types import Float32, Int32, Mesh


@dataclass(frozen=True, eq=False)
class Piece:
    """One mesh of an asset, at its first time or at rest.

    mesh            its points are as many, and in the order, that a take has them
    face_materials  int32 [faces], index into the asset's materials; -1 without
    """

    mesh: Mesh
    face_materials: Int32


@dataclass(frozen=True, eq=False)
class Take:
    """One motion of an asset.

    name         as the file calls it
    start, end   seconds
    pose         the points of all pieces in order at a time in seconds: float32 [points, 3], world space, metres, Y up
    """

    name: str
    start: float
    end: float
    pose: Callable[[float], Float32]


@dataclass(frozen=True, eq=False)
class Moving:
    """An animated file.

    tinted  vertex colours multiply the materials, as in glTF; else they show where there is no material, as in USD
    notes   what a person should be told about how the file was taken
    """

    pieces: tuple[Piece, ...]
    materials: tuple[Material, ...]
    takes: tuple[Take, ...]
    tinted: bool
    notes: tuple[str, ...] = ()


def sampled_times(take: Take, fps: float, most: int) -> NDArray[np.float64]:
    """Seconds at which to look at a take, from its start to its end, evenly, at most `most` and at least 2: as many
    as `fps` asks for, or fewer."""
    count = round((take.end - take.start) * fps) + 1
    return np.linspace(take.start, take.end, max(2, min(count, most)))
