"""How near `lim reconstruct` comes to the truth: `python -m benchmarks.reconstruct THING ASSET [--picture OUT.png]`.

THING is what the views were taken of, as in `python -m examples.views`; ASSET is what was made of them. Per frame, in
percent of the thing's diagonal at the first key:
  to truth, to asset  mean distance from the asset's points to the true surface, and from the true points to the asset
  tracked             a point of the asset is tied to the nearest place of the true surface at the first key; how far it
                      is from where that place truly goes, less what it was off at the start
  moved               how far such places truly move, which is what an asset that stands still would be off
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from benchmarks.page import write_page
from examples.creature.measure import Tracked, read_tracked
from examples.views.moving import Moving, moving
from examples.views.shoot import rig
from lim_server.geometry.closest import Surface
from lim_server.geometry.polygons import corner_triangles
from lim_server.render.cameras import Cameras
from lim_server.render.rasterize import see

SIZE = 256
GREY = 235


@dataclass(frozen=True)
class Row:
    """Means at one frame, in percent of the diagonal."""

    frame: int
    to_truth: float
    to_asset: float
    tracked: float
    moved: float


def measured(thing: Moving, asset: Tracked) -> list[Row]:
    """A row per whole frame of the asset."""
    triangles = corner_triangles(asset.mesh.points, asset.mesh.face_counts, asset.mesh.face_indices)
    faces = asset.mesh.face_indices[triangles]
    first = int(asset.times[0])
    start, begun = thing.at(first).astype(np.float64), asset.at(first).astype(np.float64)
    diagonal = float(np.linalg.norm(np.ptp(start, axis=0)))
    surface = Surface(start, thing.faces)
    hits = surface.closest(begun)
    tied = surface.at(hits, start)
    rows = []
    for frame in range(first, int(asset.times[-1]) + 1):
        true, made = thing.at(frame).astype(np.float64), asset.at(frame).astype(np.float64)
        goes = surface.at(hits, true)
        lengths = (
            made - Surface(true, thing.faces).closest(made).points,
            true - Surface(made, faces).closest(true).points,
            (made - goes) - (begun - tied),
            goes - tied,
        )
        rows.append(Row(frame, *(100 * float(np.linalg.norm(each, axis=1).mean()) / diagonal for each in lengths)))
    return rows


def picture(thing: Moving, asset: Tracked, frames: list[int]) -> NDArray[np.uint8]:
    """A column per frame: the thing above, the asset below, from a view that was not taken."""
    between = rig(thing, frames, 8)[1:2]
    return np.concatenate(
        [np.concatenate([_seen(thing, f, between), _seen(_as_moving(asset, f), f, between)]) for f in frames], axis=1
    )


def _as_moving(asset: Tracked, frame: int) -> Moving:
    mesh = asset.mesh
    triangles = corner_triangles(mesh.points, mesh.face_counts, mesh.face_indices)
    faces = mesh.face_indices[triangles]
    uv = None
    if mesh.st is not None and mesh.st_indices is not None:
        uv = (mesh.st[mesh.st_indices[triangles]] * [1, -1] + [0, 1]).astype(np.float32)
    grey = np.full((len(faces), 3, 3), 160, np.uint8)
    return Moving(faces, asset.at(frame)[None], grey, uv, asset.texture, first=frame)


def _seen(thing: Moving, frame: int, cameras: Cameras) -> NDArray[np.uint8]:
    points, faces = torch.tensor(thing.at(frame)), torch.tensor(thing.faces).long()
    seen = see(points[None], faces, cameras, SIZE)
    image = torch.where(seen.mask[..., None], thing.paint(seen) * 255, torch.tensor(float(GREY)))
    return np.asarray(image[0].reshape(SIZE, SIZE, 3).round().to(torch.uint8).numpy())


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("thing")
    parser.add_argument("asset", type=Path)
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--name", default="reconstruct", help="of the page in benchmarks/results")
    words = parser.parse_args()
    thing, asset = moving(words.thing), read_tracked(words.asset)
    rows = measured(thing, asset)
    lines = ["| frame | to truth | to asset | tracked | moved |", "|---|---|---|---|---|"]
    lines += [f"| {r.frame} | {r.to_truth:.2f} | {r.to_asset:.2f} | {r.tracked:.2f} | {r.moved:.2f} |" for r in rows]
    text = f"{Path(words.thing).stem}, percent of the diagonal:\n\n" + "\n".join(lines)
    write_page(
        words.name, "A reconstructed asset beside the truth", text, "python -m benchmarks.reconstruct THING ASSET"
    )
    if words.picture:
        frames = [rows[i].frame for i in np.linspace(0, len(rows) - 1, 4).round().astype(int)]
        Image.fromarray(picture(thing, asset, frames)).save(words.picture)


if __name__ == "__main__":
    main()
