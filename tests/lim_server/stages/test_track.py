from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lim_protocol.types import Keyframe, Mesh
from lim_server.stages.track import TrackedKey, track_keys
from tests.lim_server.geometry.things import about, box, together
from tests.lim_server.stages.creatures import limb, mesh


def tracked(*meshes: Mesh, known: dict[int, TrackedKey] | None = None) -> dict[int, TrackedKey]:
    keys = [Keyframe(1.0 + 8 * i, m, f"key{i}") for i, m in enumerate(meshes)]
    return dict(track_keys(keys, device="cpu", step=lambda *_: None, known=known or {}))


@pytest.fixture(scope="module")
def bent() -> dict[int, TrackedKey]:
    return tracked(limb(24, 16, 0.0, True), limb(31, 21, 0.9, True))


def test_bent_limb_lands_where_it_belongs(bent: dict[int, TrackedKey]) -> None:
    source, truth, result = limb(24, 16, 0.0, True), limb(24, 16, 0.9), bent
    assert np.array_equal(result[0].points, source.points)
    assert (result[0].confidence == 1).all()
    error = np.linalg.norm(result[1].points - truth.points, axis=1) / np.linalg.norm(np.ptp(source.points, axis=0))
    still = np.linalg.norm(source.points - truth.points, axis=1) / np.linalg.norm(np.ptp(source.points, axis=0))
    assert error.mean() < 0.015 < 0.06 < still.mean()
    assert result[1].quality.residual_p95 < 1e-3
    assert result[1].quality.confidence > 0.8


