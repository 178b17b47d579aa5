"""cameras.json: the poses and lenses of a folder of images, as NeRF, Blender and instant-ngp write transforms.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lim_cli.errors import BadInput
from lim_cli.posed.cameras import Camera, Floats
from lim_cli.posed.photos import opened
from lim_protocol.views import FEWEST
from lim_usd.source import UpAxis

NAME = "cameras.json"
SUFFIXES = ("", ".png", ".jpg", ".jpeg", ".PNG", ".JPG")
LENS = ("k1", "k2", "p1", "p2", "k3")
MODELS = {None, "PINHOLE", "SIMPLE_PINHOLE", "OPENCV", "SIMPLE_RADIAL", "RADIAL"}
STRAY = 0.01
"""How far the axes of a camera may be from unit length and right angles: exporters round."""


@dataclass(frozen=True, eq=False)
class View:
    """One photograph: `label` is what messages call it, `mask` an image of its own where alpha is not the mask."""

    label: str
    image: Path
    mask: Path | None
    camera: Camera


@dataclass(frozen=True, eq=False)
class Transforms:
    """What a folder's cameras.json says.

    frame, fps, up_axis  None where it does not say
    aabb                 [2, 3] lower and upper corner of the box that the thing stays in; None where it does not say
    """

    views: list[View]
    frame: float | None
    fps: float | None
    up_axis: UpAxis | None
    aabb: Floats | None


def read_transforms(folder: Path) -> Transforms:
    """The folder's cameras. Raises BadInput naming the file, the frame, and the key that is wrong in it."""
    path = folder / NAME
    whole = _loaded(path)
    frames = whole.get("frames")
    if not isinstance(frames, list) or not all(isinstance(entry, dict) for entry in frames):
        raise BadInput(f'{path}: no "frames", a list of objects with file_path and transform_matrix.')
    if len(frames) < FEWEST:
        raise BadInput(f"{path}: {len(frames)} view{'s' * (len(frames) != 1)}. A key needs {FEWEST} or more.")
    views = [_view(path, i, entry, whole) for i, entry in enumerate(frames)]
    _check_sizes(path, views, frames, whole)
    axis = whole.get("up_axis")
    if axis not in (None, "Y", "Z"):
        raise BadInput(f'{path}: "up_axis" is {axis!r}. Write "Y" or "Z".')
    fps = _number(path, whole, "fps")
    if fps is not None and fps <= 0:
        raise BadInput(f'{path}: "fps" is {fps:g}. Write a number above zero.')
    return Transforms(views, _number(path, whole, "frame"), fps, axis, _aabb(path, whole))


def _loaded(path: Path) -> dict[str, Any]:
    try:
        whole = json.loads(path.read_text())
    except FileNotFoundError:
        raise BadInput(f"{path}: no such file. Each folder of views needs one; docs/reconstruct.md says how.") from None
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}.") from error
    except ValueError as error:
        raise BadInput(f"{path}: is not JSON ({error}). Write it again.") from error
    if not isinstance(whole, dict):
        raise BadInput(f'{path}: is a {type(whole).__name__}, not an object with "frames".')
    return whole


def _view(path: Path, number: int, entry: Mapping[str, Any], whole: Mapping[str, Any]) -> View:
    name = entry.get("file_path")
    if not isinstance(name, str) or not name:
        raise BadInput(f'{path}: frame {number} of "frames" has no "file_path", the name of its image.')
    label = f"{path}: frame {number} ({name})"
    image = next((p for s in SUFFIXES if (p := path.parent / f"{name}{s}").is_file()), path.parent / name)
    size = opened(image, label).size
    mask = entry.get("mask_path")
    if mask is not None and not isinstance(mask, str):
        raise BadInput(f'{label}: "mask_path" is {mask!r}, not a name.')
    world = _world(label, entry.get("transform_matrix"))
    return View(label, image, path.parent / mask if mask else None, _camera(label, entry, whole, world, size))


