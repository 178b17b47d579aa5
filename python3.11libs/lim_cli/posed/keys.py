"""Folders of posed images as keys: from the words of the command line to pictures of one thing in the box."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from lim_cli.errors import BadInput
from lim_cli.frames import frame_text
from lim_cli.posed.aim import aimed, pixels_across, side, taken
from lim_cli.posed.cameras import Floats, unit
from lim_cli.posed.hull import Silhouette, hull_of
from lim_cli.posed.photos import decoded, premultiplied, silhouette
from lim_cli.posed.placement import Placement, boxed, facing, fitted, spread, up_of, upright
from lim_cli.posed.transforms import Transforms, read_transforms
from lim_cli.words import Key, key_of
from lim_protocol.views import Views
from lim_usd.source import UpAxis

AXES: tuple[UpAxis, ...] = ("Y", "Z")
MASK_SIDE = 384
MOST_VIEWS = 6
"""Views of a key that go to the model, which was trained with four."""


@dataclass(frozen=True, eq=False)
class Folder:
    """One key's cameras, and its masks."""

    key: Key
    transforms: Transforms
    masks: list[Silhouette]


@dataclass(frozen=True, eq=False)
class PosedKey:
    """A key as it goes to the server; `placement` brings back what the server makes of it."""

    key: Key
    views: Views
    placement: Placement


@dataclass(frozen=True, eq=False)
class Posed:
    """All keys, sorted by time; fps is None where no folder says it."""

    keys: list[PosedKey]
    up_axis: UpAxis
    fps: float | None
    notes: list[str]


def load_posed(words: Sequence[str], up_axis: str | None = None) -> Posed:
    """Read the folders that the words name: FRAME=FOLDER, or a folder whose cameras.json or name tells the frame.

    Raises BadInput for anything in words, cameras or images that a person must fix.
    """
    read = [(word, read_transforms(_folder(word))) for word in words]
    folders = _sorted([Folder(_key(word, said), said, _masks(said)) for word, said in read])
    notes = [note for folder in folders for note in _cut_off(folder)]
    axis = _up_axis(folders, up_axis, notes)
    placements = _placements(folders, axis)
    keys = []
    for folder, placement in zip(folders, placements):
        chosen = spread(_directions(folder, placement), MOST_VIEWS)
        if len(chosen) < len(folder.masks):
            names = ", ".join(folder.transforms.views[i].image.name for i in chosen)
            notes.append(f"{folder.key}: {len(chosen)} of {len(folder.masks)} views go to the model: {names}")
        keys.append(PosedKey(folder.key, _pictures(folder, placement, chosen), placement))
    return Posed(keys, axis, _fps(folders), notes)


def _folder(word: str) -> Path:
    path = key_of(word, lambda _: 0.0).path
    if not path.is_dir():
        found = "a file" if path.exists() else "not there"
        raise BadInput(f"{word}: a key is a folder of images with cameras.json, and {path} is {found}.")
    return path


def _key(word: str, said: Transforms) -> Key:
    """The key of a word, its frame from the word itself, else from cameras.json, else from the folder's name."""
    return key_of(word) if said.frame is None else key_of(word, lambda _: said.frame or 0.0)


def _sorted(folders: list[Folder]) -> list[Folder]:
    ordered = sorted(folders, key=lambda folder: folder.key.time)
    for one, two in pairwise(ordered):
        if one.key.time == two.key.time:
            raise BadInput(
                f"two keys at frame {frame_text(one.key.time)}: {one.key.path} and {two.key.path}. Keep one of them, "
                f"or say another frame: FRAME={two.key.path}."
            )
    if len(ordered) == 1:
        raise BadInput(f"one key only: {ordered[0].key}. A track runs between at least two; add another folder.")
    return ordered


def _masks(said: Transforms) -> list[Silhouette]:
    masks = []
    for view in said.views:
        mask = silhouette(decoded(view.image, view.mask, view.label), MASK_SIDE, view.label)
        height, width = mask.shape
        masks.append(Silhouette(view.label, view.camera.at_size((width, height)), mask))
    return masks


def _cut_off(folder: Folder) -> list[str]:
    cut = [view.image.name for view, mask in zip(folder.transforms.views, folder.masks) if mask.is_cut_off()]
    return [f"{folder.key}: the thing runs over the edge of {', '.join(cut)}; what is beyond is lost"] if cut else []


def _up_axis(folders: Sequence[Folder], given: str | None, notes: list[str]) -> UpAxis:
    for axis in AXES:
        if given == axis:
            return axis
    if given is not None:
        raise BadInput(f"--up-axis: '{given}' is none. Use Y or Z.")
    said = {folder.transforms.up_axis: folder for folder in folders if folder.transforms.up_axis}
    if len(said) > 1:
        raise BadInput(f"{said['Y'].key} says Y is up, {said['Z'].key} says Z. All keys are in one world; mend one.")
    for axis in AXES:
        if axis in said:
            return axis
    axis = up_of([view.camera for folder in folders for view in folder.transforms.views])
    notes.append(f"the cameras stand upright along {axis}: taken as up. Say another with --up-axis.")
    return axis


def _placements(folders: Sequence[Folder], axis: UpAxis) -> list[Placement]:
    """Where the box is at each key: as cameras.json has it, else around what the masks leave of the world."""
    given = next((folder.transforms.aabb for folder in folders if folder.transforms.aabb is not None), None)
    hulls = [hull_of(folder.masks, str(folder.key), given) for folder in folders]

    def placed(turn: Floats) -> list[Placement]:
        return fitted(hulls, turn) if given is None else [boxed(given, turn)] * len(folders)

    up = upright(axis)
    return placed(facing(np.concatenate([_directions(f, p) for f, p in zip(folders, placed(up))])) @ up)


def _directions(folder: Folder, placement: Placement) -> Floats:
    """Unit directions from the box's middle to the cameras, in the box."""
    positions = np.stack([placement.camera(view.camera)[:, 3] for view in folder.transforms.views])
    return unit(np.where(np.abs(positions).max(axis=1, keepdims=True) > 0, positions, 1))


def _pictures(folder: Folder, placement: Placement, chosen: Sequence[int]) -> Views:
    views = [folder.transforms.views[i] for i in chosen]
    aims = [aimed(view.camera, placement, view.label) for view in views]
    across = [pixels_across(aim, view.camera) for aim, view in zip(aims, views)]
    size = side(across)
    images = []
    for view, aim, wide in zip(views, aims, across):
        photo = premultiplied(decoded(view.image, view.mask, view.label), max(1, round(wide / size)))
        height, width = photo.shape[:2]
        images.append(taken(photo, view.camera.at_size((width, height)), aim, placement, size))
    world = np.stack([aim.world for aim in aims]).astype(np.float32)
    return Views(np.stack(images), world, np.array([aim.focal for aim in aims], np.float32))


def _fps(folders: Sequence[Folder]) -> float | None:
    said = {folder.transforms.fps: folder for folder in folders if folder.transforms.fps is not None}
    if len(said) > 1:
        (one, first), (other, second) = list(said.items())[:2]
        raise BadInput(f"{first.key} is at {one:g} frames per second, {second.key} at {other:g}. Mend one of them.")
    return next(iter(said), None)
