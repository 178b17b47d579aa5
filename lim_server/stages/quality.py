"""How far each tracked point is from the keyframe it should lie on."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32
from numpy import ndarray

from lim_protocol.types import Mesh
from lim_server.geometry.closest import Surface


def point_residuals(mesh: Mesh, points: Float32[ndarray, "points 3"]) -> Float32[ndarray, " points"]:
    """Distance from each point to the mesh's surface, in scene units."""
    hits = Surface(mesh.points, mesh.triangles()).closest(points)
    return hits.distance.astype(np.float32)
