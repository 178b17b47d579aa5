"""One folder of views: images with alpha, and cameras.json."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from examples.views.moving import Moving
from lim_server.render.cameras import REACH, Cameras, ring
from lim_server.render.rasterize import see

SAMPLES = 2
"""Samples across a pixel, each way."""


def rig(moving: Moving, frames: list[int], views: int, elevation: float = 20.0) -> Cameras:
    """Cameras around all that moves in these frames: a ring, by turns from above and below."""
    azimuths = [360 * k / views for k in range(views)]
    cameras = ring(azimuths, [elevation if k % 2 == 0 else -elevation for k in range(views)])
    whole = np.concatenate([moving.at(frame) for frame in frames])
    middle = (whole.min(axis=0) + whole.max(axis=0)) / 2
    radius = float(np.linalg.norm(whole - middle, axis=1).max())
    world = cameras.world.clone()
    world[:, :, 3] = world[:, :, 3] * (radius / REACH) + torch.tensor(middle)
    return Cameras(world, cameras.focal, cameras.centre)


def shoot(folder: Path, moving: Moving, frame: int, cameras: Cameras, size: int) -> Path:
    """Writes the folder; the same bytes each time."""
    folder.mkdir(parents=True, exist_ok=True)
    points, faces = torch.tensor(moving.at(frame)), torch.tensor(moving.faces).long()
    entries = []
    for k in range(len(cameras.focal)):
        one = cameras[k : k + 1]
        seen = see(points[None], faces, one, size * SAMPLES)
        pixels = torch.cat((moving.paint(seen) * seen.mask[..., None], seen.mask[..., None].float()), -1)
        name = f"view_{k}.png"
        Image.fromarray(_image(pixels[0].numpy(), size)).save(folder / name)
        matrix = [*one.world[0].double().tolist(), [0.0, 0.0, 0.0, 1.0]]
        entries.append({"file_path": name, "transform_matrix": matrix})
    angle = 2 * float(np.arctan(1 / cameras.focal[0, 0]))
    whole = {"camera_angle_x": angle, "frame": frame, "fps": moving.fps, "up_axis": "Y", "frames": entries}
    (folder / "cameras.json").write_text(json.dumps(whole, indent=1))
    return folder


def _image(pixels: NDArray[np.float32], size: int) -> NDArray[np.uint8]:
    """Samples [pixels, 4] of colours times alpha, and alpha, as an RGBA image of their means."""
    mean = pixels.reshape(size, SAMPLES, size, SAMPLES, 4).mean(axis=(1, 3))
    mean[..., :3] /= np.maximum(mean[..., 3:], 1e-6)
    return np.rint(np.clip(mean, 0, 1) * 255).astype(np.uint8)
