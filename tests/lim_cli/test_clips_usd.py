"""`lim clips` of animated USD."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pxr import Usd, UsdGeom

sys.path.insert(0, str(Path(__file__).parents[1] / "lim_usd"))

from mesh_files import png
from skinned_stage import baked, skinned
from stage_files import FACE_VARYING, MOVING, SQUARE, ST, mesh, samples, stage
from verify_assets import ball, write

from lim_cli.readers import read
from lim_usd.bake import bake_glb
from lim_usd.color import srgb

TRIANGLES = [0, 1, 2, 0, 2, 3, 1, 4, 5, 1, 5, 2]  # of the square: two triangles, and a quad as a fan
METRES = "metersPerUnit = 1"


def clips(folder: Path, source: Path, *options: str, code: int = 0) -> tuple[dict[str, dict[str, Any]], str]:
    """The clips of a pack by name, and what was said."""
    command = [str(Path(sys.executable).with_name("lim")), "clips", source, "-o", folder, *options]
    result = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    assert result.returncode == code, result.stderr
    return {path.stem: dict(np.load(path)) for path in folder.glob("*")}, result.stderr


def corners(clip: dict[str, Any], frame: int) -> np.ndarray:
    placed: np.ndarray = clip["frames"][frame][clip["faces"]].reshape(-1, 3)
    return placed


@pytest.mark.parametrize("kind", [{}, {"joints": False}, {"shapes": False}, {"constant": True, "shapes": False}])
def test_skins_and_blend_shapes_are_where_openusd_bakes_them(tmp_path: Path, kind: dict[str, bool]) -> None:
    path = skinned(tmp_path / "rig.usda", **kind)
    found, said = clips(tmp_path / "pack", path)
    clip = found["rig.motion"]
    assert len(clip["frames"]) == 5 and clip["fps"] == pytest.approx(24)
    for frame, time in ((0, 1), (-1, 5)):
        np.testing.assert_allclose(corners(clip, frame), baked(path, time)[TRIANGLES] * 0.01, atol=1e-6)
    assert "no unit is stated: taken as centimetres, as OpenUSD does" in said


def test_between_samples_joints_turn_on_an_arc(tmp_path: Path) -> None:
    path = skinned(tmp_path / "rig.usda")
    for frame, points in enumerate(clips(tmp_path / "pack", path)[0]["rig.motion"]["frames"]):
        angle, lift = np.pi / 8 * frame, 0.5 * frame
        tip = [11 + np.cos(angle), np.sin(angle), lift]  # the joint is at (1, 0, 0), the root at (10, 0, 0)
        assert np.linalg.norm(points - np.multiply(tip, 0.01), axis=1).min() < 1e-4


def test_z_up_and_inches_become_y_up_and_metres(tmp_path: Path) -> None:
    path = stage(tmp_path / "a.usda", mesh(extra=MOVING), 'upAxis = "Z"\nmetersPerUnit = 0.0254')
    clip = clips(tmp_path / "pack", path)[0]["a.motion"]
    x, y, z = (np.array(SQUARE)[TRIANGLES] + [0, 0, 4]).T
    np.testing.assert_allclose(corners(clip, -1), np.stack([x, z, -y], 1) * 0.0254, atol=1e-6)


def test_points_may_be_sampled_and_hidden_meshes_are_not_taken(tmp_path: Path) -> None:
    hidden = mesh("proxy", extra='token visibility = "invisible"')
    path = stage(tmp_path / "a.usda", mesh(points=samples({10: 0, 14: 2, 18: 1})) + hidden, METRES)
    found, said = clips(tmp_path / "pack", path)
    heights = found["a.motion"]["frames"][..., 2]
    np.testing.assert_allclose(heights[:, 0], [0, 0.5, 1, 1.5, 2, 1.75, 1.5, 1.25, 1], atol=1e-6)
    assert heights.shape == (9, 6)
    assert "hidden meshes are left out: /proxy" in said


def look(name: str, color: str, more: str = "") -> str:
    return f"""def Material "{name}" {{
        token outputs:surface.connect = </{name}/surface.outputs:surface>
        def Shader "surface" {{
            uniform token info:id = "UsdPreviewSurface"
            color3f inputs:diffuseColor{color}
            token outputs:surface
        }}
        {more}
    }}
    """


IMAGE = """def Shader "image" {
        uniform token info:id = "UsdUVTexture"
        asset inputs:file = @skin.png@
        float3 outputs:rgb
    }"""


def bound(to: str) -> str:
    return f"rel material:binding = </{to}>"


def with_api(body: str) -> str:
    """Prims that bind a material must say so."""
    return body.replace('def Mesh "mesh" {', 'def Mesh "mesh" (prepend apiSchemas = ["MaterialBindingAPI"]) {').replace(
        'def GeomSubset "s" {', 'def GeomSubset "s" (prepend apiSchemas = ["MaterialBindingAPI"]) {'
    )


def test_colours_of_materials_of_subsets_and_without_any(tmp_path: Path) -> None:
    subset = f"""def GeomSubset "s" {{
        uniform token elementType = "face"
        uniform token familyName = "materialBind"
        int[] indices = [1]
        {bound("red")}
    }}"""
    display = "color3f[] primvars:displayColor = [(0, 0.25, 1)]"
    body = with_api(mesh(extra="\n".join([MOVING, display, subset]))) + look("red", " = (1, 0.5, 0)")
    grey = mesh("plain", extra=MOVING)
    clip = clips(tmp_path / "pack", stage(tmp_path / "a.usda", body + grey, METRES))[0]["a.motion"]
    shown = [colours[0].tolist() for colours in clip["colours"]]
    blue, red = srgb(np.array([0, 0.25, 1])).tolist(), srgb(np.array([1, 0.5, 0])).tolist()
    assert shown == [blue, red, blue, blue, *[[128] * 3] * 4]
    assert (clip["colours"] == clip["colours"][:, :1]).all(), "each face is of one colour"


def test_textures_are_read_at_the_corners(tmp_path: Path) -> None:
    pixels = np.random.default_rng(2).integers(0, 256, (1, 4, 3), np.uint8)
    (tmp_path / "skin.png").write_bytes(png(pixels))
    st = f"texCoord2f[] primvars:st = [{ST}{FACE_VARYING}".replace(", 0.0)", ", 0.5)")
    body = with_api(mesh(extra="\n".join([MOVING, st, bound("skin")])))
    path = stage(tmp_path / "a.usda", body + look("skin", ".connect = </skin/image.outputs:rgb>", IMAGE), METRES)
    clip = clips(tmp_path / "pack", path)[0]["a.motion"]
    u = np.array(SQUARE)[TRIANGLES, 0] / 2 * 4 - 0.5  # in pixels; the image repeats
    left = np.floor(u).astype(int)
    expected = [(1 - w) * pixels[0, k % 4] + w * pixels[0, (k + 1) % 4] for k, w in zip(left, u - left, strict=True)]
    np.testing.assert_allclose(clip["colours"].reshape(-1, 3), expected, atol=1.01)


def test_the_layers_of_an_asset_are_no_assets(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    write(tmp_path / "in" / "tracked.usd", ball(), map(float, range(1, 9)))
    assert len(list((tmp_path / "in").rglob("*.usd"))) > 1
    found, _ = clips(tmp_path / "pack", tmp_path / "in")
    assert set(found) == {"tracked.motion"}
    contents = read(tmp_path / "in" / "tracked.usd", 4.0, None)
    expected = contents.mesh.points[contents.mesh.triangles()] * (contents.metres_per_unit or 1)
    np.testing.assert_allclose(corners(found["tracked.motion"], 3), expected.reshape(-1, 3), rtol=1e-5, atol=1e-6)


def test_the_web_file_of_an_asset_moves_as_the_asset_does(tmp_path: Path) -> None:
    asset = write(tmp_path / "a.usd", ball(), map(float, range(1, 13)))
    bake_glb(asset, tmp_path / "b.glb", 1e-4)
    first = clips(tmp_path / "usd", asset)[0]["a.motion"]
    second = clips(tmp_path / "gltf", tmp_path / "b.glb")[0]["b.track"]
    assert len(first["frames"]) == len(second["frames"]) == 12
    assert first["frames"].shape == second["frames"].shape, "both are welded to the same points"
    diagonal = np.linalg.norm(np.ptp(first["frames"][0], axis=0))
    for frame in range(12):
        np.testing.assert_allclose(corners(first, frame), corners(second, frame), atol=2e-4 * diagonal)
    np.testing.assert_allclose(first["colours"].astype(int), second["colours"], atol=3)


def test_meshes_that_change_their_topology_are_told(tmp_path: Path) -> None:
    path = tmp_path / "a.usda"
    made = Usd.Stage.CreateNew(str(path))
    UsdGeom.SetStageMetersPerUnit(made, 1)
    geom = UsdGeom.Mesh.Define(made, "/melting")
    geom.CreateFaceVertexCountsAttr([3])
    geom.CreateFaceVertexIndicesAttr([0, 1, 2])
    for time, count in ((1, 3), (2, 4)):
        geom.CreatePointsAttr().Set(SQUARE[:count], time)
    made.Save()
    _, said = clips(tmp_path / "pack", path, code=2)
    assert f"{path}: /melting: its topology at frame 2 is not that of the first frame." in said
