"""Animated assets with ground truth, as the evaluation data has them, as clips for `lim eval`.

python benchmarks/clips_of_assets.py FOLDER_OF_ASSETS PACK_DIR
lim eval --clips PACK_DIR ...
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

MOST = 24
"""Frames of one asset, as `lim clips` takes them."""


def main() -> None:
    folder, pack = map(Path, sys.argv[1:3])
    pack.mkdir(parents=True, exist_ok=True)
    for path in sorted(folder.glob("*.npz")):
        with np.load(path, allow_pickle=False) as asset:
            vertices, faces = asset["vertices"], asset["faces"]
            few = np.unique(np.linspace(0, len(vertices) - 1, MOST).round().astype(int))
            colours = corner_colours({name: asset[name] for name in asset.files})
            np.savez_compressed(
                pack / f"{path.stem}.npz",
                faces=faces.astype(np.int32),
                colours=colours,
                frames=vertices[few].astype(np.float32),
            )
        print(f"{path.stem}: {len(few)} of {len(vertices)} frames, {len(faces)} faces")


def corner_colours(asset: dict[str, NDArray[np.generic]]) -> NDArray[np.uint8]:
    """sRGB of every corner: the texture where a face's material has one (nearest texel), else the face's colour."""
    # the colours of faces are glTF's factors, linear in light; textures are sRGB
    light = np.repeat(asset["face_color"][:, None], 3, 1) / 255
    colours = np.round(255 * np.where(light > 0.0031308, 1.055 * light ** (1 / 2.4) - 0.055, 12.92 * light))
    colours = colours.astype(np.uint8)
    textured = asset["face_material"] == asset["texture_material"]
    if not len(asset["texture_png"]) or not len(asset["uv"]) or not textured.any():
        return colours
    texture = np.asarray(Image.open(io.BytesIO(asset["texture_png"].tobytes())).convert("RGB"))
    at = asset["uv"][asset["faces"][textured]] % 1.0
    row, column = (
        np.clip((at[..., k] * n).astype(int), 0, n - 1) for k, n in ((1, len(texture)), (0, texture.shape[1]))
    )
    colours[textured] = texture[row, column]
    return colours


if __name__ == "__main__":
    main()
