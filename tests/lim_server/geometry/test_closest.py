from __future__ import annotations

import numpy as np
import pytest
import torch

from lim_server.geometry.closest import Surface, nearest_blend
from tests.lim_server.geometry.things import box, shape, together


def beside(*given: np.ndarray) -> list[np.ndarray]:
    return [x.numpy() for x in nearest_blend(*(torch.from_numpy(np.ascontiguousarray(x)) for x in given))]


def test_places_and_distances_are_those_of_the_surface() -> None:
    cube = shape(together(box((1, 2, 3), (0, 0, 0), cuts=1)))
    queries = np.random.default_rng(0).normal(size=(200, 3))
    hits = Surface(cube.points, cube.triangles).closest(queries)
    again = np.einsum("qk,qkc->qc", hits.blend, cube.points[cube.triangles[hits.triangle]])
    assert np.allclose(again, hits.points, atol=1e-9)
    blend, apart = beside(queries, *(cube.points[cube.triangles[hits.triangle, k]] for k in range(3)))
    assert np.allclose(apart, hits.distance)
    assert np.allclose(blend, hits.blend, atol=1e-6)


@pytest.mark.parametrize("dimensions", [3, 9])
def test_no_other_place_of_the_triangle_is_nearer(dimensions: int) -> None:
    random = np.random.default_rng(1)
    p, a, b, c = random.normal(size=(4, 300, dimensions))
    blend, apart = beside(p, a, b, c)
    assert blend.min() >= 0
    assert np.allclose(blend.sum(axis=1), 1)
    for _ in range(50):
        u = random.dirichlet([0.5, 0.5, 0.5], 300)
        assert (np.linalg.norm(u[:, :1] * a + u[:, 1:2] * b + u[:, 2:] * c - p, axis=1) >= apart - 1e-9).all()


def test_a_triangle_without_area_gives_its_nearest_place() -> None:
    a, b = np.zeros((1, 3)), np.array([[1.0, 0, 0]])
    blend, apart = beside(np.array([[0.25, 1.0, 0]]), a, b, b)
    assert np.allclose(blend @ [0, 1, 1], 0.25)
    assert np.allclose(apart, 1.0)
