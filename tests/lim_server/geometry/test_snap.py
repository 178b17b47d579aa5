from __future__ import annotations

import numpy as np

from lim_server.geometry.closest import Surface
from lim_server.geometry.normals import face_normals
from lim_server.geometry.snap import snap
from tests.lim_server.geometry.things import ball, box, shape, together


def test_near_points_land_on_the_surface() -> None:
    source, target = shape(together(ball(1.0))), shape(together(ball(1.0)))
    near = source.points * 1.005
    landed = snap(source, target, near)
    assert Surface(target.points, target.triangles).closest(landed).distance.max() < 1e-12
    far = source.points * 1.2
    assert np.array_equal(snap(source, target, far), far)


def test_a_thin_sheet_is_not_turned_over() -> None:
    thin = shape(together(box((1, 1, 0.004), (0, 0, 0))))
    pushed = thin.points + 0.004 * np.random.default_rng(0).normal(size=thin.points.shape)
    before, after = (face_normals(p, thin.triangles) for p in (pushed, snap(thin, thin, pushed)))
    assert (before * after).sum(axis=1).min() >= 0.5 - 1e-9
