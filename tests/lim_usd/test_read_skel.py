"""Skinned meshes come posed, as OpenUSD's own baking of the skin puts them."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from skinned_stage import baked, skinned
from stage_files import SQUARE

from lim_usd.read import read_usd, time_samples


@pytest.mark.parametrize("kind", [{}, {"joints": False}, {"shapes": False}, {"constant": True, "shapes": False}])
@pytest.mark.parametrize("time", [1, 5])
def test_points_are_where_openusd_bakes_them(tmp_path: Path, kind: dict[str, bool], time: float):
    path = skinned(tmp_path / "a.usda", **kind)
    assert time_samples(path) == (1, 5)
    assert np.allclose(read_usd(path, time).mesh.points, baked(path, time), atol=1e-5)


def test_between_samples_the_skeleton_turns_on_an_arc(tmp_path: Path):
    points = read_usd(skinned(tmp_path / "a.usda"), 3).mesh.points
    turned = math.sqrt(0.5)  # 45 degrees about the joint at (1, 0, 0), lifted half of 2, the root at (10, 0, 0)
    assert np.allclose(points[4], [11 + turned, turned, 1], atol=1e-3)
    assert np.allclose(points[:4], np.add(SQUARE[:4], (10, 0, 0)), atol=1e-5)