def edges(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    return np.linalg.norm(points[triangles] - points[np.roll(triangles, 1, axis=1)], axis=-1)


def test_a_pinned_base_stays_to_the_bit_and_the_rest_hangs_on_to_it() -> None:
    source, other, truth = limb(14, 10, 0.0, True), limb(17, 13, 0.9, True), limb(14, 10, 0.9)
    base, tip, off = source.points[:, 2] < -0.5, source.points[:, 2] > 0.5, np.float32([0.1, 0, 0])
    other = replace(other, points=other.points + off)
    moved = tracked(replace(source, pinned=base.astype(np.uint8)), other)[1].points
    assert np.array_equal(moved[base], source.points[base])
    assert np.linalg.norm(moved - truth.points - off, axis=1)[tip].mean() < 0.05
    assert (edges(moved, source.triangles()) / edges(truth.points, source.triangles())).max() < 2


def test_a_stiff_place_keeps_its_form(bent: dict[int, TrackedKey]) -> None:
    source, other = limb(24, 16, 0.0, True), limb(31, 21, 0.9, True)
    joint, t = np.abs(source.points[:, 2]) < 0.35, source.triangles()
    inside, rest = joint[t].all(axis=1), edges(source.points, t)
    stiff = tracked(replace(source, stiffness=np.where(joint, 30, 1).astype(np.float32)), other)
    usual, kept = (np.abs(edges(keys[1].points, t) / rest - 1)[inside].mean() for keys in (bent, stiff))
    assert kept < 0.4 * usual


def marked(source: Mesh, target: Mesh, truth: np.ndarray, points: np.ndarray) -> Mesh:
    """The target with landmarks: points of the source, and the target's points nearest to where they truly are."""
    there = [int(np.linalg.norm(target.points - truth[i], axis=1).argmin()) for i in points]
    pairs = np.array([[[i] * 3, [j] * 3] for i, j in zip(points, there, strict=True)], np.int32)
    return replace(target, landmarks=pairs, landmark_weights=np.tile(np.float32([1, 0, 0]), (len(pairs), 2, 1)))


def test_landmarks_turn_a_head_that_looks_alike_from_all_sides() -> None:
    source, target, truth = robot(0, 0, 3), robot(0, 130, 4), robot(0, 130, 3).points
    diagonal, each = np.linalg.norm(np.ptp(source.points, axis=0)), len(source.points) // 4
    corners = each + np.array([0, 3, 5, 6])
    off = np.linalg.norm(tracked(source, marked(source, target, truth, corners))[1].points - truth, axis=1) / diagonal
    assert off.mean() < 0.002 and off[corners].max() < 0.015
    # the other way round is as near a tie as can be: the landmarks alone decide it
    other = robot(0, -50, 3).points
    off = np.linalg.norm(tracked(source, marked(source, target, other, corners))[1].points - truth, axis=1) / diagonal
    assert off[each : 2 * each].mean() > 0.1


def test_landmarks_in_the_middle_of_triangles_and_on_one_body() -> None:
    """A limb that looks the same all around, turned about its length: nothing but the landmarks tells."""
    source, target = limb(14, 10, 0.0), limb(17, 13, 0.0)
    round_ = replace(source, points=source.points * np.float32([1, 1 / 0.6, 1]))
    turned = replace(target, points=target.points * np.float32([1, 1 / 0.6, 1]))
    turn, t = about((0, 0, 1), 90), round_.triangles()
    places = t[[10, 43, 76, 108]]
    goals = round_.points[places].mean(axis=1) @ turn.T
    near = [int(np.linalg.norm(turned.points - p, axis=1).argmin()) for p in goals]
    pairs = np.stack([places, np.repeat(near, 3).reshape(-1, 3)], axis=1).astype(np.int32)
    weights = np.stack([np.full((4, 3), 1 / 3), np.tile([1.0, 0, 0], (4, 1))], axis=1).astype(np.float32)
    key = tracked(round_, replace(turned, landmarks=pairs, landmark_weights=weights))[1]
    off = np.linalg.norm(key.points - round_.points @ turn.T, axis=1) / np.linalg.norm(np.ptp(source.points, axis=0))
    assert off.mean() < 0.03
    assert key.quality.residual_p95 < 1e-3


def test_pins_are_stronger_than_landmarks() -> None:
    source, target = limb(14, 10, 0.0), limb(17, 13, 0.4)
    base = source.points[:, 2] < -0.5
    wrong = marked(source, target, source.points + np.float32([0, 0, 0.4]), np.flatnonzero(base)[:4])
    assert np.array_equal(
        tracked(replace(source, pinned=base.astype(np.uint8)), wrong)[1].points[base], source.points[base]
    )


def test_resumed_job_gives_the_same_bits() -> None:
    meshes = [limb(12, 9, 0.0), limb(14, 10, 0.4), limb(15, 9, 0.8)]
    whole = tracked(*meshes)
    rest = tracked(*meshes, known={1: whole[1]})
    assert rest[1] is whole[1]
    assert np.array_equal(rest[2].points, whole[2].points)
    assert np.array_equal(rest[2].confidence, whole[2].confidence)


def test_cancel_gets_through() -> None:
    class Stopped(Exception):
        pass

    def step(text: str, done: int, total: int) -> None:
        raise Stopped

    keys = [Keyframe(1.0, limb(8, 6, 0.0), "a"), Keyframe(2.0, limb(9, 6, 0.1), "b")]
    with pytest.raises(Stopped):
        list(track_keys(keys, device="cpu", step=step))


def test_a_wrong_key_is_recognised() -> None:
    ball = limb(24, 16, 0.0)
    far = mesh(np.random.default_rng(0).normal(size=(60, 3)), np.random.default_rng(1).integers(0, 60, (80, 3)))
    assert tracked(ball, far)[1].quality.confidence < 0.5


FLAT = np.array([[0, 0, 0], [1, 0, 0], [2, 0, 0]])


@pytest.mark.parametrize(
    "odd",
    [
        pytest.param(mesh(FLAT, np.array([[0, 1, 2]])), id="no area"),
        pytest.param(mesh(FLAT, np.array([[0, 0, 0]])), id="one corner"),
        pytest.param(mesh(np.eye(3), np.array([[0, 1, 2]])), id="one triangle"),
        pytest.param(mesh(np.eye(3)[[0, 1, 2, 0]], np.array([[0, 1, 2], [0, 1, 2], [2, 1, 0]])), id="double faces"),
        pytest.param(
            mesh(np.array([*np.eye(3), [-1, 0, 0], [0, 0, -1]]), np.array([[0, 1, 2], [0, 1, 3], [0, 1, 4]])), id="fan"
        ),
    ],
)
def test_odd_meshes_end_finite(odd: Mesh) -> None:
    good = limb(8, 6, 0.0)
    for pair in ((odd, good), (good, odd)):
        key = tracked(*pair)[1]
        assert key.points.shape == pair[0].points.shape
        assert np.isfinite(key.points).all() and np.isfinite(key.confidence).all()
        assert key.confidence.min() >= 0 and key.confidence.max() <= 1
        assert all(np.isfinite(v) for v in vars(key.quality).values())


def robot(turn_all: float, turn_head: float, cuts: int, forearm: float = 0.0) -> Mesh:
    """A body, a head with a nose, and an arm, all apart; the whole turned about z, the head as well, the arm raised."""
    head, arm = about((0, 0, 1), turn_head), about((1, 0, 0), forearm)

    def turned(piece: tuple, turn: np.ndarray, pivot: tuple[float, float, float]) -> tuple:
        return (piece[0] - pivot) @ turn.T + pivot, piece[1]

    def wedge(piece: tuple) -> tuple:
        return piece[0] * np.stack([1 - 0.8 * piece[0][:, 1], *np.ones((2, len(piece[0])))], axis=1), piece[1]

    pieces = [
        wedge(box((1.0, 0.6, 1.4), (0, 0, 0), cuts)),
        turned(wedge(box((0.8, 0.6, 0.6), (0, 0, 1.02), cuts)), head, (0, 0, 1.02)),
        turned(box((0.15, 0.3, 0.15), (0.1, 0.46, 1.0), cuts), head, (0, 0, 1.02)),
        turned(box((0.25, 0.25, 1.0), (0.64, 0, 0.1), cuts), arm, (0.64, 0, 0.6)),
    ]
    return together(*((p @ about((0, 0, 1), turn_all).T, f) for p, f in pieces))


@pytest.mark.parametrize(
    ("turn_all", "turn_head", "forearm"), [(0, 70, 0), (160, 0, 0), (20, -40, 60)], ids=["head", "whole", "all"]
)
def test_parts_go_where_they_belong(turn_all: float, turn_head: float, forearm: float) -> None:
    source, target = robot(0, 0, 3), robot(turn_all, turn_head, 4, forearm)
    truth = robot(turn_all, turn_head, 3, forearm).points
    diagonal = np.linalg.norm(np.ptp(source.points, axis=0))
    result = tracked(source, target)[1]
    assert np.linalg.norm(result.points - truth, axis=1).mean() < 0.02 * diagonal
    assert result.quality.residual_p95 < 1e-3 * diagonal
