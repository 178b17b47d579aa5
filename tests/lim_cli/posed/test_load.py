"""Folders of posed images that are as they should be: where the box is, and what goes to the server."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lim_cli.posed.cameras import Camera
from lim_cli.posed.keys import MOST_VIEWS, load_posed
from lim_cli.posed.transforms import read_transforms
from lim_protocol.views import pack_views, unpack_views
from lim_protocol.wire import WireError
from tests.lim_cli.view_folders import ANGLE, AROUND, SIZE, ball_image, pose, write_views

SHIFT = (0.3, 0.1, -0.2)


def two(folder: Path, **more: object) -> list[str]:
    first, second = write_views(folder / "a.1001", **more), write_views(folder / "b.1009", SHIFT, **more)
    return [str(first), str(second)]


def test_the_box_is_around_the_thing_at_each_key(tmp_path: Path) -> None:
    posed = load_posed([*reversed(two(tmp_path))])
    assert [key.key.time for key in posed.keys] == [1001, 1009]
    assert posed.up_axis == "Y" and "upright along Y" in posed.notes[0]
    for key, centre in zip(posed.keys, ((0, 0, 0), SHIFT)):
        assert np.abs(key.placement.centre - centre).max() < 0.04
        assert key.placement.undo(np.zeros((1, 3), np.float32))[0] == pytest.approx(key.placement.centre, abs=1e-6)
        reach = 0.6 * key.placement.scale
        assert 0.6 < reach < 0.95, "the hull of four views is larger than the ball"
    assert posed.keys[0].placement.scale == posed.keys[1].placement.scale


def test_pictures_are_turned_to_the_middle_and_keep_their_colours(tmp_path: Path) -> None:
    key = load_posed(two(tmp_path)).keys[1]
    views = unpack_views(bytes(pack_views(key.views)))
    size = views.images.shape[1]
    reach = 0.6 * key.placement.scale
    for image, world, focal in zip(views.images, views.world, views.focal):
        rows, columns = np.nonzero(image[..., 3] > 127)
        off = [rows.mean() - size / 2, columns.mean() - size / 2]
        assert np.abs(off).max() < 0.04 * size, "the ball is in the middle"
        away = float(np.linalg.norm(world[:, 3]))
        radius = focal * reach / np.sqrt(away**2 - reach**2) * size / 2
        assert np.sqrt(len(rows) / np.pi) == pytest.approx(radius, rel=0.05)
        towards = world[:, 2] @ key.placement.turn  # the world's direction to the camera is the normal in the middle
        centre = image[size // 2, size // 2, :3].astype(float)
        assert np.abs((centre - 128) / 100 - towards).max() < 0.1


def test_a_world_with_z_up_and_a_turned_rig_come_out_upright_and_facing(tmp_path: Path) -> None:
    around = [(azimuth + 30, elevation) for azimuth, elevation in AROUND]
    posed = load_posed(two(tmp_path, around=around, up="Z"))
    assert posed.up_axis == "Z"
    turn = posed.keys[0].placement.turn
    assert np.allclose(turn @ turn.T, np.eye(3)) and np.linalg.det(turn) > 0
    assert np.allclose(turn @ [0, 0, 1], [0, 1, 0], atol=1e-9)
    back = posed.keys[0].views.world[:, :, 2]
    assert np.sort(np.abs(back[:, 0]))[:2].max() < 0.1, "two views from in front and behind"
    front = np.abs(back[:, 2]) > 0.5
    assert (back[front, 1] > 0).all() and (back[~front, 1] < 0).all(), "which look down, as the model is used to"


def test_of_many_views_those_that_are_spread_best_are_taken(tmp_path: Path) -> None:
    around = [(k * 30.0, 20.0 * (-1) ** k) for k in range(12)]
    posed = load_posed(two(tmp_path, around=around))
    assert len(posed.keys[0].views.images) == MOST_VIEWS
    assert f"{MOST_VIEWS} of 12 views go to the model: r_" in posed.notes[-1]
    back = posed.keys[0].views.world[:, :, 2]
    assert (back @ back.T - 2 * np.eye(MOST_VIEWS)).max() < np.cos(np.radians(45))


def test_where_the_frame_the_rate_and_the_box_come_from(tmp_path: Path) -> None:
    box = [[-1, -1, -1], [1, 3, 1]]
    words = two(tmp_path, aabb=box, up_axis="Y", fps=25)
    posed = load_posed([words[0], f"7.5={words[1]}"])
    assert [key.key.time for key in posed.keys] == [7.5, 1001]
    assert posed.fps == 25 and posed.notes == []
    for key in posed.keys:
        assert key.placement.centre.tolist() == [0, 1, 0] and key.placement.scale == 0.5
    write_views(tmp_path / "b.1009", SHIFT, frame=3)
    assert [key.key.time for key in load_posed(words).keys] == [3, 1001]


def test_lenses_in_pixels_and_masks_beside_the_images(tmp_path: Path) -> None:
    folder = write_views(tmp_path / "1", w=240, h=180, fl_x=300, cx=130, cy=80, camera_angle_x=None, k1=0.1)
    said = json.loads((folder / "cameras.json").read_text())
    for entry in said["frames"]:
        image = Image.open(folder / f"{entry['file_path']}.png")
        image.getchannel("A").save(folder / f"{entry['file_path']}.mask.png")
        image.convert("RGB").save(folder / f"{entry['file_path']}.jpg")
        entry["mask_path"] = f"{entry['file_path']}.mask.png"
        entry["file_path"] += ".jpg"
    (folder / "cameras.json").write_text(json.dumps(said))
    view = read_transforms(folder).views[0]
    assert view.camera.size == SIZE and view.mask is not None
    assert view.camera.focal.tolist() == [150, 150] and view.camera.centre.tolist() == [65, 40]
    ray = view.camera.world[:, :3] @ [0.2, 0.1, -1]
    pixel, ahead = view.camera.pixels(ray)
    assert ahead and pixel == pytest.approx([65 + 150 * 0.2 * 1.005, 40 - 150 * 0.1 * 1.005])


def test_what_a_camera_sees_is_where_it_says(tmp_path: Path) -> None:
    matrix = pose(40, 10)
    image = ball_image(matrix, SHIFT, 0.05)
    focal = SIZE[0] / 2 / np.tan(ANGLE / 2)
    camera = Camera(matrix[:3], np.array([focal, focal]), np.array(SIZE) / 2, SIZE, np.zeros(5))
    rows, columns = np.nonzero(image[..., 3])
    pixel, _ = camera.project(np.array(SHIFT))
    assert pixel == pytest.approx([columns.mean() + 0.5, rows.mean() + 0.5], abs=0.5)
    assert camera.directions(pixel[None])[0] @ (np.array(SHIFT) - matrix[:3, 3]) > 0.999 * np.linalg.norm(
        np.array(SHIFT) - matrix[:3, 3]
    )


def test_records_of_views_that_cannot_be(tmp_path: Path) -> None:
    views = load_posed(two(tmp_path)).keys[0].views
    for name, broken in (("images", views.images[..., :3]), ("world", views.world * 2), ("focal", -views.focal)):
        with pytest.raises(WireError):
            unpack_views(bytes(pack_views(type(views)(**{**vars(views), name: broken}))))
    with pytest.raises(WireError):
        unpack_views(bytes(pack_views(type(views)(views.images[:1], views.world[:1], views.focal[:1]))))
