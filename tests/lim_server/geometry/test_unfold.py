from __future__ import annotations

import numpy as np

from lim_server.geometry.unfold import Unfold


def sheet(n: int) -> tuple[np.ndarray, np.ndarray]:
    """n x n points of a flat square, two triangles a cell."""
    y, x = np.divmod(np.arange(n * n), n)
    corner = (np.arange(n - 1)[:, None] * n + np.arange(n - 1)).ravel()
    triangles = np.concatenate(
        [np.stack([corner, corner + 1, corner + n], 1), np.stack([corner + 1, corner + n + 1, corner + n], 1)]
    )
    return np.stack([x, y, 0 * x], 1).astype(float), triangles


def test_a_point_pushed_over_its_neighbours_goes_back_and_the_rest_stays() -> None:
    rest, triangles = sheet(7)
    unfold, turned = Unfold(rest, triangles), np.broadcast_to(np.eye(3), (49, 3, 3))
    pushed = rest.copy()
    pushed[24] += [1.6, 0.3, 0]
    over = unfold.over(pushed, turned)
    assert over.any()
    mended = unfold.unfolded(pushed, turned, np.zeros(len(triangles), bool))
    assert not unfold.over(mended, turned).any()
    far = np.linalg.norm(rest - rest[24], axis=1) > 2.5
    assert np.array_equal(mended[far], rest[far])
    assert np.array_equal(unfold.unfolded(pushed, turned, over), pushed), "a key has them so"


def test_turned_with_its_surroundings_is_not_over() -> None:
    rest, triangles = sheet(4)
    about = np.diag([1.0, -1.0, -1.0])
    unfold, turned = Unfold(rest, triangles), np.broadcast_to(about, (16, 3, 3))
    assert not unfold.over(rest @ about.T, turned).any()
    assert unfold.over(rest, turned).all()


def test_corners_that_are_turned_against_each_other_have_no_mean_and_do_no_harm() -> None:
    rest, triangles = sheet(4)
    turned = np.stack([np.eye(3), np.diag([1.0, -1, -1]), np.diag([-1.0, 1, -1]), np.diag([-1.0, -1, 1])] * 4)
    mended = Unfold(rest, triangles).unfolded(-rest, turned, np.zeros(len(triangles), bool))
    assert np.isfinite(mended).all()
