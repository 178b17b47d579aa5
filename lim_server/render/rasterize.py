"""Exact pictures of triangle meshes, in plain torch on any device.

Every pixel of every triangle's bounding box is one row of a long table; one table serves pictures (nearest triangle at
each pixel) and solids (all triangles at each pixel).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lim_server.render.cameras import Cameras

NEAR = 1e-3
NOTHING = -1


@dataclass(frozen=True, eq=False)
class Covered:
    """Pixels whose centres lie in triangles, one row for each pair.

    triangle  [p]     index of the triangle (over all views: view * faces + face)
    pixel     [p]     index of the pixel (over all views: view * size^2 + row * size + column)
    weights   [p, 3]  barycentric coordinates in the image
    """

    triangle: Int[Tensor, " p"]
    pixel: Int[Tensor, " p"]
    weights: Float[Tensor, "p 3"]


@dataclass(frozen=True, eq=False)
class Seen:
    """What each pixel sees.

    face     [v, pixels]     face, or NOTHING
    weights  [v, pixels, 3]  barycentric coordinates on the face, in space
    depth    [v, pixels]     along the camera's axis; 0 where nothing is seen
    """

    face: Int[Tensor, "v pixels"]
    weights: Float[Tensor, "v pixels 3"]
    depth: Float[Tensor, "v pixels"]

    @property
    def mask(self) -> Bool[Tensor, "v pixels"]:
        """Where something is seen."""
        return self.face != NOTHING

    def of_points(self, values: Float[Tensor, "v n c"], faces: Int[Tensor, "f 3"]) -> Float[Tensor, "v pixels c"]:
        """A value per point of the mesh, seen through each pixel; 0 where nothing is."""
        corners = faces[self.face.clamp(min=0)]
        view = torch.arange(len(corners), device=corners.device)[:, None, None]
        return (values[view, corners] * self.weights[..., None]).sum(-2)

    def of_corners(self, values: Float[Tensor, "f 3 c"]) -> Float[Tensor, "v pixels c"]:
        """A value per face corner, seen through each pixel; 0 where nothing is."""
        return (values[self.face.clamp(min=0)] * self.weights[..., None]).sum(-2)


def covered(image: Float[Tensor, "v f 3 2"], size: int, wanted: Bool[Tensor, "v f"] | None = None) -> Covered:
    """Every pixel centre in every triangle, for triangles in image coordinates."""
    flat = image.reshape(-1, 3, 2)
    at = torch.stack((flat[..., 0] + 1, 1 - flat[..., 1]), -1) * (size / 2) - 0.5
    low = at.amin(1).ceil().clamp(min=0)
    span = (at.amax(1).floor().clamp(max=size - 1) - low + 1).clamp(min=0).nan_to_num().long()
    rows = span.prod(-1)
    if wanted is not None:
        rows = rows * wanted.flatten()
    triangle = torch.repeat_interleave(torch.arange(len(rows), device=rows.device), rows)
    offset = torch.arange(len(triangle), device=rows.device) - (rows.cumsum(0) - rows)[triangle]
    wide = span[:, 0][triangle]
    here = torch.stack((offset % wide, offset // wide), -1) + low.long()[triangle]
    weights = _barycentric(at, triangle, here)
    inside = (weights >= 0).all(-1).nonzero()[:, 0]
    triangle, here = triangle[inside], here[inside]
    view = triangle // image.shape[1]
    return Covered(triangle, (view * size + here[:, 1]) * size + here[:, 0], weights[inside])


def _barycentric(
    at: Float[Tensor, "t 3 2"], triangle: Int[Tensor, " p"], here: Int[Tensor, "p 2"]
) -> Float[Tensor, "p 3"]:
    a, b, c = at.unbind(1)
    ab, ac = b - a, c - a
    area = ab[:, 0] * ac[:, 1] - ab[:, 1] * ac[:, 0]
    scale = torch.where(area == 0, torch.nan, 1 / area)  # an edge-on triangle covers nothing
    slopes = torch.stack((ac[:, 1], -ac[:, 0], -ab[:, 1], ab[:, 0]), -1) * scale[:, None]
    x, y = (here - a[triangle]).unbind(-1)
    s = slopes[triangle]
    second, third = s[:, 0] * x + s[:, 1] * y, s[:, 2] * x + s[:, 3] * y
    return torch.stack((1 - second - third, second, third), -1)


def see(points: Float[Tensor, "v n 3"], faces: Int[Tensor, "f 3"], cameras: Cameras, size: int) -> Seen:
    """The nearest face at each pixel of each view; points may differ from view to view. Faces are two-sided."""
    corners = cameras.project(points)[:, faces]
    depth = corners[..., 2].reshape(-1, 3)
    pairs = covered(corners[..., :2], size, (corners[..., 2] > NEAR).all(-1))
    over = pairs.weights / depth[pairs.triangle]
    nearness = over.sum(-1)
    # positive floats sort like their bits: nearest wins, the lower row among equals
    rank = (nearness.view(torch.int32).long() << 32) + (2**31 - 1 - torch.arange(len(over), device=over.device))
    best = torch.full((len(points) * size * size,), NOTHING, dtype=torch.long, device=over.device)
    best = best.scatter_reduce(0, pairs.pixel, rank, "amax")
    row = (2**31 - 1 - (best & 0xFFFFFFFF)).clamp(min=0)
    return _seen(pairs, over, nearness, best != NOTHING, row, len(points), len(faces))


def _seen(pairs: Covered, over: Tensor, nearness: Tensor, hit: Tensor, row: Tensor, views: int, faces: int) -> Seen:
    if len(over) == 0:
        nothing = torch.zeros_like(row, dtype=torch.float32).reshape(views, -1)
        return Seen(torch.full_like(row, NOTHING).reshape(views, -1), nothing[..., None].repeat(1, 1, 3), nothing)
    row = torch.where(hit, row, 0)
    face = torch.where(hit, pairs.triangle[row] % faces, NOTHING)
    weights = torch.where(hit[:, None], over[row] / nearness[row][:, None], 0)
    depth = torch.where(hit, 1 / nearness[row], 0)
    return Seen(face.reshape(views, -1), weights.reshape(views, -1, 3), depth.reshape(views, -1))
