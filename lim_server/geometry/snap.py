"""Onto the surface, where it is near and faces the same way, and no triangle turns over by it.

The closest place of a point that is a little off lies aside of it as well, by chance, and differently for its
neighbour: put there, a mesh gets noisy edges. So the mesh is first laid onto the surface as a whole, free to slide,
with a field of displacements that is smooth; only what that leaves goes to the closest place, and not quite.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy import ndarray
from scipy.sparse import block_diag, bmat, diags
from scipy.sparse.linalg import cg
from scipy.spatial import cKDTree

from lim_server.geometry.arap import Rigidity
from lim_server.geometry.closest import Surface, nearest_blend
from lim_server.geometry.lifted import THEIRS
from lim_server.geometry.normals import face_normals, vertex_normals
from lim_server.geometry.shape import Shape
from lim_server.geometry.spread import Spread

NEAR, FACING = 0.01, 0.3
REACH = 0.003
"""How far (diagonals) a place is off that draws the mesh about half: a scan's hull is not to draw what it hides."""
LAID, SMOOTH, PINNED = 2, 1e-5, 1e2
"""How often the mesh is laid onto the surface; how smooth the displacements are, and how heavy a pinned point is,
against how the whole surface draws."""
ENOUGH, MOST = 1e-4, 200
"""Where the solver of displacements stops: left of the right side, and steps."""
LEFT = 7e-4
"""So far off (diagonals) a point may stay: less than the thousandth that is promised."""
TURNED, ROUNDS = 0.5, 8
ASIDE = 0.02
"""A place that faces the other way counts as far as this (diagonals), where the closest one does so."""


def snap(source: Shape, target: Shape, points: Float[ndarray, "n 3"], rigid: Rigidity) -> Float[ndarray, "n 3"]:
    """Points moved onto the target; those farther than a hundredth of the diagonal only go along with the others.

    In thin places (lips, fins, teeth) the closest surface is often that of the other side: then it is the closest that
    faces the same way. Corners of triangles that would turn by more than 60 degrees go half the way, or a quarter, and
    so on. Pinned points stay, and stiff ones go a part of the way: at ten times the usual stiffness a tenth.
    """
    before, there = face_normals(points, source.triangles), _Facing(target)
    for _ in range(LAID):
        points = _unturned(source, before, points, _laid(source, there, points, rigid))
    goal, near = there.closest(points, vertex_normals(points, source.triangles))
    apart = np.linalg.norm(goal - points, axis=1)
    part = np.where(near & ~source.pinned & (apart > LEFT), 1.0 - LEFT / np.maximum(apart, LEFT), 0.0)
    if source.stiffness is not None:
        part /= np.maximum(source.stiffness, 1.0)
    return _unturned(source, before, points, part[:, None] * (goal - points))


def _unturned(
    source: Shape, before: Float[ndarray, "t 3"], points: Float[ndarray, "n 3"], way: Float[ndarray, "n 3"]
) -> Float[ndarray, "n 3"]:
    """Points that go their way as far as no triangle turns much by it from where it faced before."""
    part = np.ones((len(points), 1))
    for last in (False,) * (ROUNDS - 1) + (True,):
        turned = (face_normals(points + part * way, source.triangles) * before).sum(axis=1) < TURNED
        undone = np.unique(source.triangles[turned])
        if not (part[undone] * way[undone]).any():
            break
        part[undone] *= 0.0 if last else 0.5
    return points + part * way


def _laid(source: Shape, target: _Facing, points: Float[ndarray, "n 3"], rigid: Rigidity) -> Float[ndarray, "n 3"]:
    """Smooth ways of all points by which they come nearest to the planes of their closest places.

    Least squares of a (n . (x + d - c))^2, a robust (Welsch), and of SMOOTH times the Laplacian of d, as stiff as
    `rigid`. Three times as large as the others, and another every time: so it is not factored.
    """
    facing = vertex_normals(points, source.triangles)
    goal, near = target.closest(points, facing)
    whole = source.area.sum()
    way = goal - points
    off = (way * facing).sum(axis=1)
    draw = source.area / whole * near * ~source.pinned * np.exp(-0.5 * (way**2).sum(axis=1) / REACH**2)
    smooth = SMOOTH / whole * rigid.laplacian + diags(PINNED * source.pinned + 1e-12)
    planes = [[diags(draw * facing[:, i] * facing[:, j]) for j in range(3)] for i in range(3)]
    matrix = (bmat(planes) + block_diag([smooth] * 3)).tocsr()
    right = (draw * off * facing.T).ravel()
    moved, _ = cg(matrix, right, rtol=ENOUGH, maxiter=MOST, M=diags(1 / matrix.diagonal()))
    return np.where(source.pinned[:, None], 0.0, moved.reshape(3, -1).T)


class _Facing:
    """The target, asked for places that face as the asker does."""

    def __init__(self, target: Shape):
        self.target, self.surface = target, Surface(target.points, target.triangles)
        self.normals = face_normals(target.points, target.triangles)

    @cached_property
    def spread(self) -> tuple[Spread, cKDTree]:
        """Places in space and direction, for those whose closest one faces the other way."""
        spread = Spread.of(self.target, THEIRS)
        places = np.concatenate([spread.blend @ self.target.points, ASIDE * self.normals[spread.lies_in]], axis=1)
        return spread, cKDTree(places)

    def closest(
        self, points: Float[ndarray, "n 3"], facing: Float[ndarray, "n 3"]
    ) -> tuple[Float[ndarray, "n 3"], Bool[ndarray, " n"]]:
        """The closest place, or the closest that faces the same way, and whether it is near and does."""
        hits = self.surface.closest(points)
        goal, near = hits.points, hits.distance < NEAR
        same = (self.normals[hits.triangle] * facing).sum(axis=1) > FACING
        other = np.flatnonzero(near & ~same)
        if len(other):
            spread, tree = self.spread
            at = tree.query(np.concatenate([points, ASIDE * facing], axis=1)[other])[1]
            triangle = spread.lies_in[at]
            corners = self.target.points[self.target.triangles[triangle]]
            p, a, b, c = (torch.from_numpy(x) for x in (points[other], *corners.swapaxes(0, 1)))
            blend, apart = (x.numpy() for x in nearest_blend(p, a, b, c))
            goal[other] = (blend[..., None] * corners).sum(axis=1)
            same[other] = (self.normals[triangle] * facing[other]).sum(axis=1) > FACING
            near[other] = apart < NEAR
        return goal, near & same
