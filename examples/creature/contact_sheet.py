"""Draws a tracked USD file on one sheet, keyframes above what became of them:

python -m examples.creature.contact_sheet OUT.usd --keys KEYFRAME... [--truth truth.npz] -o sheet.png
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from examples.creature.looks import checker, heat, shade, surface
from examples.creature.measure import Given, Tracked, distance_to, read_keys, read_tracked, read_truth
from examples.creature.render import Floats, Floor, Shot, View
from lim_protocol.types import Mesh, fan

Truth = dict[float, NDArray[np.float32]]

WIDTH, HEIGHT = 340, 272
MARGIN, GAP, HEAD, TITLE, STRIP, FOOT = 28, 6, 132, 38, 30, 74
INSET = 158
FOV = 24.0
PAPER, INK, FAINT, MARK = (250, 250, 248), (38, 40, 44), (140, 144, 150), (206, 74, 38)


@dataclass(frozen=True)
class Columns:
    """What is shown from left to right: frames, and the keyframe at each or None."""

    times: tuple[float, ...]
    keys: tuple[Given | None, ...]


def contact_sheet(tracked: Tracked, keys: Sequence[Given], truth: Truth | None = None, name: str = "") -> Image.Image:
    """Four rows, a column for each keyframe and one between each two: the keyframes as given; the tracked mesh with
    its texture; the same with a checker in its texture coordinates; and its error, against the truth or, without
    one, against the keyframes' surfaces."""
    columns = _columns(tracked, keys)
    studio = _Studio(tracked)
    errors = [_error(tracked, time, key, truth) for time, key in zip(columns.times, columns.keys, strict=True)]
    top = _scale_top([each for each in errors if each is not None])
    rows: list[list[Image.Image]] = [_given(studio, columns), [], [], []]
    for time, error in zip(columns.times, errors, strict=True):
        shot = studio.shot(tracked.at(time), tracked.mesh.triangles(), time)
        rows[1].append(_tile(shot, surface(shot, tracked.mesh, tracked.texture)))
        rows[2].append(_tile(shot, checker(shot, tracked.mesh)))
        rows[3].append(_tile(shot, heat(shot, error, top)))
    summary = (
        f"{len(tracked.mesh.points):,} points, {len(tracked.mesh.face_counts):,} faces, the same over "
        f"{len(tracked.times)} frames from {len(keys)} keyframes of as many topologies"
    )
    return _laid_out(columns, rows, errors, top, truth is not None, name, summary)


class _Studio:
    """One camera and one floor for all tiles; the camera goes along with the mesh, the floor does not."""

    def __init__(self, tracked: Tracked) -> None:
        self.tracked = tracked
        self.up = np.eye(3)[tracked.up]
        spread = tracked.points.astype(np.float64)
        self.middles = self._middles(spread)
        self.size = float(np.max(np.linalg.norm(spread - self.middles[:, None], axis=2)))
        height = float(spread[..., tracked.up].min())
        step = 10.0 ** np.floor(np.log10(self.size))
        spacing = step * min((1, 2, 5), key=lambda k: abs(k * step - self.size / 4))
        self.floor = Floor(height, spacing, 2.6 * self.size)
        self.fov = FOV
        self.fov = self._fitting(spread)
        tip = spread[0][np.argmax(spread[0] @ self.view(tracked.times[0]).axes()[0])]
        self.detail = np.flatnonzero(np.linalg.norm(spread[0] - tip, axis=1) < 0.36 * self.size)

    def _middles(self, spread: Floats) -> Floats:
        """Where the camera looks in each frame: along with the mesh, but level."""
        middle = (spread.min(axis=1) + spread.max(axis=1)) / 2
        middle[:, self.tracked.up] = (spread[..., self.tracked.up].min() + spread[..., self.tracked.up].max()) / 2
        return np.asarray(middle)

    def _fitting(self, spread: Floats) -> float:
        """The opening at which every frame just fits its tile."""
        tile = np.array([WIDTH, HEIGHT])
        away = [
            np.abs(self.view(time).project(points, *tile) / (tile / 2) - 1).max()
            for time, points in zip(self.tracked.times, spread, strict=True)
        ]
        return float(2 * np.degrees(np.arctan(np.tan(np.radians(FOV) / 2) * max(away) * 1.08)))

    def view(self, time: float) -> View:
        """Three quarters from the front, a little from above."""
        target = np.array([np.interp(time, self.tracked.times, self.middles[:, k]) for k in range(3)])
        side = np.array([0.42, 0.0, 1.0]) if self.tracked.up == 1 else np.array([0.42, -1.0, 0.0])
        away = side / np.linalg.norm(side) + 0.22 * self.up
        return View(target + away * self.size * 5.0, target, self.up, self.fov)

    def shot(self, points: NDArray[np.float32], triangles: NDArray[np.int32], time: float) -> Shot:
        """The tracked mesh, smooth."""
        places = points.astype(np.float64)
        return Shot(places, triangles.astype(np.int64), self.view(time), WIDTH, HEIGHT, self.floor, flat=False)

    def key(self, key: Given) -> Image.Image:
        """A keyframe as it was given: flat faces with their edges."""
        return _tile(*self._faceted(key, self.view(key.keyframe.time), WIDTH, HEIGHT, 0.35))

    def closer(self, key: Given) -> Image.Image:
        """The part of a keyframe that is foremost in the first frame, large enough to see its faces."""
        whole = self.view(key.keyframe.time)
        target = self.tracked.at(key.keyframe.time)[self.detail].mean(axis=0).astype(np.float64)
        view = View(target + (whole.eye - whole.target), target, self.up, whole.fov * 0.33)
        return _tile(*self._faceted(key, view, INSET, INSET, 0.5))

    def _faceted(self, key: Given, view: View, width: int, height: int, thickness: float) -> tuple[Shot, Floats]:
        mesh = key.keyframe.mesh
        triangles = mesh.triangles().astype(np.int64)
        shot = Shot(mesh.points.astype(np.float64), triangles, view, width, height, self.floor, flat=True)
        line = 0.8 * shot.lines(_outer_edges(mesh), thickness)[:, None]
        return shot, surface(shot, mesh, key.texture) * (1 - line) + 0.02 * line


