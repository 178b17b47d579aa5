"""The views that the examples take are views that `lim reconstruct` takes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from examples.views.moving import moving
from examples.views.shoot import rig, shoot
from lim_cli.posed.keys import load_posed


def test_views_of_a_made_up_thing_are_read_back_where_it_is(tmp_path: Path) -> None:
    thing = moving("seed:3")
    cameras = rig(thing, [0, 24], 4)
    words = [str(shoot(tmp_path / f"views.{frame:04d}", thing, frame, cameras, 96)) for frame in (0, 24)]
    posed = load_posed(words)
    assert [key.key.time for key in posed.keys] == [0, 24] and posed.fps == 24 and posed.notes == []
    for key, frame in zip(posed.keys, (0, 24), strict=True):
        inside = (thing.at(frame) - key.placement.centre) @ key.placement.turn.T * key.placement.scale
        assert 0.6 < np.linalg.norm(inside, axis=1).max() < 1.05
        assert key.views.images.shape == (4, 192, 192, 4)


def test_sequences_of_meshes_are_read(tmp_path: Path) -> None:
    square = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], np.float32)
    faces = np.array([[0, 1, 2], [0, 2, 3]])
    np.savez(
        tmp_path / "a.npz",
        vertices=np.stack([square, square + 1]),
        faces=faces,
        uv=np.zeros((0, 2), np.float32),
        texture_png=np.zeros(0, np.uint8),
        face_color=np.array([[255, 0, 0], [0, 255, 0]], np.uint8),
        fps=30.0,
    )
    thing = moving(str(tmp_path / "a.npz"))
    assert thing.fps == 30 and np.array_equal(thing.at(1), square + 1)
    assert thing.colours[:, 1].tolist() == [[255, 0, 0], [0, 255, 0]]
