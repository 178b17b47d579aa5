"""Onto the surface, where it is near and faces the same way, and no triangle turns over by it."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from lim_server.geometry.closest import Surface
from lim_server.geometry.normals import face_normals, vertex_normals
from lim_server.geometry.shape import Shape

NEAR, FACING = 0.01, 0.3
TURNED, ROUNDS = 0.5, 8


def snap(source: Shape, target: Shape, points: Float[ndarray, "n 3"]) -> Float[ndarray, "n 3"]:
    """Points moved to the target's closest point; those farther than a hundredth of the diagonal stay.

    So do the corners of triangles that would turn by more than 60 degrees: in thin places (lips, fins, teeth) the
    closest surface is often that of the other side. Pinned points stay too, and stiff ones go a part
    of the way: at ten times the usual stiffness a tenth.
    """
    hits = Surface(target.points, target.triangles).closest(points)
    facing = face_normals(target.points, target.triangles)[hits.triangle] * vertex_normals(points, source.triangles)
    near = (hits.distance < NEAR) & (facing.sum(axis=1) > FACING) & ~source.pinned
    goal = hits.points
    if source.stiffness is not None:
        goal = points + (goal - points) / np.maximum(source.stiffness, 1.0)[:, None]
    before = face_normals(points, source.triangles)
    for _ in range(ROUNDS):
        moved = np.where(near[:, None], goal, points)
        turned = (face_normals(moved, source.triangles) * before).sum(axis=1) < TURNED
        undone = np.unique(source.triangles[turned])
        if not near[undone].any():
            break
        near[undone] = False
    return np.where(near[:, None], goal, points)
