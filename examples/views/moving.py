"""Things in motion to take views of: made up by a seed, the demo's creature, or a sequence of meshes in an npz."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn.functional import grid_sample

from lim_server.render.rasterize import Seen
from lim_server.training.data.procedural import make_clip

STEPS = 25
"""Frames of a made-up thing's way from one pose to the other."""


@dataclass(frozen=True, eq=False)
class Moving:
    """The same faces at every frame.

    faces    int32 [f, 3]
    frames   float32 [t, n, 3]
    colours  uint8 [f, 3, 3]       sRGB per corner; in its place, where there is a texture:
    uv       float32 [f, 3, 2]     first row at the top
    texture  uint8 [h, w, 3]
    first    number of the first frame
    """

    faces: NDArray[np.int32]
    frames: NDArray[np.float32]
    colours: NDArray[np.uint8]
    uv: NDArray[np.float32] | None = None
    texture: NDArray[np.uint8] | None = None
    fps: float = 24.0
    first: int = 0

    def at(self, frame: int) -> NDArray[np.float32]:
        """Points [n, 3] at a frame, by its number."""
        return self.frames[frame - self.first]

    def paint(self, seen: Seen) -> Tensor:
        """What each pixel sees, [v, pixels, 3] from 0 to 1."""
        if self.uv is None or self.texture is None:
            return seen.of_corners(torch.tensor(self.colours).float() / 255)
        at = seen.of_corners(torch.tensor(self.uv)) % 1 * 2 - 1
        image = torch.tensor(self.texture).movedim(-1, 0)[None].float() / 255
        found = grid_sample(image, at[:, None], align_corners=False, padding_mode="border")
        return found[:, :, 0].mT


def moving(name: str) -> Moving:
    """`seed:N`, `creature`, or the path of an npz: frames, faces, colours (`lim clips`), or vertices, faces, uv,
    texture_png, face_color."""
    if name.startswith("seed:"):
        clip = make_clip(int(name[5:]), np.linspace(0, 1, STEPS).tolist())
        return Moving(clip.faces, clip.frames, clip.colours)
    return creature() if name == "creature" else read(Path(name))


def creature() -> Moving:
    """The demo's, over its whole leap."""
    from examples.creature.coat import coat
    from examples.creature.make import meshes_at_rest
    from examples.creature.motion import FPS, FRAMES, Skin

    rest = meshes_at_rest()[1]
    faces, skin = rest.triangles(), Skin(rest.points.astype(np.float64))
    frames = np.stack([skin.at(frame) for frame in FRAMES]).astype(np.float32)
    colours = np.rint(coat(rest.points.astype(np.float64))).astype(np.uint8)[faces]
    return Moving(faces, frames, colours, fps=FPS, first=int(FRAMES[0]))


def read(path: Path) -> Moving:
    """A sequence of meshes."""
    with np.load(path, allow_pickle=False) as arrays:
        faces = arrays["faces"].astype(np.int32)
        if "frames" in arrays:
            return Moving(faces, arrays["frames"].astype(np.float32), arrays["colours"])
        colours = np.repeat(arrays["face_color"][:, None], 3, axis=1)
        whole = Moving(faces, arrays["vertices"].astype(np.float32), colours, fps=float(arrays["fps"]))
        if not len(arrays["texture_png"]):
            return whole
        texture = np.asarray(Image.open(io.BytesIO(arrays["texture_png"].tobytes())).convert("RGB"))
        uv = arrays["uv"].astype(np.float32)[faces]
        return Moving(faces, whole.frames, colours, uv, texture, whole.fps)
