from __future__ import annotations

import numpy as np
import pytest
import torch

from lim_server.geometry.shape import Shape
from lim_server.geometry.stretch import Stretch
from tests.lim_server.geometry.things import about, ball, box, shape, together


def found(rest: Shape, points: np.ndarray) -> np.ndarray:
    stretch: np.ndarray = Stretch(rest, "cpu").at(torch.from_numpy(points)).numpy()
    return stretch


def test_turned_it_is_not_stretched_and_larger_it_is() -> None:
    rest = shape(together(ball(0.5)))
    turn = about((1, 2, 3), 77)
    assert found(rest, rest.points @ turn.T + 3).max() < 1e-6
    assert found(rest, 1.1 * rest.points) == pytest.approx(np.sqrt(2) * 0.1, abs=0.01)


def test_only_where_it_is() -> None:
    rest = shape(together(box((1, 1, 6), (0, 0, 0), 6)))
    longer = rest.points.copy()
    z = rest.points[:, 2]
    longer[:, 2] += 0.2 * np.maximum(z, 0)
    grown = found(rest, longer)
    assert grown[z < -0.1].max() < 0.01
    assert 0.1 < np.median(grown[z > 0.1]) < 0.21


def test_noise_averages_out() -> None:
    rest = shape(together(box((1, 1, 1), (0, 0, 0), 5)))
    edge = np.linalg.norm(rest.points[rest.triangles[:, 0]] - rest.points[rest.triangles[:, 1]], axis=1).mean()
    shaken = rest.points + 0.03 * edge * np.random.default_rng(0).normal(size=rest.points.shape)
    sides = [np.linalg.norm(p[rest.triangles[:, 0]] - p[rest.triangles[:, 1]], axis=1) for p in (rest.points, shaken)]
    assert np.median(found(rest, shaken)) < 0.5 * np.abs(sides[1] / sides[0] - 1).mean()


def test_flat_triangles_and_loose_points_are_borne() -> None:
    points = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [2, 0, 0], [5, 5, 5]], np.float64)
    rest = shape(together((points, np.array([[0, 1, 2], [0, 1, 3]]))))
    assert np.isfinite(found(rest, rest.points * np.array([1.0, 2, 3]))).all()
