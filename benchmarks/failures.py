"""Pictures of what the tracker gets wrong: source, result coloured by its true error, target.

    python -m benchmarks.failures TASKS NAME...

TASKS is a folder as for `benchmarks.tracking`, NAME one of its tasks; of a clip the keyframe that came out worst is
shown. Writes docs/pictures/fails/NAME.png, with the asset's licence on it. A mesh is seen from its left, or from where
--from says (degrees about the vertical).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from benchmarks.tracking import Task
from examples.creature.looks import heat, shade, surface
from examples.creature.render import Floor, Shot, View
from lim_protocol.types import Mesh
from lim_server.stages.track import track_keys

PICTURES = Path(__file__).resolve().parents[1] / "docs" / "pictures" / "fails"
WIDTH, HEIGHT, HEAD, FOOT, COLORS = 330, 290, 30, 62, 160
FOV, TOP = 24.0, 10.0
"""Opening of the camera in degrees, and the error in percent of the diagonal that is painted darkest."""
INK, FAINT, PAPER = (40, 40, 44), (110, 110, 112), (255, 255, 255)
UP = np.array([0.0, 1.0, 0.0])

Points = NDArray[np.float64]


def _view(everything: Points, degrees: float) -> tuple[View, Floor]:
    """One camera and one floor for all three."""
    low, high = everything.min(axis=0), everything.max(axis=0)
    middle, size = (low + high) / 2, float(np.linalg.norm(high - low))
    turn = np.radians(degrees)
    away = np.array([np.sin(turn), 0.25, np.cos(turn)])
    eye = middle + away / np.linalg.norm(away) * size * 0.56 / np.tan(np.radians(FOV) / 2)
    return View(eye, middle, UP, FOV), Floor(float(low[1]), size / 5, 1.5 * size)


def _tile(points: Points, mesh: Mesh, seen: tuple[View, Floor], error: Points | None) -> Image.Image:
    view, floor = seen
    shot = Shot(points, mesh.triangles().astype(np.int64), view, WIDTH, HEIGHT, floor, flat=False)
    return Image.fromarray(shot.painted(surface(shot, mesh, None) if error is None else heat(shot, error, TOP)))


def picture(task: Task, licence: str, degrees: float) -> Image.Image:
    """The task tracked, at its worst keyframe."""
    found = dict(track_keys(task.keyframes, device="cpu", step=lambda *_: None))
    errors = [100 * np.linalg.norm(found[i + 1].points - truth, axis=1) for i, truth in enumerate(task.truth)]
    worst = int(np.argmax([error.mean() for error in errors]))
    source, target = task.keyframes[0].mesh, task.keyframes[worst + 1].mesh
    meshes = [(source.points, source), (found[worst + 1].points, source), (target.points, target)]
    seen = _view(np.concatenate([points for points, _ in meshes]).astype(np.float64), degrees)
    error = errors[worst].astype(np.float64)
    sheet = Image.new("RGB", (3 * WIDTH, HEAD + HEIGHT + FOOT), PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(14)
    quality = found[worst + 1].quality
    titles = (
        f"{task.name}: source",
        f"tracked: true error {error.mean():.2f} % mean, confidence {quality.confidence:.2f}",
        f"target, {task.keyframes[worst + 1].time:g} frames on",
    )
    for k, (title, (points, mesh)) in enumerate(zip(titles, meshes, strict=True)):
        draw.text(((k + 0.5) * WIDTH, HEAD / 2), title, INK, font, "mm")
        sheet.paste(_tile(points.astype(np.float64), mesh, seen, error if k == 1 else None), (k * WIDTH, HEAD))
    _legend(sheet, draw)
    draw.text((1.5 * WIDTH, HEAD + HEIGHT + FOOT - 10), licence, FAINT, ImageFont.load_default(11), "mm")
    return sheet


def _legend(sheet: Image.Image, draw: ImageDraw.ImageDraw) -> None:
    x, y, width = int(1.15 * WIDTH), HEAD + HEIGHT + 6, int(0.7 * WIDTH)
    bar = np.broadcast_to(shade(np.linspace(0, 1, width))[None], (12, width, 3))
    sheet.paste(Image.fromarray(np.ascontiguousarray(bar)), (x, y))
    for part in (0.0, 0.5, 1.0):
        more = " and more" if part == 1 else ""
        draw.text((x + part * width, y + 16), f"{part * TOP:g} %{more}", INK, ImageFont.load_default(12), "ma")


def main() -> None:
    """All that are named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tasks", type=Path)
    parser.add_argument("names", nargs="+")
    parser.add_argument("--from", type=float, default=60.0, dest="degrees", help="where the camera stands, in degrees")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    PICTURES.mkdir(exist_ok=True)
    for name in asked.names:
        path = asked.tasks / f"{name}.npz"
        with np.load(path) as data:
            licence = f"{data['licence']}; {str(data['source']).split(':')[0]}"
        image = picture(Task.read(path), licence, asked.degrees)
        image.quantize(COLORS).save(PICTURES / f"{name}.png", optimize=True)
        print(PICTURES / f"{name}.png", flush=True)


if __name__ == "__main__":
    main()
