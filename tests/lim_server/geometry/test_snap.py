from __future__ import annotations

import numpy as np

from lim_server.geometry.arap import Rigidity
from lim_server.geometry.closest import Surface
from lim_server.geometry.normals import face_normals
from lim_server.geometry.shape import Shape
from lim_server.geometry.snap import LEFT, snap
from tests.lim_server.geometry.things import ball, box, shape, together


def rigidity(source: Shape) -> Rigidity:
    return Rigidity(source.points, source.triangles)


def test_near_points_come_within_what_is_promised() -> None:
    source, target = shape(together(ball(1.0))), shape(together(ball(1.0)))
    near = source.points * 1.005
    landed = snap(source, target, near, rigidity(source))
    assert Surface(target.points, target.triangles).closest(landed).distance.max() < LEFT + 1e-9
    far = source.points * 1.2
    assert np.allclose(snap(source, target, far, rigidity(source)), far, atol=1e-9)


def test_the_mesh_is_laid_down_as_a_whole() -> None:
    """The closest place of each point, by itself, would shorten and lengthen the edges of what is only shifted."""
    thing = shape(together(ball(1.0)))
    shifted = thing.points + np.array([0.003, 0.002, 0.004])
    landed = snap(thing, thing, shifted, rigidity(thing))
    alone = Surface(thing.points, thing.triangles).closest(shifted).points
    edges = np.concatenate([thing.triangles[:, [0, 1]], thing.triangles[:, [1, 2]]])
    true, whole, each = (np.linalg.norm(np.diff(p[edges], axis=1)[:, 0], axis=1) for p in (thing.points, landed, alone))
    assert np.abs(whole - true).sum() < 0.1 * np.abs(each - true).sum()


def test_a_pinned_point_stays_and_the_others_land() -> None:
    source = shape(together(ball(1.0)))
    source.pinned[0] = True
    near = source.points * 1.005
    landed = snap(source, source, near, rigidity(source))
    assert np.array_equal(landed[0], near[0])
    off = Surface(source.points, source.triangles).closest(landed).distance
    assert off[0] > 2 * LEFT
    assert off[1:].max() < LEFT + 1e-9


def test_a_thin_sheet_is_not_turned_over() -> None:
    thin = shape(together(box((1, 1, 0.004), (0, 0, 0))))
    pushed = thin.points + 0.004 * np.random.default_rng(0).normal(size=thin.points.shape)
    before, after = (face_normals(p, thin.triangles) for p in (pushed, snap(thin, thin, pushed, rigidity(thin))))
    assert (before * after).sum(axis=1).min() >= 0.5 - 1e-9
