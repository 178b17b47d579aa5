"""`lim clips` as a person runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from animated_gltf import FACES, POINTS, SECONDS, arm, arm_points, box, play, slide
from mesh_files import TETRA_FACES, TETRA_POINTS, Gltf, png

from lim_usd.color import linear, srgb

COMMAND = [str(Path(sys.executable).with_name("lim")), "clips"]


def lim(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *map(str, words)], capture_output=True, text=True, check=False)


def packed(folder: Path, *sources: Path, options: tuple[str, ...] = ()) -> dict[str, Any]:
    """The clips of a pack by name."""
    result = lim(*sources, "-o", folder, *options)
    assert result.returncode == 0, result.stderr
    clips = {path.stem: dict(np.load(path)) for path in folder.iterdir()}
    for name, clip in clips.items():
        assert str(clip["name"]) == name
        kinds = {key: clip[key].dtype for key in ("faces", "colours", "frames")}
        assert kinds == {"faces": np.int32, "colours": np.uint8, "frames": np.float32}
        assert clip["colours"].shape == (*clip["faces"].shape, 3)
        assert np.unique(clip["faces"]).tolist() == list(range(clip["frames"].shape[1]))
    return clips


@pytest.mark.parametrize("kind", ["LINEAR", "STEP", "CUBICSPLINE"])
@pytest.mark.parametrize("suffix", [".glb", ".gltf"])
def test_an_arm_is_where_other_formulas_put_it(tmp_path: Path, kind: str, suffix: str) -> None:
    clips = packed(tmp_path / "pack", arm(tmp_path / f"arm{suffix}", kind))
    clip = clips["arm.Armature_Wave"]
    times = np.linspace(SECONDS[0], SECONDS[-1], 24)
    assert clip["fps"] == pytest.approx(23 / 1.0)
    assert clip["frames"].shape == (24, 4, 3), "the seam is welded"
    for points, seconds in zip(clip["frames"], times, strict=True):
        np.testing.assert_allclose(points[clip["faces"]], arm_points(kind, seconds)[FACES], atol=2e-5)


@pytest.mark.parametrize(
    ("options", "frames", "fps"),
    [((), 24, 23), (("--fps", "12"), 13, 12), (("--frames-per-animation", "6"), 6, 5), (("--fps", "0.1"), 2, 1)],
)
def test_frames_are_as_many_as_asked_for(tmp_path: Path, options: tuple[str, ...], frames: int, fps: float) -> None:
    clip = packed(tmp_path / "pack", slide(tmp_path / "a.glb"), options=options)["a.Slide"]
    assert len(clip["frames"]) == frames
    assert clip["fps"] == pytest.approx(fps)
    np.testing.assert_allclose(clip["frames"][[0, -1], :, 0].min(axis=1), [0, 2])


def test_a_box_is_closed_and_keeps_its_materials(tmp_path: Path) -> None:
    clip = packed(tmp_path / "pack", box(tmp_path / "box.glb"))["box.Grow"]
    faces = clip["faces"]
    assert clip["frames"].shape[1:] == (8, 3)
    assert len(faces) == 12, "the helper without area is left out"
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    assert sorted(map(tuple, edges)) == sorted(map(tuple, edges[:, ::-1])), "every edge has a face on either side"
    assert clip["colours"][:6].reshape(-1, 3).tolist() == [[255, 0, 0]] * 18
    assert clip["colours"][6:].reshape(-1, 3).tolist() == [[0, 0, 255]] * 18


def test_colours_are_factor_times_texture_times_vertex_colour(tmp_path: Path) -> None:
    gltf = Gltf()
    pixels = np.array([[[200, 100, 50], [10, 220, 90]]], np.uint8)
    gltf.add("textures", source=gltf.add("images", bufferView=gltf.view(png(pixels)), mimeType="image/png"))
    gltf.add("materials", pbrMetallicRoughness={"baseColorFactor": [0.5, 1, 0.8, 1], "baseColorTexture": {"index": 0}})
    vertex = np.array([[1, 1, 1], [0.5, 0.25, 1], [1, 0, 0], [1, 1, 0.1]], np.float32)
    st = np.array([[0.25, 0.5], [0.75, 0.5], [0.25, 0.5], [0.75, 0.5]], np.float32)
    painted = gltf.primitive(TETRA_POINTS, TETRA_FACES, COLOR_0=gltf.accessor(vertex), TEXCOORD_0=gltf.accessor(st))
    bare = gltf.primitive(TETRA_POINTS + 2, TETRA_FACES)
    node = gltf.add("nodes", mesh=gltf.add("meshes", primitives=[{**painted, "material": 0}, bare]))
    play(gltf, "Up", "LINEAR", [(node, "translation", POINTS[:3], POINTS[:3])])
    clip = packed(tmp_path / "pack", gltf.save(tmp_path / "a.glb"))["a.Up"]
    expected = srgb(linear(pixels[0][[0, 1, 0, 1]]) * [0.5, 1, 0.8] * vertex)[TETRA_FACES]
    np.testing.assert_allclose(clip["colours"][:4], expected.astype(int), atol=2)
    assert np.unique(clip["colours"][4:]).tolist() == [128], "what has no colour is grey"


def test_a_point_without_weights_follows_its_neighbour(tmp_path: Path) -> None:
    """Some exporters divide its weights by their sum, which is 0."""
    gltf = Gltf()
    points = np.concatenate([TETRA_POINTS, TETRA_POINTS[:1] + 0.01])
    weights = np.pad(np.array([1, 1, 1, 1, np.nan])[:, None], ((0, 0), (0, 3)))
    skin = {"JOINTS_0": gltf.accessor(np.zeros((5, 4)), np.uint8), "WEIGHTS_0": gltf.accessor(weights)}
    primitive = gltf.primitive(points, [*TETRA_FACES.tolist(), [0, 4, 1]], **skin)
    gltf.add("nodes", mesh=gltf.add("meshes", primitives=[primitive]), skin=0)
    gltf.add("nodes")
    gltf.add("skins", joints=[1])
    play(gltf, "Slide", "LINEAR", [(1, "translation", POINTS[:3], POINTS[:3])])
    path = gltf.save(tmp_path / "a.glb")
    result = lim(path, "-o", tmp_path / "pack")
    assert result.returncode == 0
    assert f"{path}: 1 point with skin weights that are not numbers" in result.stderr
    clip = np.load(tmp_path / "pack" / "a.Slide.npz")
    expected = points[[*TETRA_FACES.ravel(), 0, 4, 1]] + POINTS[2]
    np.testing.assert_allclose(clip["frames"][-1][clip["faces"]].reshape(-1, 3), expected, atol=1e-6)


def test_what_is_left_out_is_told(tmp_path: Path) -> None:
    still, static = slide(tmp_path / "still.glb", (1, 1, 1)), Gltf()
    static.tetra()
    twice = slide(tmp_path / "twice.glb", names=("Slide", "Slide.001"))
    result = lim(still, static.save(tmp_path / "static.glb"), twice, "-o", tmp_path / "pack", "--json")
    assert result.returncode == 0, result.stderr
    told = json.loads(result.stdout)
    assert told["clips"] == [str(tmp_path / "pack" / "twice.Slide.npz")]
    assert told["skipped"] == [
        f"{still}: nothing moves in Slide",
        f"{tmp_path / 'static.glb'}: holds no animation",
        f"{twice}: Slide.001 is Slide again",
    ]
    assert "nothing moves in Slide: skipped" in result.stderr


def test_files_of_one_name_in_two_folders_are_two(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / "in" / folder).mkdir(parents=True)
    slide(tmp_path / "in/a/x.glb")
    slide(tmp_path / "in/b/x.glb", (0, 3, 5))
    assert set(packed(tmp_path / "pack", tmp_path / "in")) == {"x.Slide", "x.Slide_2"}


def test_a_broken_file_stops_no_other(tmp_path: Path) -> None:
    whole = slide(tmp_path / "whole.glb")
    (tmp_path / "cut.glb").write_bytes(whole.read_bytes()[:-9])
    (tmp_path / "text.usda").write_text("no USD")
    (tmp_path / "readme.txt").write_text("of no interest")
    result = lim(tmp_path, "-o", tmp_path / "pack")
    assert result.returncode == 1
    assert [path.name for path in (tmp_path / "pack").iterdir()] == ["whole.Slide.npz"]
    assert f"{tmp_path / 'cut.glb'}: its header promises" in result.stderr
    assert f"{tmp_path / 'text.usda'}: cannot be read as USD" in result.stderr
    assert "2 files broken" in result.stdout and "Traceback" not in result.stderr


def a_rotation_of_three(gltf: Gltf) -> None:
    play(gltf, "Bad", "LINEAR", [(0, "rotation", POINTS[:3], POINTS[:3])])


def times_backwards(gltf: Gltf) -> None:
    play(gltf, "Bad", "LINEAR", [(0, "translation", POINTS[:3], POINTS[:3])])
    gltf.tree["animations"][0]["samplers"][0]["input"] = gltf.accessor([1.0, 0.5, 2.0])


def not_numbers(gltf: Gltf) -> None:
    play(gltf, "Bad", "LINEAR", [(0, "translation", np.full((3, 3), np.nan), POINTS[:3])])


def a_node_too_many(gltf: Gltf) -> None:
    play(gltf, "Bad", "LINEAR", [(0, "translation", POINTS[:3], POINTS[:3])])
    gltf.tree["animations"][0]["channels"][0]["target"]["node"] = 9


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (a_rotation_of_three, "animation Bad: 9 numbers for the rotation of node 0 at 3 times."),
        (times_backwards, "animation Bad: the times of the translation of node 0 do not increase."),
        (not_numbers, "Bad: points that are not finite at 0.250 s."),
        (a_node_too_many, "animation Bad: moves node 9, which is not there."),
    ],
)
def test_animations_that_cannot_be_played(tmp_path: Path, change: Any, message: str) -> None:
    gltf = Gltf()
    gltf.tetra()
    change(gltf)
    path = gltf.save(tmp_path / "a.glb")
    result = lim(path, "-o", tmp_path / "pack")
    assert result.returncode == 2
    assert f"{path}: {message}" in result.stderr
    assert not (tmp_path / "pack").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["gone"], "gone: no such file or folder"),
        (["a.obj"], "a.obj: .obj holds no animation. Known are .glb, .gltf, .usd"),
        (["empty"], "empty: holds no file of .glb, .gltf"),
        (["a.obj", "--fps", "0"], "--fps: 0.0 frames per second"),
        (["a.obj", "--frames-per-animation", "1"], "--frames-per-animation: 1."),
    ],
)
def test_what_cannot_be_is_two(tmp_path: Path, words: list[str], message: str) -> None:
    (tmp_path / "a.obj").write_text("v 0 0 0\n")
    (tmp_path / "empty").mkdir()
    command = [*COMMAND, *words, "-o", "pack"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 2, result.stdout
    assert message in result.stderr and "Traceback" not in result.stderr
    assert not (tmp_path / "pack").exists()


def test_a_file_is_no_place_for_a_pack(tmp_path: Path) -> None:
    (tmp_path / "pack").write_text("a file")
    result = lim(slide(tmp_path / "a.glb"), "-o", tmp_path / "pack")
    assert result.returncode == 2
    assert (
        result.stderr == f"lim: --out: {tmp_path / 'pack'} is a file. Name a folder; it is made where there is none.\n"
    )
    assert (tmp_path / "pack").read_text() == "a file"