def _columns(tracked: Tracked, keys: Sequence[Given]) -> Columns:
    inside = [key for key in keys if tracked.times[0] <= key.keyframe.time <= tracked.times[-1]]
    times: list[float] = []
    at: list[Given | None] = []
    for key, following in zip(inside, [*inside[1:], None], strict=True):
        times.append(key.keyframe.time)
        at.append(key)
        if following is not None:
            middle = (key.keyframe.time + following.keyframe.time) / 2
            times.append(min(tracked.times, key=lambda t: (abs(t - middle), t)))
            at.append(None)
    return Columns(tuple(times), tuple(at))


def _given(studio: _Studio, columns: Columns) -> list[Image.Image]:
    """The first row. Between the keyframes, where nothing was given, stand closer looks at those beside."""
    tiles = [Image.new("RGB", (WIDTH, HEIGHT), PAPER) if key is None else studio.key(key) for key in columns.keys]
    for number, key in enumerate(key for key in columns.keys if key is not None):
        column = 2 * number
        before = column + 1 >= len(tiles) or number % 2 == 1
        _set_round(tiles[column - 1 if before else column + 1], studio.closer(key), at=0.745 if before else 0.255)
    return tiles


def _set_round(tile: Image.Image, picture: Image.Image, at: float) -> None:
    fine = 4 * INSET
    mask = Image.new("L", (fine, fine), 0)
    ImageDraw.Draw(mask).ellipse((4, 4, fine - 4, fine - 4), fill=255)
    corner = round(at * WIDTH - INSET / 2), (HEIGHT - INSET) // 2
    for image, grow in ((Image.new("RGB", (INSET + 4, INSET + 4), FAINT), 2), (picture, 0)):
        round_ = mask.resize(image.size, Image.Resampling.LANCZOS)
        tile.paste(image, (corner[0] - grow, corner[1] - grow), round_)


def _outer_edges(mesh: Mesh) -> NDArray[np.bool_]:
    """Which side of each triangle of a fan, across from its corners in turn, is a side of its polygon."""
    corner = fan(mesh.face_counts, np.arange(len(mesh.face_indices), dtype=np.int32))
    last = np.repeat(np.cumsum(mesh.face_counts) - 1, mesh.face_counts - 2)
    return np.stack(
        [np.ones(len(corner), bool), corner[:, 2] == last, corner[:, 1] == corner[:, 0] + 1],
        axis=1,
    )


def _error(tracked: Tracked, time: float, key: Given | None, truth: Truth | None) -> Floats | None:
    """Percent of the diagonal at each point; None where there is nothing to compare with."""
    if truth is not None:
        known = truth.get(time)
        distance = None if known is None else np.linalg.norm(tracked.at(time) - known, axis=1)
    else:
        distance = None if key is None else distance_to(key.keyframe.mesh, tracked.at(time))
    return None if distance is None else np.asarray(100 * distance / tracked.diagonal, np.float64)


