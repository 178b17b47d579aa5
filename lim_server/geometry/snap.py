"""Onto the surface, where it is near and faces the same way, and no triangle turns over by it."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray
from scipy.spatial import cKDTree

from lim_server.geometry.closest import Surface, nearest_blend
from lim_server.geometry.lifted import THEIRS
from lim_server.geometry.normals import face_normals, vertex_normals
from lim_server.geometry.shape import Shape
from lim_server.geometry.spread import Spread

NEAR, FACING = 0.01, 0.3
TURNED, ROUNDS = 0.5, 8
ASIDE = 0.02
"""A place that faces the other way counts as far as this (diagonals), where the closest one does so."""


def snap(source: Shape, target: Shape, points: Float[ndarray, "n 3"]) -> Float[ndarray, "n 3"]:
    """Points moved to the target's closest point; those farther than a hundredth of the diagonal stay.

    In thin places (lips, fins, teeth) the closest surface is often that of the other side: then it is the closest that
    faces the same way. Corners of triangles that would turn by more than 60 degrees go half the way, or a quarter, and
    so on. Pinned points stay, and stiff ones go a part of the way: at ten times the usual stiffness a tenth.
    """
    facing = vertex_normals(points, source.triangles)
    goal, near = _closest(target, points, facing)
    part = np.where(near & ~source.pinned, 1.0, 0.0)
    if source.stiffness is not None:
        part /= np.maximum(source.stiffness, 1.0)
    before = face_normals(points, source.triangles)
    for last in (False,) * (ROUNDS - 1) + (True,):
        moved = points + part[:, None] * (goal - points)
        turned = (face_normals(moved, source.triangles) * before).sum(axis=1) < TURNED
        undone = np.unique(source.triangles[turned])
        if not part[undone].any():
            break
        part[undone] *= 0.0 if last else 0.5
    return np.where(part[:, None] == 1.0, goal, points + part[:, None] * (goal - points))


def _closest(
    target: Shape, points: Float[ndarray, "n 3"], facing: Float[ndarray, "n 3"]
) -> tuple[Float[ndarray, "n 3"], Bool[ndarray, " n"]]:
    """The closest place of the target, or the closest that faces the same way, and whether it is near and does."""
    hits = Surface(target.points, target.triangles).closest(points)
    normals = face_normals(target.points, target.triangles)
    goal, near = hits.points, hits.distance < NEAR
    same = (normals[hits.triangle] * facing).sum(axis=1) > FACING
    other = np.flatnonzero(near & ~same)
    if len(other):
        spread = Spread.of(target, THEIRS)
        places = np.concatenate([spread.blend @ target.points, ASIDE * normals[spread.lies_in]], axis=1)
        at = cKDTree(places).query(np.concatenate([points, ASIDE * facing], axis=1)[other])[1]
        triangle = spread.lies_in[at]
        corners = target.points[target.triangles[triangle]]
        blend, apart = nearest_blend(points[other], corners[:, 0], corners[:, 1], corners[:, 2])
        goal[other] = (blend[..., None] * corners).sum(axis=1)
        same[other] = (normals[triangle] * facing[other]).sum(axis=1) > FACING
        near[other] = apart < NEAR
    return goal, near & same
