from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from lim_server.render.cameras import REACH
from lim_server.training.data.part import RINGS, SEGMENTS, Form, make_part
from lim_server.training.data.procedural import Motion, make_clip
from lim_server.training.data.skeleton import Skeleton, chain, creature, machine, soft_thing
from lim_server.training.data.turns import about, about_axis, any_turn

POINTS = RINGS * SEGMENTS + 2
"""Of a part."""
PLANS = (creature, chain, machine, soft_thing)


def volume(points: np.ndarray, faces: np.ndarray) -> float:
    """Signed: positive where normals point outwards."""
    a, b, c = (points[faces[:, k]] for k in range(3))
    return float((a * np.cross(b, c)).sum() / 6)


def closed(faces: np.ndarray) -> bool:
    """Each edge is walked once each way."""
    edges = Counter(zip(faces.ravel().tolist(), np.roll(faces, -1, axis=1).ravel().tolist(), strict=True))
    return all(count == 1 and edges[b, a] == 1 for (a, b), count in edges.items())


@pytest.mark.parametrize("outline", [2.0, 5.0, 14.0])
def test_a_part_is_closed_and_faces_outwards(outline: float) -> None:
    part = make_part(Form(1.5, 0.3, 0.2, outline, outline, 0.6))
    assert closed(part.faces) and len(part.points) == POINTS
    assert volume(part.points, part.faces) > 0
    middle = part.points[part.faces].mean(1) - part.points.mean(0)
    a, b, c = (part.points[part.faces[:, k]] for k in range(3))
    assert ((np.cross(b - a, c - a) * middle).sum(-1) > 0).mean() > 0.99
    assert np.allclose(part.points[:, 1], part.along * 1.5)
    assert np.abs(part.points[:, 0]).max() <= 0.3 and np.abs(part.points[:, 2]).max() <= 0.2


@pytest.mark.parametrize("plan", PLANS)
def test_every_plan_hangs_together(plan: object) -> None:
    for seed in range(40):
        bones: Skeleton = plan(np.random.default_rng(seed))  # type: ignore[operator]
        assert [bone.parent for bone in bones if bone.parent < 0] == [-1] and bones[0].parent == -1
        assert all(bone.parent < k for k, bone in enumerate(bones))
        for bone in bones:
            assert np.allclose(bone.turn @ bone.turn.T, np.eye(3), atol=1e-9) and np.linalg.det(bone.turn) > 0
            assert np.linalg.norm(bone.hinge) == pytest.approx(1)


@pytest.mark.parametrize("plan", PLANS)
def test_parts_stay_whole_in_motion(plan: object) -> None:
    for seed in range(10):
        random = np.random.default_rng(seed)
        bones: Skeleton = plan(random)  # type: ignore[operator]
        parts, motion = [make_part(bone.form) for bone in bones], Motion(bones, random)
        for time in (0.0, 0.4, 1.0):
            for part, posed in zip(parts, np.split(motion.points(parts, time), len(parts)), strict=True):
                assert np.isfinite(posed).all() and volume(posed, part.faces) > 0


@pytest.mark.parametrize("seed", range(12))
def test_clips_are_closed_and_in_the_ball(seed: int) -> None:
    clip = make_clip(seed)
    assert clip.frames.shape[0] == 3 and clip.frames.shape[1] % POINTS == 0
    assert np.linalg.norm(clip.frames, axis=-1).max() == pytest.approx(REACH, abs=1e-5)
    assert closed(clip.faces) and len(np.unique(clip.faces)) == clip.frames.shape[1]
    assert (clip.faces // POINTS == clip.faces[:, :1] // POINTS).all()  # no face joins two parts
    assert clip.colours.shape == (len(clip.faces), 3, 3)


def test_a_seed_is_a_thing_to_the_byte() -> None:
    one, same, other = make_clip(3), make_clip(3), make_clip(4)
    for name in ("faces", "colours", "frames"):
        assert getattr(one, name).tobytes() == getattr(same, name).tobytes()
    assert one.frames.tobytes() != other.frames.tobytes()


def test_what_a_time_shows_does_not_depend_on_the_others() -> None:
    for seed in range(4):
        few, many = make_clip(seed, (0.0, 1.0)), make_clip(seed, (0.0, 0.3, 0.6, 1.0))
        assert np.array_equal(few.faces, many.faces) and np.array_equal(few.colours, many.colours)
        mine, theirs = few.frames.reshape(-1, 3).astype(float), many.frames[[0, 3]].reshape(-1, 3).astype(float)
        mine, theirs = mine - mine.mean(0), theirs - theirs.mean(0)
        assert np.allclose(mine / mine.std(), theirs / theirs.std(), atol=1e-4)  # but for the ball that all share


def test_things_move_and_halfway_is_not_the_mean() -> None:
    clips = [make_clip(seed, (0.0, 0.5, 1.0)) for seed in range(12)]
    assert np.median([clip.motion() for clip in clips]) > 0.1
    bow = [np.linalg.norm(c.frames[1] - (c.frames[0] + c.frames[2]) / 2, axis=-1).mean() for c in clips]
    assert np.median(bow) > 0.02


def test_seeds_draw_every_plan_and_many_sizes() -> None:
    sizes = {make_clip(seed, (0.0,)).frames.shape[1] // POINTS for seed in range(40)}
    assert len(sizes) > 6


def test_turns_are_rotations() -> None:
    quarter = about_axis("y", 90.0)
    assert np.allclose(quarter @ [0, 0, 1], [1, 0, 0])
    vectors = np.random.default_rng(0).normal(size=(20, 3)) * 100
    turns = about(vectors)
    assert np.allclose(turns @ np.swapaxes(turns, -1, -2), np.eye(3), atol=1e-9)
    assert np.allclose(np.einsum("kij,kj->ki", turns, vectors), vectors)  # the axis stays
    angle = np.deg2rad(np.linalg.norm(vectors, axis=-1))
    assert np.allclose(np.trace(turns, axis1=1, axis2=2), 1 + 2 * np.cos(angle))
    assert np.allclose(about(np.zeros(3)), np.eye(3))
    drawn = np.stack([any_turn(np.random.default_rng(seed)) for seed in range(400)])
    assert np.allclose(np.linalg.det(drawn), 1) and np.abs(drawn.mean(0)).max() < 0.1
