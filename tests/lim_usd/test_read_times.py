"""Stages that move, read at one frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from stage_files import MOVING, SQUARE, mesh, samples, stage

from lim_usd.read import read_usd, time_samples
from lim_usd.source import BadSource


def test_points_and_transforms_are_those_of_the_frame(tmp_path: Path):
    path = stage(tmp_path / "a.usda", mesh(points=samples({1: 0, 3: 20, 9: 20}), extra=MOVING))
    assert time_samples(path) == (1, 3, 5, 9)
    for time, height in [(1, 0), (2, 11), (3, 22), (5, 24), (9, 24)]:
        assert np.allclose(read_usd(path, time).mesh.points[:, 2], height)
    source = read_usd(path)
    assert np.allclose(source.mesh.points[:, 2], 0)
    assert source.notes == ("of the frames 1 to 9, the first is read",)
    with pytest.raises(BadSource, match="frame 10 is outside of its samples, 1 to 9"):
        read_usd(path, 10)


def test_one_sample_and_no_default_is_a_pose(tmp_path: Path):
    path = stage(tmp_path / "a.usda", mesh(points=samples({1009: 3})))
    assert time_samples(path) == (1009,)
    assert np.allclose(read_usd(path).mesh.points[:, 2], 3)


def test_a_still_mesh_has_no_samples_and_is_the_same_at_any_frame(tmp_path: Path):
    path = stage(tmp_path / "a.usda", mesh())
    assert time_samples(path) == ()
    assert np.array_equal(read_usd(path, 77).mesh.points, read_usd(path).mesh.points)


def test_the_samples_of_one_prim_are_its_own(tmp_path: Path):
    body = mesh("a", points=samples({1: 0, 2: 0})) + mesh("b", points=samples({5: 0, 6: 0}))
    path = stage(tmp_path / "a.usda", body)
    assert time_samples(path) == (1, 2, 5, 6)
    assert time_samples(path, "/b") == (5, 6)


def test_topology_may_change_from_sample_to_sample(tmp_path: Path):
    faces = "int[] faceVertexCounts.timeSamples = {1: [3, 3, 4], 2: [3]}\n" + (
        "int[] faceVertexIndices.timeSamples = {1: [0, 1, 2, 0, 2, 3, 1, 4, 5, 2], 2: [0, 1, 2]}"
    )
    points = f"point3f[] points.timeSamples = {{1: {SQUARE}, 2: {SQUARE[:3]}}}"
    path = stage(tmp_path / "a.usda", mesh(faces=faces, points=points))
    assert [len(read_usd(path, time).mesh.face_counts) for time in (1, 1.5, 2)] == [3, 3, 1]


def test_value_clips_are_read(tmp_path: Path):
    for first in (1, 3):
        stage(tmp_path / f"clip.{first}.usda", mesh(points=samples({first: first, first + 1: first + 1})))
    stage(tmp_path / "manifest.usda", 'def Mesh "mesh" {\npoint3f[] points\n}')
    clips = """clips = { dictionary default = {
        asset[] assetPaths = [@./clip.1.usda@, @./clip.3.usda@]
        asset manifestAssetPath = @./manifest.usda@
        string primPath = "/mesh"
        double2[] active = [(1, 0), (3, 1)]
        double2[] times = [(1, 1), (4, 4)] } }"""
    body = mesh(points="").replace('"mesh"', f'"mesh" (\n{clips})')
    path = stage(tmp_path / "a.usda", body)
    assert time_samples(path) == (1, 2, 3, 4)
    assert np.allclose(read_usd(path, 3.5).mesh.points[:, 2], 3.5)
