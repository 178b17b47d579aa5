"""USD stages through lim_usd."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lim_cli.errors import BadInput
from lim_cli.readers.contents import Contents, Material
from lim_usd.read import read_usd, time_samples
from lim_usd.source import BadSource


def read(path: Path, time: float, prim: str | None) -> Contents:
    """The stage at one frame, as `read_usd` tells. A stage with one sample or none is one pose, whatever frame
    that was exported at.
    """
    try:
        source = read_usd(path, time if len(time_samples(path, prim)) > 1 else None, prim)
    except BadSource as error:
        raise BadInput(str(error).removeprefix(f"{path}: ")) from error
    textured = source.texture is not None
    return Contents(
        mesh=source.mesh,
        parts=source.parts,
        materials=(Material(source.texture.name, source.texture),) if source.texture else (),
        face_materials=np.zeros(len(source.mesh.face_counts), np.int32) if textured else None,
        up_axis=source.up_axis,
        metres_per_unit=source.metres_per_unit,
        notes=source.notes,
    )


def samples(path: Path, prim: str | None) -> list[float]:
    """The frames at which the stage's meshes are sampled. Raises BadInput naming the stage."""
    try:
        return list(time_samples(path, prim))
    except BadSource as error:
        raise BadInput(str(error)) from error
