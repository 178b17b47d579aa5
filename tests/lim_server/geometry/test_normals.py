import numpy as np

from lim_server.geometry.normals import vertex_normals


def test_area_decides_between_faces() -> None:
    points = np.array([[0, 0, 0], [9, 0, 0], [0, 9, 0], [0, 0, 1]], np.float32)
    normal = vertex_normals(points, np.array([[0, 1, 2], [0, 2, 3]], np.int32))[0]
    assert np.allclose(normal, np.array([9, 0, 81]) / np.linalg.norm([9, 0, 81]), atol=1e-6)


def test_fan_of_a_bent_polygon_is_independent_of_its_first_corner() -> None:
    points = np.array([[0, 0, 0], [1, 0, 0.3], [1, 1, 0], [0, 1, 0.3]], np.float32)
    a = vertex_normals(points, np.array([[0, 1, 2], [0, 2, 3]], np.int32))
    b = vertex_normals(points, np.array([[1, 2, 3], [1, 3, 0]], np.int32))
    assert np.allclose(a.sum(axis=0), b.sum(axis=0), atol=0.3)
    assert np.allclose(np.linalg.norm(a, axis=1), 1, atol=1e-6)


def test_never_nan() -> None:
    points = np.array([[0, 0, 0], [1, 0, 0], [2, 0, 0], [5, 5, 5]], np.float32)
    faces = np.array([[0, 1, 2], [0, 0, 1], [3, 3, 3]], np.int32)
    assert np.array_equal(vertex_normals(points, faces), np.tile(np.float32([0, 0, 1]), (4, 1)))
    assert np.isfinite(vertex_normals(np.zeros((3, 3), np.float32), faces[:1])).all()
    assert len(vertex_normals(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.int32))) == 0


def test_scale_does_not_matter() -> None:
    rng = np.random.default_rng(1)
    points, faces = rng.normal(size=(30, 3)), rng.integers(0, 30, (40, 3))
    for scale in (1e-18, 1e18):
        assert np.allclose(vertex_normals(points * scale, faces), vertex_normals(points, faces), atol=1e-9)
