"""A mesh from a field: marching cubes (Lorensen and Cline 1987; libigl's) on a grid over the box."""

from __future__ import annotations

from collections.abc import Callable

import igl
import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from torch import Tensor

Level = Callable[[Float[Tensor, "n 3"]], Float[Tensor, " n"]]
"""A number at places of the box, greater inside."""

CORNERS = ((0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0), (0, 0, 1), (1, 0, 1), (1, 1, 1), (0, 1, 1))
"""A cell's corners, x y z, in the order that libigl numbers them."""
HAIR = 1e-6
"""Of the range of values: how far from the level a grid point's value is kept, so that no two cuts coincide."""


class NoSurface(ValueError):
    """A field that nowhere crosses its level."""


@torch.no_grad()
def isosurface(
    field: Level, level: float = 0.0, side: int = 128, *, chunk: int = 1 << 17, device: str | torch.device = "cpu"
) -> tuple[Float[ndarray, "v 3"], Int[ndarray, "t 3"]]:
    """Points and triangles where the field has the level, in the box [-1, 1]^3 of the field's own space.

    Asked at side^3 places, `chunk` of them at a time, on `device`. The mesh is closed: what reaches beyond the box is
    cut off at its faces (and bevelled by a cell along its edges). Every point belongs to all triangles around it, and
    triangles turn counterclockwise as seen from outside. NoSurface where there is none.
    """
    values = _ask(field, side, chunk, device).astype(np.float64) - level
    if not np.isfinite(values).all():
        raise NoSurface("The field has values that are no finite numbers: were the weights trained to an end?")
    low, high = values.min(), values.max()
    if not low <= 0 <= high or low == high:
        where = "under" if high < 0 else "over"
        raise NoSurface(f"The field is everywhere {where} the level {level:g} ({low + level:g} to {high + level:g}).")
    hair = HAIR * (high - low)
    values = np.where(np.abs(values) < hair, np.where(values > 0, hair, -hair), values)
    for axis in range(3):
        ends = np.moveaxis(values, axis, 0)[[0, -1]]
        np.moveaxis(values, axis, 0)[[0, -1]] = np.minimum(ends, -hair)
    if (values < 0).all():
        raise NoSurface(f"The field is over the level {level:g} on the faces of the box only: is it too small a part?")
    return _march(values)


def _ask(field: Level, side: int, chunk: int, device: str | torch.device) -> Float[ndarray, "x y z"]:
    """The field at the grid's points."""
    at = torch.linspace(-1, 1, side, device=device)
    found = torch.empty(side**3, dtype=torch.float32)
    for begin in range(0, side**3, chunk):
        index = torch.arange(begin, min(begin + chunk, side**3), device=device)
        places = torch.stack((at[index // side**2], at[index // side % side], at[index % side]), -1)
        found[begin : begin + chunk] = field(places).float().cpu()
    return found.view(side, side, side).numpy()


def _march(values: Float[ndarray, "x y z"]) -> tuple[Float[ndarray, "v 3"], Int[ndarray, "t 3"]]:
    """Only the cells that the surface runs through, and only their corners."""
    side = len(values)
    cells = np.argwhere(_crossed(values > 0))
    corners = cells[:, None] + np.array(CORNERS)
    flat = (corners[..., 0] * side + corners[..., 1]) * side + corners[..., 2]
    used, cell = np.unique(flat, return_inverse=True)
    places = np.stack(np.unravel_index(used, values.shape), axis=1) * (2 / (side - 1)) - 1.0
    # libigl turns triangles towards greater values, which are inside
    points, triangles, _ = igl.marching_cubes(-values.ravel()[used], places, cell.reshape(flat.shape).astype(np.int64))
    return points, triangles.astype(np.int64)


def _crossed(inside: Bool[ndarray, "x y z"]) -> Bool[ndarray, "cx cy cz"]:
    """Cells with corners on both sides."""
    cuts = [tuple(slice(1, None) if step else slice(None, -1) for step in corner) for corner in CORNERS]
    corners = [inside[cut] for cut in cuts]
    return np.logical_or.reduce(corners) & ~np.logical_and.reduce(corners)
