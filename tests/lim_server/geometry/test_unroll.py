from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from lim_server.geometry.unroll import unrolled

CHAIN = np.stack([np.arange(40), np.arange(1, 41)], axis=1)
ANGLES = np.linspace(0.1, 5.0, 41)


def told(angles: np.ndarray) -> np.ndarray:
    """As rotation vectors of at most half a turn, which is how they come out of a matrix."""
    return Rotation.from_rotvec(np.stack([angles * 0, angles, angles * 0], axis=1)).as_rotvec()


def test_a_growing_turn_grows_past_half_a_turn() -> None:
    vectors = told(ANGLES)
    assert np.abs(np.diff(vectors[:, 1])).max() > 6
    assert np.allclose(unrolled(vectors, CHAIN)[:, 1], ANGLES)


def test_a_point_turned_by_mistake_leads_nobody_astray() -> None:
    ring = np.concatenate([CHAIN, np.stack([np.arange(39), np.arange(2, 41)], axis=1)])
    angles = ANGLES.copy()
    angles[20] = -2.5
    out = unrolled(told(angles), ring)
    assert np.allclose(np.delete(out[:, 1], 20), np.delete(ANGLES, 20))


def test_parts_without_a_way_between_them_each_start_from_their_least_turn() -> None:
    out = unrolled(told(np.array([0.2, 0.3, 2.9, 3.3])), np.array([[0, 1], [2, 3]]))
    assert np.allclose(out[:, 1], [0.2, 0.3, 2.9, 3.3])


def test_a_head_goes_the_short_way_past_a_bolt_that_does_not() -> None:
    body, bolt, head = [0.0] * 10, [-2.9], [2.4] * 20
    out = unrolled(told(np.array([*body, *bolt, *head])), CHAIN[:30])
    assert np.allclose(out[11:, 1], 2.4)


def test_a_hand_goes_with_its_arm() -> None:
    body, arm, hand = [0.0] * 10, [2.6] * 10, [3.5] * 5
    out = unrolled(told(np.array([*body, *arm, *hand])), CHAIN[:24])
    assert np.allclose(out[10:20, 1], 2.6)
    assert np.allclose(out[20:, 1], 3.5)
