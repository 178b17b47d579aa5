"""Texture coordinates and colours of every kind that a stage may have."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from stage_files import FACE_VARYING, ST, corners, mesh, stage

from lim_usd.read import read_usd

OF_POINTS = "[(0, 0), (0.5, 0), (0.5, 0.5), (0, 0.5), (1, 0), (1, 0.5)]"
SHUFFLED = "[(1, 0), (0, 0), (0.5, 0), (0.5, 0.5), (0, 0.5), (1, 0.5)]"


@pytest.mark.parametrize(
    "st",
    [
        f"texCoord2f[] primvars:st = [{ST}{FACE_VARYING}",
        f"texCoord2f[] primvars:UVMap = [{ST}{FACE_VARYING}",
        f"float2[] primvars:uv = [{ST}{FACE_VARYING}",
        f"texCoord2d[] primvars:anything = [{ST}{FACE_VARYING}",
        f"texCoord2h[] primvars:st = [{ST}{FACE_VARYING}",
        f"texCoord3f[] primvars:st = [{ST.replace(')', ', 7)')}{FACE_VARYING}",
        f'texCoord2f[] primvars:st = {OF_POINTS} (interpolation = "vertex")',
        f'texCoord2f[] primvars:st = {OF_POINTS} (interpolation = "varying")',
        f"""texCoord2f[] primvars:st = {SHUFFLED} (interpolation = "vertex")
        int[] primvars:st:indices = [1, 2, 3, 4, 0, 5]""",
        f"""texCoord2f[] primvars:st = {SHUFFLED} (interpolation = "faceVarying")
        int[] primvars:st:indices = [1, 2, 3, 1, 3, 4, 2, 0, 5, 3]""",
    ],
)
def test_texture_coordinates_of_any_kind(tmp_path: Path, st: str):
    source = read_usd(stage(tmp_path / "a.usda", mesh(extra=st)))
    assert np.allclose(source.mesh.st[source.mesh.st_indices], corners(source)[:, :2] / 2)
    assert len(source.mesh.st) == 6
    assert source.mesh.st.dtype == np.float32


def test_of_several_uv_sets_the_usual_one_is_taken_and_told(tmp_path: Path):
    wrong = ST.replace("0.5", "0.25")
    extra = f"texCoord2f[] primvars:lightmap = [{wrong}{FACE_VARYING}\ntexCoord2f[] primvars:st = [{ST}{FACE_VARYING}"
    source = read_usd(stage(tmp_path / "a.usda", mesh(extra=extra)))
    assert np.allclose(source.mesh.st[source.mesh.st_indices], corners(source)[:, :2] / 2)
    assert source.notes == ("of the UV sets st, lightmap, st is kept: /mesh",)


RED, GREEN = (1, 0, 0), (0, 1, 0)


@pytest.mark.parametrize(
    ("color", "expected"),
    [
        ("[(1, 0, 0)] (interpolation = 'constant')", [(255, 0, 0)] * 6),
        (f"[{RED}, {RED}, {GREEN}] (interpolation = 'uniform')", None),
        (f"[{RED}, {GREEN}, {GREEN}, {RED}, {GREEN}, {RED}] (interpolation = 'vertex')", "rggrgr"),
        (
            f"[{RED}, {GREEN}] (interpolation = 'vertex')\nint[] primvars:displayColor:indices = [0, 1, 1, 0, 1, 0]",
            "rggrgr",
        ),
        ("[(0.2158605, 0.0512695, 2)] (interpolation = 'constant')", [(128, 64, 255)] * 6),
    ],
)
def test_colours_of_any_kind_come_per_point(tmp_path: Path, color: str, expected):
    source = read_usd(stage(tmp_path / "a.usda", mesh(extra=f"color3f[] primvars:displayColor = {color}")))
    names = {"r": (255, 0, 0), "g": (0, 255, 0)}
    if isinstance(expected, str):
        expected = [names[letter] for letter in expected]
    if expected is None:  # points on the border have the mean of the light of both, and of as many faces as there are
        expected = [(255, 0, 0), (188, 188, 0), (213, 156, 0), (255, 0, 0), (0, 255, 0), (0, 255, 0)]
    assert np.array_equal(source.mesh.colors, expected)
    assert source.mesh.colors.dtype == np.uint8


def test_colours_of_corners_are_mixed_at_their_point(tmp_path: Path):
    each = ", ".join(str(RED if face < 2 else GREEN) for face in [0, 0, 0, 1, 1, 1, 2, 2, 2, 2])
    extra = f"color3f[] primvars:displayColor = [{each}] (interpolation = 'faceVarying')"
    colors = read_usd(stage(tmp_path / "a.usda", mesh(extra=extra))).mesh.colors
    assert np.array_equal(colors, [(255, 0, 0), (188, 188, 0), (213, 156, 0), (255, 0, 0), (0, 255, 0), (0, 255, 0)])


def test_colours_that_do_not_fit_are_left_out_and_told(tmp_path: Path):
    extra = f"color3f[] primvars:displayColor = [{RED}, {GREEN}] (interpolation = 'vertex')"
    source = read_usd(stage(tmp_path / "a.usda", mesh(extra=extra)))
    assert source.mesh.colors is None
    assert "colours are left out" in source.notes[0]
    assert "has 2 values where the mesh needs 6" in source.notes[0]


@pytest.mark.parametrize(
    "pinned",
    [
        "bool[] primvars:lim:pinned = [1, 0, 0, 1, 0, 0] (interpolation = 'vertex')",
        "float[] primvars:lim:pinned = [0.5, 0, 0, 2, 0, 0] (interpolation = 'varying')",
        "int[] primvars:lim:pinned = [0, 1] (interpolation = 'vertex')\n"
        "int[] primvars:lim:pinned:indices = [1, 0, 0, 1, 0, 0]",
    ],
)
def test_pins_of_any_kind(tmp_path: Path, pinned: str):
    read = read_usd(stage(tmp_path / "a.usda", mesh(extra=pinned))).mesh
    assert read.pinned.dtype == np.uint8 and read.pinned.tolist() == [1, 0, 0, 1, 0, 0]
    assert read.stiffness is None


def test_stiffness_of_one_of_several_meshes(tmp_path: Path):
    stiff = "float primvars:lim:stiffness = 10 (interpolation = 'constant')"
    read = read_usd(stage(tmp_path / "a.usda", mesh("a") + mesh("b", extra=stiff))).mesh
    assert read.stiffness.dtype == np.float32 and read.stiffness.tolist() == [1] * 6 + [10] * 6
    assert read.pinned is None
