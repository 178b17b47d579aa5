"""Residuals per point."""

from __future__ import annotations

import numpy as np

from lim_protocol.types import Mesh
from lim_server.stages.quality import point_residuals


def test_residuals_are_distances_to_the_surface_in_scene_units() -> None:
    square = np.array([[0, 0, 0], [10, 0, 0], [10, 10, 0], [0, 10, 0]], np.float32)
    mesh = Mesh(square, np.array([4], np.int32), np.array([0, 1, 2, 3], np.int32))
    points = np.array([[5, 5, 2], [1, 9, 0], [13, 5, 4]], np.float32)
    assert np.allclose(point_residuals(mesh, points), [2, 0, 5])
