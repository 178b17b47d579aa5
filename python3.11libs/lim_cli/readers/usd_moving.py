"""Animated USD stages through lim_usd: the whole of what is sampled is one take."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lim_cli.errors import BadInput
from lim_cli.readers.contents import Material
from lim_cli.readers.moving import Moving, Piece, Take
from lim_protocol.types import Float32
from lim_usd.color import srgb
from lim_usd.read_moving import Look, MovingStage
from lim_usd.source import BadSource

TAKE = "motion"  # a stage plays one, which has no name of its own


def read(path: Path) -> Moving:
    """The stage's meshes and its motion, as `MovingStage` tells. Raises BadInput, without the file's name."""
    try:
        stage = MovingStage(path)
    except BadSource as error:
        raise BadInput(str(error).removeprefix(f"{path}: ")) from error

    def pose(seconds: float) -> Float32:
        try:
            return stage.points(seconds * stage.rate)
        except BadSource as error:
            raise BadInput(str(error).removeprefix(f"{path}: ")) from error

    first, last = stage.frames or (0.0, 0.0)
    return Moving(
        tuple(Piece(prim.mesh, prim.face_looks) for prim in stage.prims),
        tuple(_material(look) for look in stage.looks),
        (Take(TAKE, first / stage.rate, last / stage.rate, pose),) if last > first else (),
        tinted=False,
        notes=stage.notes,
    )


def _material(look: Look) -> Material:
    if look.color is None:
        return Material(texture=look.texture)
    red, green, blue = srgb(np.array(look.color)).tolist()
    return Material(texture=look.texture, color=(red, green, blue))