def _world(label: str, rows: object) -> Floats:
    """The camera-to-world matrix, [3, 4], its axes made exactly rigid."""
    try:
        matrix = np.array(rows, np.float64)
    except (TypeError, ValueError):
        matrix = np.zeros(0)
    if matrix.shape not in ((4, 4), (3, 4)) or not np.isfinite(matrix).all():
        raise BadInput(f'{label}: its "transform_matrix" is no 4 x 4 matrix of finite numbers.')
    axes = matrix[:3, :3]
    sizes = np.linalg.svd(axes, compute_uv=False)
    if sizes[-1] < 1e-6 * max(sizes[0], 1e-300):
        raise BadInput(f'{label}: its "transform_matrix" is singular, its axes lie in a plane. Export it again.')
    if np.abs(sizes - 1).max() > STRAY:
        text = f"scaled by {sizes[-1]:.4g} to {sizes[0]:.4g}"
        raise BadInput(f'{label}: its "transform_matrix" is not rigid, it is {text}. Export cameras without scale.')
    if np.linalg.det(axes) < 0:
        raise BadInput(
            f'{label}: its "transform_matrix" mirrors. Its columns are right, up and back (OpenGL), not down and '
            "forward (OpenCV) with one of them turned."
        )
    if len(matrix) == 4 and np.abs(matrix[3] - [0, 0, 0, 1]).max() > 1e-6:
        raise BadInput(f'{label}: the last row of its "transform_matrix" is {matrix[3].tolist()}, not 0 0 0 1.')
    left, _, right = np.linalg.svd(axes)
    return np.concatenate([left @ right, matrix[:3, 3:]], axis=1)


def _camera(
    label: str, entry: Mapping[str, Any], whole: Mapping[str, Any], world: Floats, size: tuple[int, int]
) -> Camera:
    own = entry if {"fl_x", "camera_angle_x"} & entry.keys() else whole
    value = {name: _number(label, own, name) for name in ("fl_x", "fl_y", "camera_angle_x", "camera_angle_y")}
    rest = {name: _number(label, {**whole, **entry}, name) for name in ("cx", "cy", "w", "h", *LENS)}
    model = entry.get("camera_model", whole.get("camera_model"))
    if model not in MODELS or (entry.get("is_fisheye", whole.get("is_fisheye"))):
        raise BadInput(f"{label}: a lens of the kind {model or 'fisheye'} is not known. Undistort the images first.")
    width, height = rest["w"] or size[0], rest["h"] or size[1]
    if abs(size[0] / width * height / size[1] - 1) > STRAY:
        found, wanted = f"{size[0]} x {size[1]}", f"{width:g} x {height:g}"
        raise BadInput(f'{label}: the image is {found} pixels, "w" and "h" say {wanted}: of another form. Mend one.')
    across = value["fl_x"] or _focal(label, "camera_angle_x", value["camera_angle_x"], width)
    if across is None:
        raise BadInput(f'{label}: no lens. Give "camera_angle_x" (radians) or "fl_x" (pixels), for all or per frame.')
    down = value["fl_y"] or _focal(label, "camera_angle_y", value["camera_angle_y"], height) or across
    if across <= 0 or down <= 0:
        raise BadInput(f'{label}: "fl_x" or "fl_y" is not above zero.')
    centre = [width / 2 if rest["cx"] is None else rest["cx"], height / 2 if rest["cy"] is None else rest["cy"]]
    bend = np.array([rest[name] or 0.0 for name in LENS])
    camera = Camera(world, np.array([across, down]), np.array(centre), (round(width), round(height)), bend)
    return camera.at_size(size)


def _focal(label: str, name: str, angle: float | None, side: float) -> float | None:
    if angle is None:
        return None
    if not 0 < angle < np.pi:
        raise BadInput(f'{label}: "{name}" is {angle:g}. It is in radians, between 0 and pi.')
    return float(side / 2 / np.tan(angle / 2))


def _check_sizes(path: Path, views: list[View], frames: list[Any], whole: Mapping[str, Any]) -> None:
    """A lens that is said once in pixels of nobody knows which size fits images of one size only."""
    if {"w", "h"} <= whole.keys():
        return
    shared = [v for v, entry in zip(views, frames) if not {"fl_x", "camera_angle_x", "w"} & entry.keys()]
    sizes = {view.camera.size: view for view in reversed(shared)}
    if len(sizes) > 1:
        (one, first), (other, second) = list(sizes.items())[:2]
        raise BadInput(
            f"{path}: images of mixed sizes, {first.image.name} {one[0]} x {one[1]} and {second.image.name} {other[0]} "
            f'x {other[1]}, with one lens for all. Say for which size it is ("w", "h"), or give each frame its own.'
        )


def _aabb(path: Path, whole: Mapping[str, Any]) -> Floats | None:
    if whole.get("aabb") is None:
        return None
    try:
        box = np.array(whole["aabb"], np.float64)
    except (TypeError, ValueError):
        box = np.zeros(0)
    if box.shape != (2, 3) or not np.isfinite(box).all() or (box[1] <= box[0]).any():
        raise BadInput(f'{path}: "aabb" is {whole["aabb"]!r}. Write [[x, y, z], [x, y, z]], the lower corner first.')
    return box


def _number(label: object, entry: Mapping[str, Any], name: str) -> float | None:
    value = entry.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value):
        raise BadInput(f'{label}: "{name}" is {value!r}, not a number.')
    return float(value)
