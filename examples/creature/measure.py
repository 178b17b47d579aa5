"""Reads a tracked USD file back, and measures it against the keyframes and against the truth."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import igl
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lim_cli.colors import main_texture
from lim_cli.keyframes import load_keyframes
from lim_cli.readers import read
from lim_cli.words import resolve
from lim_protocol.types import Keyframe, Mesh, UInt8
from lim_usd.read import read_usd, time_samples
from lim_usd.source import Texture


@dataclass(frozen=True, eq=False)
class Tracked:
    """A mesh of one topology over time.

    times    frames, sorted
    points   float32 [frames, points, 3]
    mesh     faces, texture coordinates and colours, with the first frame's points
    texture  uint8 [height, width, 3]; None without
    up       index of the up axis
    """

    times: tuple[float, ...]
    points: NDArray[np.float32]
    mesh: Mesh
    texture: UInt8 | None
    up: int

    @property
    def diagonal(self) -> float:
        """Of the first frame's bounding box."""
        return float(np.linalg.norm(np.ptp(self.points[0], axis=0)))

    def at(self, time: float) -> NDArray[np.float32]:
        """Points at a frame, linear between samples as USD reads them."""
        after = min(int(np.searchsorted(self.times, time)), len(self.times) - 1)
        before = max(after - 1, 0) if self.times[after] != time else after
        span = self.times[after] - self.times[before]
        part = (time - self.times[before]) / span if span else 0.0
        return np.asarray((1 - part) * self.points[before] + part * self.points[after], np.float32)


@dataclass(frozen=True, eq=False)
class Given:
    """A keyframe with the image on it, uint8 [height, width, 3]; None without."""

    keyframe: Keyframe
    texture: UInt8 | None


@dataclass(frozen=True)
class Errors:
    """Percent of the diagonal, over the points, at one frame."""

    time: float
    mean: float
    p95: float
    max: float


def read_tracked(path: Path) -> Tracked:
    """The meshes of a USD file at all its time samples. Raises what `read_usd` does, and ValueError for one sample."""
    times = time_samples(path)
    if len(times) < 2:
        raise ValueError(f"{path}: nothing moves in it. A tracked file has time samples of its points.")
    sources = [read_usd(path, time) for time in times]
    points = np.stack([source.mesh.points for source in sources])
    return Tracked(times, points, sources[0].mesh, _image(sources[0].texture), 2 if sources[0].up_axis == "Z" else 1)


def read_keys(words: Sequence[str]) -> list[Given]:
    """Keyframes as `lim track` takes them: files with a frame number in the name, FRAME=PATH, or a pattern."""
    files, _ = resolve(words, None)
    textures = [main_texture(read(file.path, file.time, None))[0] for file in files]
    return [
        Given(keyframe, _image(texture))
        for keyframe, texture in zip(load_keyframes(words).keyframes, textures, strict=True)
    ]


def read_truth(path: Path) -> dict[float, NDArray[np.float32]]:
    """Where the points truly are, float32 [points, 3] for each frame, from an npz with `frames` and `points`."""
    with np.load(path) as data:
        return dict(zip(data["frames"].tolist(), data["points"], strict=True))


def distance_to(key: Mesh, points: NDArray[np.float32]) -> NDArray[np.float64]:
    """From each point to the closest place on the key's surface, in scene units."""
    surface = key.points.astype(np.float64), key.triangles().astype(np.int64)
    return np.asarray(np.sqrt(igl.point_mesh_squared_distance(points.astype(np.float64), *surface)[0]))


def residuals(tracked: Tracked, keys: Sequence[Given]) -> list[Errors]:
    """How far the tracked points are off each keyframe's surface."""
    return [
        _errors(tracked, key.time, distance_to(key.mesh, tracked.at(key.time)))
        for key in (given.keyframe for given in keys)
        if tracked.times[0] <= key.time <= tracked.times[-1]
    ]


def true_errors(tracked: Tracked, truth: dict[float, NDArray[np.float32]]) -> list[Errors]:
    """How far the tracked points are from where they truly are, at each frame that both have."""
    shared = [time for time in tracked.times if time in truth]
    return [_errors(tracked, t, np.linalg.norm(tracked.at(t) - truth[t], axis=1)) for t in shared]


def _errors(tracked: Tracked, time: float, distance: NDArray[np.floating]) -> Errors:
    percent = 100 * distance / tracked.diagonal
    return Errors(time, float(percent.mean()), float(np.percentile(percent, 95)), float(percent.max()))


def _image(texture: Texture | None) -> UInt8 | None:
    if texture is None:
        return None
    return np.asarray(Image.open(io.BytesIO(texture.data)).convert("RGB"))
