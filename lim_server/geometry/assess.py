"""How well a keyframe was met: a confidence per point and a record for the key."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.spatial import cKDTree

from lim_protocol.types import Quality
from lim_server.geometry.closest import Surface
from lim_server.geometry.normals import face_normals, vertex_normals
from lim_server.geometry.shape import Shape

FAR, UNLIKE = 0.01, 0.2


def assess(source: Shape, target: Shape, points: Float[ndarray, "n 3"]) -> tuple[Float[ndarray, " n"], Quality]:
    """Confidence 0 to 1 of each point (near the surface, facing as it does, of its colour) and the key's record."""
    there = Surface(target.points, target.triangles)
    hits = there.closest(points)
    facing = face_normals(target.points, target.triangles)[hits.triangle] * vertex_normals(points, source.triangles)
    confidence = np.exp(-0.5 * (hits.distance / FAR) ** 2) * np.clip(facing.sum(axis=1), 0, 1)
    if source.colors is not None and target.colors is not None:
        off = there.at(hits, target.colors) - source.colors
        confidence = confidence * (0.2 + 0.8 * np.exp(-0.5 * ((off / UNLIKE) ** 2).sum(axis=1)))
    back = Surface(points, source.triangles).closest(target.points)
    d = hits.distance
    return confidence, Quality(
        float(d.mean()),
        float(np.percentile(d, 95)),
        float(d.max()),
        float(np.percentile(back.distance, 95)),
        float(confidence.mean()),
    )


def lost(target: Shape, points: Float[ndarray, "n 3"]) -> Quality:
    """The record of a key that has no surface, or whose source has none."""
    d = cKDTree(target.points).query(points)[0]
    back = cKDTree(points).query(target.points)[0]
    return Quality(float(d.mean()), float(np.percentile(d, 95)), float(d.max()), float(np.percentile(back, 95)), 0.0)
