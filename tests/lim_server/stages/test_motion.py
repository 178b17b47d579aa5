from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lim_server.stages.motion import Motion
from tests.lim_server.stages.creatures import limb

BENDS, TIMES = (0.0, 0.7, 1.1, 0.6), (1.0, 9.0, 15.0, 25.0)


@pytest.fixture(scope="module")
def motion() -> Motion:
    keys = [limb(24, 16, bend).points for bend in BENDS]
    return Motion(limb(24, 16, 0.0), TIMES, keys)


def lengths(points: np.ndarray) -> np.ndarray:
    t = limb(24, 16, 0.0).triangles()
    return np.linalg.norm(points[t] - points[np.roll(t, 1, axis=1)], axis=-1)


def test_keys_come_back_exactly(motion: Motion) -> None:
    for time, bend in zip(TIMES, BENDS, strict=True):
        assert np.array_equal(motion.at(time), limb(24, 16, bend).points)


def test_continuous_with_continuous_velocity(motion: Motion) -> None:
    for time in TIMES[1:-1]:
        for near in (time - 1e-3, time + 1e-3):
            assert np.abs(motion.at(near) - motion.at(time)).max() < 2e-3
        v0, v1 = motion.derivatives(time - 1e-4)[0], motion.derivatives(time + 1e-4)[0]
        assert np.abs(v1 - v0).max() < 0.02 * np.abs(v0).max()


def test_derivatives_are_those_of_the_points(motion: Motion) -> None:
    time, h = 11.3, 0.05
    velocity, acceleration = motion.derivatives(time)
    a, b, c = (motion.at(t).astype(float) for t in (time - h, time, time + h))
    assert np.allclose((c - a) / (2 * h), velocity, atol=2e-4)
    assert np.allclose((c - 2 * b + a) / h**2, acceleration, atol=2e-3)


def test_limb_swings_on_an_arc() -> None:
    a, b = limb(24, 16, 0.0), limb(24, 16, 1.4)
    motion = Motion(a, (0.0, 10.0), (a.points, b.points))
    mean = (lengths(a.points) + lengths(b.points)) / 2
    turned = np.abs(lengths(motion.at(5.0)) - mean).sum()
    straight = np.abs(lengths((a.points + b.points) / 2) - mean).sum()
    assert turned < 0.35 * straight


def test_noise_of_a_key_stays_at_the_key() -> None:
    a = limb(120, 60, 0.0)
    size = np.linalg.norm(np.ptp(a.points, axis=0))
    noisy = a.points + np.random.default_rng(0).normal(0, 3e-4 * size, a.points.shape).astype(np.float32)
    motion = Motion(a, (0.0, 8.0, 16.0), (a.points, noisy, a.points))
    at_key, near, between = (np.abs(motion.at(t) - a.points).mean() for t in (8.0, 7.0, 4.0))
    assert between < 0.4 * at_key
    assert between < near < at_key


def test_edges_keep_their_lengths_where_a_key_was_found_aside() -> None:
    a, b = limb(60, 30, 0.0), limb(60, 30, 0.9)
    size = np.linalg.norm(np.ptp(a.points, axis=0))
    noisy = b.points + np.random.default_rng(1).normal(0, 5e-4 * size, b.points.shape).astype(np.float32)
    later = Motion(a, (0.0, 8.0), (a.points, noisy)).at(6.0)
    t, clean = a.triangles(), Motion(a, (0.0, 8.0), (a.points, b.points)).at(6.0)
    length = [np.linalg.norm(p[t] - p[np.roll(t, 1, axis=1)], axis=-1) for p in (b.points, noisy, clean, later)]
    at_key, between = np.abs(length[1] - length[0]).mean(), np.abs(length[3] - length[2]).mean()
    assert between < 0.4 * at_key


@pytest.mark.parametrize("stretch", [(1.5, 1.5, 1.5), (1.0, 1.0, 1.5), (1.3, 1.3, 0.6)])
def test_what_clearly_stretches_does_so_evenly(stretch: tuple[float, float, float]) -> None:
    a = limb(60, 30, 0.0)
    grown = a.points * np.float32(stretch)
    motion = Motion(a, (0.0, 8.0), (a.points, grown))
    way = (grown - a.points).ravel()
    for time in (2.0, 4.0, 6.0):
        gone = (motion.at(time) - a.points).ravel() @ way / (way @ way)
        assert gone == pytest.approx(time / 8, abs=0.05)


def test_rigid_turn_stays_rigid() -> None:
    a = limb(12, 8, 0.3)
    turn = np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1]], np.float32)
    motion = Motion(a, (0.0, 4.0), (a.points, a.points @ turn.T + np.float32([5, 0, 0])))
    half = np.sqrt(0.5) * np.array([[1, -1, 0], [1, 1, 0], [0, 0, 2**0.5]])
    assert np.allclose(np.ptp(motion.at(2.0) @ half, axis=0), np.ptp(a.points, axis=0), atol=0.02)


def test_what_never_moves_does_not_give_way_to_what_turns() -> None:
    a, b = limb(24, 16, 0.0), limb(24, 16, 2.2)
    stays = np.linalg.norm(a.points - b.points, axis=1) < 1e-6
    assert 0.2 < stays.mean() < 0.8
    halfway = Motion(a, (0.0, 10.0), (a.points, b.points)).at(5.0)
    assert np.abs(halfway - a.points)[stays].mean() < 0.006, "it would be 0.02 if nothing held it"


def test_pinned_points_stay_between_keys_and_the_rest_hangs_on_to_them() -> None:
    a, b = limb(24, 16, 0.0), limb(24, 16, 1.4)
    base = a.points[:, 2] < -0.4
    assert np.array_equal(a.points[base], b.points[base])
    motion = Motion(replace(a, pinned=base.astype(np.uint8)), (0.0, 10.0), (a.points, b.points))
    loose = Motion(a, (0.0, 10.0), (a.points, b.points)).at(5.0)
    for time in (0.01, 5.0, 9.99):
        assert np.array_equal(motion.at(time)[base], a.points[base])
    assert not np.array_equal(loose[base], a.points[base])
    assert not motion.derivatives(5.0)[0][base].any()
    mean = (lengths(a.points) + lengths(b.points)) / 2
    off = [np.abs(lengths(points) - mean).sum() for points in (motion.at(5.0), loose)]
    assert off[0] < 1.2 * off[1], "no tear where the pins end"
    for time in (0.0, 10.0):
        near = min(max(time, 1e-3), 10 - 1e-3)
        assert np.abs(motion.at(near) - motion.at(time)).max() < 2e-3


def test_one_key_stands_still() -> None:
    a = limb(8, 6, 0.0)
    motion = Motion(a, (3.0,), (a.points,))
    assert np.array_equal(motion.at(3.0), a.points)
    assert not np.any(motion.derivatives(3.0)[0])