def _scale_top(errors: Sequence[Floats]) -> float:
    """A round figure that few points pass, a tenth at least: the top of the error scale, in percent."""
    high = max((float(np.percentile(each, 99)) for each in errors), default=1.0)
    steps = [m * 10.0**e for e in range(-1, 3) for m in (1, 2, 5)]
    return next((step for step in steps if step >= high), 100.0)


def _tile(shot: Shot, color: Floats) -> Image.Image:
    return Image.fromarray(shot.painted(color))


def _font(size: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _laid_out(
    columns: Columns,
    rows: list[list[Image.Image]],
    errors: list[Floats | None],
    top: float,
    true: bool,
    name: str,
    summary: str,
) -> Image.Image:
    wide = 2 * MARGIN + len(columns.times) * (WIDTH + GAP) - GAP
    high = HEAD + len(rows) * (TITLE + HEIGHT) + 2 * (STRIP + GAP) + FOOT
    sheet = Image.new("RGB", (wide, high), PAPER)
    draw = ImageDraw.Draw(sheet)
    left = [MARGIN + k * (WIDTH + GAP) for k in range(len(columns.times))]
    draw.text((MARGIN, 18), name or "Tracked mesh", INK, _font(32))
    draw.text((MARGIN, 60), summary, FAINT, _font(19))
    for x, time, key in zip(left, columns.times, columns.keys, strict=True):
        label = f"{time:g}" + ("  keyframe" if key else "  in between")
        draw.text((x + WIDTH / 2, HEAD - 16), label, MARK if key else FAINT, _font(21), "ms")
    titles = (
        "Keyframes as given: each its own topology",
        "Tracked: one mesh, one set of texture coordinates",
        "A checker in those coordinates stays put",
        f"{'True error' if true else 'Distance to the keyframe'}, percent of the diagonal",
    )
    y = HEAD
    captions: tuple[list[str], ...] = (_key_captions(columns), [], [], [_figures(error) for error in errors])
    for title, tiles, below in zip(titles, rows, captions, strict=True):
        draw.line((MARGIN, y + 2, wide - MARGIN, y + 2), (222, 222, 218), 1)
        draw.text((MARGIN, y + TITLE / 2 + 3), title, INK, _font(20), "lm")
        for x, tile in zip(left, tiles, strict=True):
            sheet.paste(tile, (x, y + TITLE))
        y += TITLE + HEIGHT
        for x, text in zip(left, below, strict=False):
            draw.text((x + WIDTH / 2, y + STRIP / 2), text, INK, _font(17), "mm")
        y += STRIP if below else GAP
    _legend(sheet, draw, y + 14, wide, top)
    return sheet


def _key_captions(columns: Columns) -> list[str]:
    given = [None if key is None else key.keyframe for key in columns.keys]
    return ["" if key is None else f"{key.name}   {len(key.mesh.face_counts):,} faces" for key in given]


def _figures(error: Floats | None) -> str:
    if error is None:
        return "nothing to compare with"
    return f"mean {error.mean():.2f}   95 % {np.percentile(error, 95):.2f}   max {error.max():.2f}"


def _legend(sheet: Image.Image, draw: ImageDraw.ImageDraw, y: int, wide: int, top: float) -> None:
    width, height = min(520, wide - 2 * MARGIN), 16
    x = (wide - width) // 2
    bar = np.broadcast_to(shade(np.linspace(0, 1, width))[None], (height, width, 3))
    sheet.paste(Image.fromarray(np.ascontiguousarray(bar)), (x, y))
    for part in (0.0, 0.25, 0.5, 0.75, 1.0):
        more = " and more" if part == 1.0 else ""
        draw.text((x + part * width, y + height + 6), f"{part * top:g} %{more}", INK, _font(16), "ma")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Draw a tracked USD file and its keyframes on one sheet.")
    parser.add_argument("usd", type=Path)
    parser.add_argument("--keys", nargs="+", required=True, help="keyframes, as for lim track")
    parser.add_argument("--truth", type=Path, help="npz with frames [frames] and points [frames, points, 3]")
    parser.add_argument("-o", "--out", type=Path, default=Path("sheet.png"))
    options = parser.parse_args()
    truth = read_truth(options.truth) if options.truth else None
    sheet = contact_sheet(read_tracked(options.usd), read_keys(options.keys), truth, options.usd.name)
    sheet.save(options.out)
    print(options.out)


if __name__ == "__main__":
    main()
