import numpy as np

from lim_server.geometry.weld import clean, weld


def test_seam_closes_and_touching_corner_stays_apart() -> None:
    points = np.array(
        [[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0], [1, 1, 0], [2, 1, 0], [1, 2, 0]], np.float32
    )
    triangles = np.array([[0, 1, 2], [4, 3, 5], [6, 7, 8]])
    welded = weld(points, triangles)
    assert welded[1] == welded[3] and welded[2] == welded[4]
    assert welded[5] != welded[6]
    assert sorted(set(welded)) == list(range(7))


def test_two_closed_parts_that_touch_face_to_face_stay_two() -> None:
    tetra = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], np.float32)
    faces = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])
    points = np.concatenate([tetra, tetra * [1, 1, -1]]).astype(np.float32)
    welded = weld(points, np.concatenate([faces, faces[:, ::-1] + 4]))
    assert len(set(welded)) == 8


def test_faceted_mesh_becomes_whole() -> None:
    tetra = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], np.float32)
    faces = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])
    assert len(set(weld(tetra[faces.ravel()], np.arange(12).reshape(4, 3)))) == 4


def test_clean_drops_collapsed_and_double() -> None:
    faces = np.array([[0, 0, 1], [2, 1, 0], [0, 1, 2], [1, 2, 3]])
    assert np.array_equal(clean(faces), [[2, 1, 0], [1, 2, 3]])
