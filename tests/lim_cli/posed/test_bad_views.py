"""Folders of posed images that a person must mend: what is said about each."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lim_cli.errors import BadInput
from lim_cli.posed.keys import load_posed
from tests.lim_cli.view_folders import pose, write_views


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_views(Path("good.1"))
    write_views(Path("bad.2"))
    return tmp_path


def refusal(*words: str) -> str:
    with pytest.raises(BadInput) as error:
        load_posed(words or ["good.1", "bad.2"])
    assert error.value.exit_code == 2
    return str(error.value)


def changed(change: Callable[[dict[str, Any]], object]) -> str:
    """What is said of cameras.json so changed."""
    path = Path("bad.2/cameras.json")
    said = json.loads(path.read_text())
    change(said)
    path.write_text(json.dumps(said))
    return refusal()


def matrix_refused(matrix: object) -> str:
    def change(said: dict[str, Any]) -> None:
        said["frames"][1]["transform_matrix"] = matrix

    message = changed(change)
    prefix = 'bad.2/cameras.json: frame 1 (./r_1): its "transform_matrix" '
    assert message.startswith(prefix)
    return message.removeprefix(prefix)


def test_folders_and_frames(folder: Path) -> None:
    assert refusal("good.1") == (
        "one key only: keyframe 1 (good.1). A track runs between at least two; add another folder."
    )
    assert "two keys at frame 1: good.1 and bad.2" in refusal("good.1", "1=bad.2")
    assert refusal("good.1", "3=no") == "3=no: a key is a folder of images with cameras.json, and no is not there."
    assert "no frame number in its name" in refusal("good.1", str(write_views(Path("nameless"))))
    assert "is a file" in refusal("good.1", "2=bad.2/cameras.json")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "bad.2/cameras.json: no such file."),
        ("{frames", "bad.2/cameras.json: is not JSON ("),
        ("[1]", 'bad.2/cameras.json: is a list, not an object with "frames".'),
        ("{}", 'bad.2/cameras.json: no "frames", a list of objects'),
        ('{"frames": [{"file_path": "r_0"}]}', "bad.2/cameras.json: 1 view. A key needs 2 or more."),
        ('{"frames": [{}, {}]}', 'bad.2/cameras.json: frame 0 of "frames" has no "file_path"'),
    ],
)
def test_files_of_cameras(folder: Path, text: str | None, message: str) -> None:
    path = Path("bad.2/cameras.json")
    path.unlink()
    if text is not None:
        path.write_text(text)
    assert refusal().startswith(message)


def test_matrices(folder: Path) -> None:
    good = pose(90, -20)
    assert matrix_refused(None).startswith("is no 4 x 4 matrix of finite numbers")
    assert matrix_refused([[1, 2], [3, 4]]).startswith("is no 4 x 4 matrix")
    assert matrix_refused(np.where(np.eye(4), np.inf, good).tolist()).startswith("is no 4 x 4 matrix")
    flat = good.copy()
    flat[:3, 1] = flat[:3, 0]
    assert matrix_refused(flat.tolist()).startswith("is singular")
    assert matrix_refused((good @ np.diag([2, 2, 2, 1])).tolist()).startswith("is not rigid, it is scaled by 2 to 2")
    assert matrix_refused((good @ np.diag([1, 1, -1, 1])).tolist()).startswith("mirrors")


def test_lenses(folder: Path) -> None:
    assert "no lens" in changed(lambda said: said.pop("camera_angle_x"))
    assert '"camera_angle_x" is 40.' in changed(lambda said: said.update(camera_angle_x=40))
    assert "\"fl_x\" is 'long', not a number" in changed(lambda said: said.update(fl_x="long"))
    assert 'the image is 120 x 90 pixels, "w" and "h" say 120 x 120' in changed(
        lambda said: said.update(fl_x=100, w=120, h=120)
    )
    assert "OPENCV_FISHEYE is not known. Undistort" in changed(
        lambda said: said.update(camera_model="OPENCV_FISHEYE", w=120, h=90)
    )


def test_images(folder: Path) -> None:
    image = Image.open("bad.2/r_1.png")
    Path("bad.2/r_1.png").unlink()
    assert refusal().startswith("bad.2/cameras.json: frame 1 (./r_1): no such file as bad.2/r_1.")
    Path("bad.2/r_1.png").write_bytes(b"\x76\x2f\x31\x01 an EXR")
    assert refusal().endswith("r_1.png is not an image that can be read. Save it as PNG or JPEG.")
    image.save("bad.2/r_1.png")
    whole = Path("bad.2/r_1.png").read_bytes()
    Path("bad.2/r_1.png").write_bytes(whole[: len(whole) // 2])
    assert "r_1.png cannot be read (" in refusal()
    image.resize((80, 60)).save("bad.2/r_1.png")
    assert "images of mixed sizes, r_0.png 120 x 90 and r_1.png 80 x 60, with one lens for all" in refusal()
    image.convert("RGB").save("bad.2/r_1.png")
    assert "r_1.png has no mask, its mode is RGB. Give images with an alpha channel" in refusal()


def test_masks(folder: Path) -> None:
    image = Image.open("bad.2/r_1.png")
    for alpha, said in ((0, "its mask is empty"), (255, "its mask is full")):
        image.putalpha(alpha)
        image.save("bad.2/r_1.png")
        assert said in refusal()
    small = Image.new("L", (10, 10), 255)
    small.save("bad.2/mask.png")
    assert "its mask mask.png is 10 x 10 pixels, the image 120 x 90" in changed(
        lambda said: said["frames"][1].update(mask_path="mask.png")
    )


def test_views_that_do_not_overlap(folder: Path) -> None:
    def turn(said: dict[str, Any]) -> None:
        said["frames"][2]["transform_matrix"] = pose(180, -60, away=-4).tolist()  # looks away

    message = changed(turn)
    assert message.startswith("keyframe 2 (bad.2): the views do not overlap: at most 3 of 4 see the thing in one place")
    assert "frame 2 (./r_2)" in message


def test_views_that_tell_no_depth(folder: Path) -> None:
    write_views(Path("bad.2"), around=[(0, 0), (1, 0)])
    assert "all 2 views look the same way" in refusal()


def test_keys_that_disagree(folder: Path) -> None:
    write_views(Path("good.1"), fps=24, up_axis="Y")
    assert "is at 24 frames per second, keyframe 2 (bad.2) at 30" in changed(lambda said: said.update(fps=30))
    assert "says Y is up" in changed(lambda said: said.update(fps=24, up_axis="Z"))
    assert "\"up_axis\" is 'X'" in changed(lambda said: said.update(up_axis="X"))
    assert '"aabb" is [1, 2]' in changed(lambda said: said.update(up_axis="Y", aabb=[1, 2]))
