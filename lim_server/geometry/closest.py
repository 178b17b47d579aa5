"""Closest points on triangle surfaces, with what is known there."""

from __future__ import annotations

from dataclasses import dataclass

import igl
import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Hits:
    """Closest points: where, in which triangle, with which barycentric weights, how far."""

    points: Float[ndarray, "q 3"]
    triangle: Int[ndarray, " q"]
    blend: Float[ndarray, "q 3"]
    distance: Float[ndarray, " q"]


class Surface:
    """A triangle surface that can be asked for its closest points (libigl's box tree, on the CPU)."""

    def __init__(self, points: Float[ndarray, "n 3"], triangles: Int[ndarray, "t 3"]):
        self.points = np.ascontiguousarray(points, np.float64)
        self.triangles = np.ascontiguousarray(triangles, np.int64)
        self.tree = igl.AABB()
        self.tree.init(self.points, self.triangles)

    def closest(self, queries: Float[ndarray, "q 3"]) -> Hits:
        """The closest point of the surface to each query."""
        square, triangle, points = self.tree.squared_distance(
            self.points, self.triangles, np.ascontiguousarray(queries, np.float64)
        )
        triangle = triangle.astype(np.int64)  # libigl's own long integers are not numpy's
        blend = barycentric(points, *(self.points[self.triangles[triangle, k]] for k in range(3)))
        return Hits(points, triangle, blend, np.sqrt(np.maximum(square, 0)))

    def at(self, hits: Hits, values: Float[ndarray, "n c"]) -> Float[ndarray, "q c"]:
        """Values of the surface's points, blended at the hits."""
        return np.einsum("qk,qkc->qc", hits.blend, values[self.triangles[hits.triangle]])


def barycentric(
    p: Float[ndarray, "q 3"], a: Float[ndarray, "q 3"], b: Float[ndarray, "q 3"], c: Float[ndarray, "q 3"]
) -> Float[ndarray, "q 3"]:
    """Weights of the corners, 0..1 with sum one, for points in the triangles; a flat one gives its nearest corner."""
    u, v, w = b - a, c - a, p - a
    uu, uv, vv = (u * u).sum(1), (u * v).sum(1), (v * v).sum(1)
    wu, wv = (w * u).sum(1), (w * v).sum(1)
    det = uu * vv - uv * uv
    flat = det <= 1e-12 * uu * vv
    safe = np.where(flat, 1.0, det)
    s = np.where(flat, 0.0, (vv * wu - uv * wv) / safe)
    t = np.where(flat, 0.0, (uu * wv - uv * wu) / safe)
    blend = np.clip(np.stack([1 - s - t, s, t], axis=1), 0, 1)
    if flat.any():
        corners = np.stack([a, b, c], axis=1)[flat]
        blend[flat] = np.eye(3)[((corners - p[flat][:, None]) ** 2).sum(-1).argmin(1)]
    return blend / blend.sum(axis=1, keepdims=True)


def nearest_blend(
    p: Float[Tensor, "q d"], a: Float[Tensor, "q d"], b: Float[Tensor, "q d"], c: Float[Tensor, "q d"]
) -> tuple[Float[Tensor, "q 3"], Float[Tensor, " q"]]:
    """Weights of the corners at the closest point of each triangle in any number of dimensions, and how far it is."""
    u, v, w = b - a, c - a, p - a
    uu, uv, vv = (u * u).sum(1), (u * v).sum(1), (v * v).sum(1)
    wu, wv = (w * u).sum(1), (w * v).sum(1)
    det = uu * vv - uv * uv
    proper = det > 1e-9 * uu * vv + 1e-30
    safe = torch.where(proper, det, 1.0)
    s, t = (vv * wu - uv * wv) / safe, (uu * wv - uv * wu) / safe
    blend = torch.stack([1 - s - t, s, t], 1)
    within = proper & (blend.amin(1) >= 0)
    blend = torch.where(within[:, None], blend, _nearest_on_sides(p, a, b, c))
    off = p - (blend[:, :1] * a + blend[:, 1:2] * b + blend[:, 2:] * c)
    return blend, (off * off).sum(1).sqrt()


def _nearest_on_sides(
    p: Float[Tensor, "q d"], a: Float[Tensor, "q d"], b: Float[Tensor, "q d"], c: Float[Tensor, "q d"]
) -> Float[Tensor, "q 3"]:
    blends, squares = [], []
    for k, (start, end) in enumerate(((a, b), (b, c), (c, a))):
        side, off = end - start, p - start
        along = ((off * side).sum(1) / (side * side).sum(1).clamp(min=1e-30)).clamp(0, 1)
        blends.append(torch.stack([1 - along, along, torch.zeros_like(along)], 1).roll(k, 1))
        squares.append((off - along[:, None] * side).square().sum(1))
    nearest = torch.stack(squares, 1).argmin(1)
    return torch.stack(blends, 1)[torch.arange(len(p), device=p.device), nearest]
