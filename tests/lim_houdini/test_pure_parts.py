"""What needs neither Houdini nor a server: moments, the frame cache, faces turned round, vendored folders."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lim_houdini.ends import Moment, moment
from lim_houdini.frames import FrameCache
from lim_houdini.geometry import build, read_mesh, turn
from lim_houdini.vendored import vendor_name
from lim_protocol.types import Frame
from tests.conftest import tube


@pytest.mark.parametrize(
    ("frame", "before", "after", "wanted"),
    [
        (5, "hold", "hold", Moment(5)),
        (1, "hold", "hold", Moment(1)),
        (0, "hold", "hold", Moment(1, pace=0)),
        (20, "hold", "extend", Moment(9, beyond=11)),
        (-1, "extend", "hold", Moment(1, beyond=-2)),
        (11, "hold", "cycle", Moment(3)),
        (0, "cycle", "hold", Moment(8)),
        (11, "hold", "zigzag", Moment(7, pace=-1)),
        (19, "hold", "zigzag", Moment(3)),
        (0, "zigzag", "hold", Moment(2, pace=-1)),
    ],
)
def test_frames_beyond_the_keys(frame: float, before: str, after: str, wanted: Moment) -> None:
    assert moment(frame, 1, 9, before, after) == wanted


@given(st.lists(st.integers(3, 7), min_size=1, max_size=30))
def test_turning_faces_twice_changes_nothing(counts: list[int]) -> None:
    face_counts = np.array(counts, np.int32)
    turned = turn(face_counts)
    assert np.array_equal(turned[turned], np.arange(face_counts.sum()))
    start = 0
    for count in counts:
        assert turned[start : start + count].tolist() == [start, *range(start + count - 1, start, -1)]
        start += count


def test_a_mesh_comes_back_from_houdini_as_it_went() -> None:
    mesh = tube(5, 6)
    back = read_mesh(build(mesh), "it", "uv", colors=True)
    assert np.array_equal(back.points, mesh.points)
    assert np.array_equal(back.face_counts, mesh.face_counts)
    assert np.array_equal(back.face_indices, mesh.face_indices)
    assert np.array_equal(back.colors, mesh.colors)
    assert back.st is None


def test_texture_coordinates_come_back_corner_by_corner() -> None:
    mesh = tube(5, 6)
    st_values = mesh.points[:, [0, 2]].copy()
    with_st = type(mesh)(mesh.points, mesh.face_counts, mesh.face_indices, st_values, mesh.face_indices)
    back = read_mesh(build(with_st), "it", "uv", colors=False)
    assert np.array_equal(back.st[back.st_indices], st_values[mesh.face_indices])
    assert len(back.st) <= len(st_values)


def test_the_frame_cache_keeps_what_was_used_last() -> None:
    cache = FrameCache()
    points = np.zeros((1000, 3), np.float32)
    for at in range(5):
        cache.put(at, Frame(at, points.copy(), points.copy()), limit=3 * 24_000)
        cache.get(0)
    assert [cache.get(at) is not None for at in range(5)] == [True, False, False, True, True]
    cache.put(9, Frame(9, points, points), limit=0)
    assert cache.used == 0 and cache.get(9) is None


def test_vendored_folders_are_named_alike_everywhere() -> None:
    assert vendor_name("Linux", "x86_64", (3, 11)) == "linux-x86_64-py311"
    assert vendor_name("Windows", "AMD64", (3, 11)) == "windows-x86_64-py311"
    assert vendor_name("Darwin", "arm64", (3, 13)) == "darwin-arm64-py313"
