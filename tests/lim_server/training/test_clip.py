from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lim_server.render.cameras import REACH
from lim_server.training.data.clip import BadClip, Clip, into_ball, read_clip
from lim_server.training.feed import LEAST_MOTION, own_clip
from tests.lim_server.training.packs import arrays, write


def lengths(points: np.ndarray) -> np.ndarray:
    """Of all pairs of points, over the longest."""
    apart = np.linalg.norm(points[..., :, None, :] - points[..., None, :, :], axis=-1)
    return apart / apart.max()


def test_a_clip_is_read_into_the_ball(tmp_path: Path) -> None:
    clip, told = read_clip(write(tmp_path / "a.walk.npz")), arrays()
    assert np.array_equal(clip.faces, told["faces"]) and np.array_equal(clip.colours, told["colours"])
    assert np.linalg.norm(clip.frames, axis=-1).max() == pytest.approx(REACH, abs=1e-5)
    assert np.allclose(lengths(clip.frames.reshape(-1, 3)), lengths(told["frames"].reshape(-1, 3)), atol=1e-5)


def test_one_scale_for_all_frames() -> None:
    frames = arrays()["frames"]
    assert np.allclose(into_ball(100 * frames + 7), into_ball(frames), atol=1e-4)
    assert not into_ball(np.zeros((3, 4, 3), np.float32)).any()


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"faces": None}, "faces is not a file in the archive"),
        ({"frames": None}, "frames is not a file"),
        ({"colours": np.zeros((4, 3), np.uint8)}, r"colours is uint8 \[4, 3\], wanted is uint8 \[-1, 3, 3\]"),
        ({"colours": np.zeros((4, 3, 3), np.float32)}, "colours is float32"),
        ({"colours": np.zeros((5, 3, 3), np.uint8)}, "4 faces, colours for 5"),
        ({"faces": np.full((4, 3), 4, np.int32)}, "faces name points 4 to 4, there are 4"),
        ({"faces": np.full((4, 3), -1, np.int32)}, "faces name points -1"),
        ({"faces": np.zeros((0, 3), np.int32), "colours": np.zeros((0, 3, 3), np.uint8)}, "0 faces"),
        ({"frames": arrays(2)["frames"]}, "2 frames, training takes 3 or more"),
        ({"frames": np.full((3, 4, 3), np.nan, np.float32)}, "points that are not finite"),
        ({"frames": arrays()["frames"].astype(np.float64)}, "frames is float64"),
        ({"frames": np.array([None])}, "Object arrays cannot be loaded"),
    ],
)
def test_what_is_no_clip_is_refused_by_name(tmp_path: Path, changed: dict[str, object], words: str) -> None:
    path = write(tmp_path / "a.walk.npz", **changed)
    with pytest.raises(BadClip, match=words) as caught:
        read_clip(path)
    assert str(path) in str(caught.value) and "lim clips" in str(caught.value)


@pytest.mark.parametrize("keep", [0, 40, 300, -30])
def test_a_clip_that_was_cut_is_refused(tmp_path: Path, keep: int) -> None:
    path = write(tmp_path / "a.walk.npz")
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(BadClip, match="cannot be read as a clip"):
        read_clip(path)


def test_a_clip_with_a_changed_byte_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.walk.npz", frames=np.random.default_rng(0).normal(size=(9, 4, 3)).astype(np.float32))
    data = bytearray(path.read_bytes())
    data[data.index(b"frames.npy") + 120] ^= 255
    path.write_bytes(data)
    with pytest.raises(BadClip, match="cannot be read as a clip"):
        read_clip(path)


def step_of(clip: Clip) -> float:
    """How far along the way from first to last the middle frame is, by the point that moves."""
    moved = lengths(clip.frames.reshape(-1, 3)).reshape(3, 4, 3, 4)[:, 3, :, 3]
    return float(moved[0, 1] / moved[0, 2])


@pytest.mark.parametrize("frames", [3, 4, 9, 60])
def test_three_frames_of_an_own_clip_and_their_time(tmp_path: Path, frames: int) -> None:
    write(tmp_path / "a.walk.npz", **arrays(frames))
    turns = set()
    for seed in range(30):
        clip, time = own_clip(tmp_path, np.random.default_rng(seed))
        assert clip.frames.shape == (3, 4, 3) and 0 < time < 1
        assert clip.motion() > LEAST_MOTION and np.linalg.norm(clip.frames, axis=-1).max() < REACH + 1e-5
        assert step_of(clip) == pytest.approx(time, abs=1e-4)
        own = lengths(arrays(frames)["frames"][0, :3])
        assert np.allclose(lengths(clip.frames[0, :3]), own, atol=1e-4)  # turned, not bent
        assert sorted(clip.colours[0, 0]) == sorted(arrays()["colours"][0, 0])
        edge = clip.frames[0, 1] - clip.frames[0, 0]
        height = edge[1] / np.linalg.norm(edge)
        straight = arrays(frames)["frames"][0, 1] - arrays(frames)["frames"][0, 0]
        assert height == pytest.approx(straight[1] / np.linalg.norm(straight), abs=1e-4)  # about the vertical
        turns.add(round(float(np.arctan2(edge[0], edge[2])), 2))
    assert len(turns) > 20


def test_assets_are_drawn_alike_however_many_clips_they_have(tmp_path: Path) -> None:
    for k in range(9):
        write(tmp_path / f"many.{k}.npz", **arrays(5, seed=0))
    write(tmp_path / "one.walk.npz", **arrays(5, seed=1))
    one = lengths(arrays(5, seed=1)["frames"][0, :3])
    drawn = [own_clip(tmp_path, np.random.default_rng(seed))[0] for seed in range(60)]
    assert 18 < sum(np.allclose(lengths(clip.frames[0, :3]), one, atol=1e-4) for clip in drawn) < 42


def test_the_same_draw_is_the_same_clip(tmp_path: Path) -> None:
    write(tmp_path / "a.walk.npz")
    one, other = (own_clip(tmp_path, np.random.default_rng(5)) for _ in range(2))
    assert np.array_equal(one[0].frames, other[0].frames) and one[1] == other[1]
