"""A surface in nine dimensions: place, direction, colour. What is near in all of them belongs together."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.spatial import cKDTree
from torch import Tensor

from lim_server.geometry.closest import nearest_blend
from lim_server.geometry.shape import Shape
from lim_server.geometry.spread import Spread

FACING, PLAIN, PAINT = 0.025, 0.04, 0.4
"""A turn by one radian counts as far as 0.025 diagonals, 0.04 where no colours tell more, and a colour across the whole
of Lab's lightness as 0.4."""
THEIRS = 8000
"""About so many places are spread over a target."""
AT_ONCE = 1 << 26
"""How many distances are in memory at once where there is no tree."""


@dataclass(frozen=True, eq=False)
class Blend:
    """Places as means of three of a surface's points each."""

    corner: Int[Tensor, "q 3"]
    share: Float[Tensor, "q 3"]

    def of(self, values: Float[Tensor, "n c"]) -> Float[Tensor, "q c"]:
        """What the points have, at the places."""
        first, second, third = (values[self.corner[:, k]].mul_(self.share[:, k, None]) for k in range(3))
        return first.add_(second).add_(third)

    def back(self, values: Float[Tensor, "q c"], out: Float[Tensor, "n c"]) -> Float[Tensor, "n c"]:
        """The transpose: what the places have, added at the points, in place."""
        for k in range(3):
            out.index_add_(0, self.corner[:, k], self.share[:, k, None] * values)
        return out

    def squares(self, weight: Float[Tensor, " q"], out: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
        """The diagonal of the transpose times the weights times this, added in place."""
        return out.index_add_(0, self.corner.flatten(), (self.share.square() * weight[:, None]).flatten())


class Places:
    """A spread on a device."""

    def __init__(self, spread: Spread, device: str, *, colored: bool):
        def tensor(x: np.ndarray) -> Tensor:
            return torch.as_tensor(x, device=device)

        shape = spread.shape
        self.spread, self.colored = spread, colored
        self.triangles, self.triangle = tensor(shape.triangles), tensor(spread.triangle)
        self.lies_in, self.share = tensor(spread.lies_in), tensor(spread.share)
        self.count = len(shape.points)
        self.inside = Blend(self.triangles[self.triangle], tensor(spread.inside))
        paint = PAINT * shape.colors if colored and shape.colors is not None else np.zeros((self.count, 0))
        self.paint = tensor(paint)
        self.rows = self.of(self.paint)

    def of(self, values: Float[Tensor, "n c"]) -> Float[Tensor, "q c"]:
        """What the points have, at the places: the points themselves first."""
        return torch.cat([values, self.inside.of(values)])


class Lifted:
    """Places spread over a surface whose points are where they are now.

    rows     float64 [q, 6 or 9]  the places
    corners  float64 [n, 6 or 9]  the surface's points
    """

    def __init__(self, on: Places, points: Float[Tensor, "n 3"]):
        self.on = on
        cross = _cross(points, on.triangles)
        self.faces = torch.nn.functional.normalize(cross, dim=1, eps=1e-18)
        smooth = torch.zeros_like(points).index_add_(0, on.triangles.flatten(), cross.repeat_interleave(3, 0))
        smooth = torch.nn.functional.normalize(smooth, dim=1, eps=1e-30)
        facing = FACING if on.colored else PLAIN
        self.corners = torch.cat([points, facing * smooth, on.paint], 1)
        self.places = on.of(points)
        self.normals = torch.cat([smooth, self.faces[on.triangle]])
        self.rows = torch.cat([self.places, facing * self.normals, on.rows], 1)

    @classmethod
    def target(cls, shape: Shape, device: str, *, colored: bool) -> Lifted:
        """A keyframe's surface, as judge and fine fit hold a source against it."""
        places = Places(Spread.of(shape, THEIRS), device, colored=colored)
        return cls(places, torch.as_tensor(shape.points, device=device))

    @cached_property
    def tree(self) -> cKDTree:
        """For the CPU."""
        return cKDTree(self.rows.numpy())

    def nearest(
        self, other: Lifted, every: int = 1
    ) -> tuple[Int[Tensor, " q"], Float[Tensor, "q 3"], Float[Tensor, " q"]]:
        """Of each of my places, or every so many of them, its match on the other: the triangle, where on it, and how
        far off, colours and all.
        """
        rows = self.rows[::every]
        if rows.device.type == "cpu":
            at = torch.from_numpy(other.tree.query(rows.numpy())[1])
        else:
            at = nearest_row(rows, other.rows)
        triangle = other.on.lies_in[at]
        corner = other.on.triangles[triangle]
        blend, apart = nearest_blend(rows, *(other.corners[corner[:, k]] for k in range(3)))
        return triangle, blend, apart

    def pull(self, other: Lifted, reach: float) -> tuple[Float[Tensor, " q"], Blend]:
        """Of each of my places: how strongly it is drawn, and its match as a mean of the other's points."""
        triangle, blend, apart = self.nearest(other)
        facing = (self.normals * other.faces[triangle]).sum(1).clamp(0, 1)
        weight = self.on.share * torch.exp(-0.5 * (apart / reach) ** 2) * facing
        return weight, Blend(other.on.triangles[triangle], blend)


def nearest_row(rows: Float[Tensor, "q d"], others: Float[Tensor, "m d"]) -> Int[Tensor, " q"]:
    """Of each row the nearest of the others, all compared with all: what a GPU does sooner than walk a tree."""
    some = max(1, AT_ONCE // len(others))
    return torch.cat([torch.cdist(part, others).argmin(1) for part in rows.split(some)])


def _cross(points: Float[Tensor, "n 3"], triangles: Int[Tensor, "t 3"]) -> Float[Tensor, "t 3"]:
    a, b, c = (points[triangles[:, k]] for k in range(3))
    return torch.linalg.cross(b - a, c - a)
