"""Sequences that no training has seen, and all that is known of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lim_server.render.cameras import DISTANCE, FIELD_OF_VIEW, Cameras, orbit
from lim_server.render.rasterize import see
from lim_server.render.solid import solid
from lim_server.training.data.clip import Clip
from lim_server.training.data.scene import Scene, Shoot, take
from lim_server.training.feed import Source

TEST, VALIDATION = 7 * 10**15, 8 * 10**15
"""Where their seeds begin; a training's are its recipe's seed * 10^9 + n."""
CELLS = 32
"""Opacity is judged at the centres of so many cells along each axis of the box."""
MIDDLE = 1
SMALL, LARGE = 0.15, 0.3
CLASSES = ("small", "medium", "large")
"""Motion from key to key, mean over the points in half-sizes of the box: below SMALL, between, from LARGE on."""


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Two keys and a frame between.

    motion   how far points go from key to key on average, in half-sizes of the box
    time     of the frame between: 0 at key k, 1 at key k + 1
    scene    what the models see of the three frames, a batch of one
    frames   [3, n, 3], faces [f, 3]
    novel    [3, v, 3, s, s] true pictures from cameras that the models do not see by, colours from 0 to 1
    mask     [v, s, s] of the frame between, from there
    cells    [CELLS^3] which cells' centres are inside the frame between, by x, y, z
    """

    motion: float
    time: float
    scene: Scene
    frames: Float[Tensor, "3 n 3"]
    faces: Int[Tensor, "f 3"]
    novel: Float[Tensor, "3 v 3 s s"]
    mask: Bool[Tensor, "v s s"]
    cells: Bool[Tensor, " cells"]

    @property
    def motion_class(self) -> str:
        """small, medium or large."""
        return CLASSES[(self.motion >= SMALL) + (self.motion >= LARGE)]


def novel_cameras(count: int) -> Cameras:
    """Between the views of the ring: azimuths 45, 225 and so on round the circle, elevations 0 and 20 by turns."""
    azimuth = 45 + torch.arange(count) * (360 / count)
    elevation = 20.0 * (torch.arange(count) % 2)
    return orbit(azimuth, elevation, torch.full((count,), DISTANCE), torch.full((count,), FIELD_OF_VIEW))


def held_out(source: Source, seeds: Sequence[int], size: int, cameras: Cameras, device: str) -> Iterator[HeldOut]:
    """The sequences of these seeds, seen by the ring of four views of `size` pixels."""
    for seed in seeds:
        clip, time = source.draw(seed)
        yield look_at(clip, time, take(clip, Shoot(size, loose=0.0), seed, device), cameras, device)


def look_at(clip: Clip, time: float, scene: Scene, cameras: Cameras, device: str) -> HeldOut:
    """The rest of what is to be known."""
    frames, faces = torch.as_tensor(clip.frames, device=device), torch.as_tensor(clip.faces, device=device).long()
    colours = torch.as_tensor(clip.colours, device=device).float() / 255
    size, count = scene.mask.shape[-1], len(cameras.focal)
    every = Cameras(*(getattr(cameras, f.name).repeat(3, *(1,) * (1 + (f.name == "world"))) for f in fields(Cameras)))
    seen = see(frames.repeat_interleave(count, 0), faces, every.to(device), size)
    shape = (3, count, size, size)
    novel = (seen.of_corners(colours) * seen.mask[..., None]).mT.reshape(3, count, 3, size, size)
    return HeldOut(
        clip.motion(),
        time,
        Scene.stack([scene]),
        frames,
        faces,
        novel,
        seen.mask.reshape(shape)[MIDDLE],
        solid(frames[MIDDLE : MIDDLE + 1], faces, CELLS)[0].flatten(),
    )
