"""Packs flat charts into the unit square with xatlas."""

import numpy as np
import xatlas
from jaxtyping import Float, Int

from lim_server.geometry.flatten import signed_areas

# Share of the square that charts are first tried at; what does not fit is shrunk and packed again.
FILL = 0.7
# Charts too many for the padding are packed at so many times the size, without one.
CROWDED = 8.0
# xatlas leaves charts without area where they are: those under this many square pixels go in as a point.
SPECK = 0.25


def pack(
    plane: Float[np.ndarray, "vertices 2"],
    triangles: Int[np.ndarray, "triangles 3"],
    chart: Int[np.ndarray, "vertices"],
    size: int,
    padding: int,
) -> Float[np.ndarray, "vertices 2"]:
    """Places in [0, 1] with one scale for all charts and at least `padding` pixels of a `size` image between two.

    With more charts than the image has room for, the padding is halved until they fit, down to none.
    """
    # xatlas works in single precision.
    plane = plane - lower_corners(plane, chart)[chart]
    scale = float(size * np.sqrt(FILL / np.abs(signed_areas(plane[triangles])).sum()))
    while padding:
        if (found := _fitted(plane, triangles, chart, size, scale, padding)) is not None:
            return found
        padding //= 2
    placed, width = _placed(plane * scale * CROWDED, triangles, chart, 0)
    return placed / width


def _fitted(
    plane: Float[np.ndarray, "vertices 2"],
    triangles: Int[np.ndarray, "triangles 3"],
    chart: Int[np.ndarray, "vertices"],
    size: int,
    scale: float,
    padding: int,
) -> Float[np.ndarray, "vertices 2"] | None:
    """The charts in the middle of the square, not much smaller than at `scale`; None where they do not fit."""
    room, least = size - padding, scale / 2
    while scale > least:
        placed, width = _placed(plane * scale, triangles, chart, padding)
        if width <= room:
            return np.asarray((placed + 0.5 * (size - width)) / size)
        scale *= 0.98 * room / width
    return None


def shelved(
    pixels: Float[np.ndarray, "vertices 2"], chart: Int[np.ndarray, "vertices"], width: int
) -> tuple[Float[np.ndarray, "vertices 2"], int, int]:
    """Charts side by side in rows, apart but not close; and the width and height that take them all."""
    low = lower_corners(pixels, chart)
    extent = np.ceil(-lower_corners(-pixels, chart) - low).astype(np.int64) + 2
    width = max(width, int(extent[:, 0].max()))
    origin = np.zeros_like(extent)
    x = y = row = 0
    for k in np.argsort(-extent[:, 1], kind="stable"):
        if x + extent[k, 0] > width:
            x, y, row = 0, y + row, 0
        origin[k] = x, y
        x, row = x + extent[k, 0], max(row, extent[k, 1])
    return pixels - low[chart] + origin[chart], width, int(y + row)


def lower_corners(
    plane: Float[np.ndarray, "vertices 2"], chart: Int[np.ndarray, "vertices"]
) -> Float[np.ndarray, "charts 2"]:
    """The least coordinates in each chart."""
    corner = np.full((int(chart.max()) + 1, 2), np.inf)
    np.minimum.at(corner, chart, plane)
    return corner


def _placed(
    pixels: Float[np.ndarray, "vertices 2"],
    triangles: Int[np.ndarray, "triangles 3"],
    chart: Int[np.ndarray, "vertices"],
    padding: int,
) -> tuple[Float[np.ndarray, "vertices 2"], float]:
    triangle_chart = chart[triangles[:, 0]]
    speck = np.bincount(triangle_chart, np.abs(signed_areas(pixels[triangles])), chart.max() + 1) < SPECK
    stand_in = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    specks = np.flatnonzero(speck)
    kept = triangles[~speck[triangle_chart]]
    extra = len(pixels) + np.arange(3 * len(specks)).reshape(-1, 3)
    charts = np.concatenate([triangle_chart[~speck[triangle_chart]], specks])

    atlas = xatlas.Atlas()
    atlas.add_uv_mesh(
        np.concatenate([pixels, np.tile(stand_in, (len(specks), 1))]).astype(np.float32),
        np.concatenate([kept, extra]).astype(np.uint32),
        charts.astype(np.uint32)[:, None],
    )
    options = xatlas.PackOptions()
    options.padding, options.texels_per_unit = padding, 1.0
    # Its quarter turns swap the axes, which mirrors.
    options.rotate_charts = False
    atlas.generate(xatlas.ChartOptions(), options)
    origin, _, st = atlas[0]
    placed = np.zeros((len(pixels) + extra.size, 2))
    placed[origin] = st * [atlas.width, atlas.height]
    middle = np.zeros((len(speck), 2))
    middle[specks] = placed[extra].mean(axis=1)
    found = np.where(speck[chart][:, None], middle[chart], placed[: len(pixels)])
    return found, float(max(atlas.width, atlas.height))
