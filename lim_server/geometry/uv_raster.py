"""Which texel lies in which triangle, and images painted that way.

Image rows run from the top, texture coordinates from the lower left.
"""

from collections.abc import Callable, Iterator

import numpy as np
from jaxtyping import Float, Int, UInt8
from scipy.ndimage import distance_transform_edt

# Texels worked on at a time: bounds the memory whatever the size of the image.
BATCH = 1 << 21
# Texels around a chart, which bilinear lookups at its border reach: they carry its colours on.
OVERRUN = 2.5
# How far beyond a triangle its colours are carried on: a corner's weight there is no less than minus this.
BEYOND = 1.0

# Colours 0 to 255 for (triangle, weights of its corners).
Sample = Callable[[Int[np.ndarray, "n"], Float[np.ndarray, "n 3"]], Float[np.ndarray, "n 3"]]


def in_pixels(st: Float[np.ndarray, "triangles 3 2"], size: int) -> Float[np.ndarray, "triangles 3 2"]:
    """Texture coordinates as columns and rows of a square image, pixel centres at whole numbers."""
    return np.stack([st[..., 0] * size, (1.0 - st[..., 1]) * size], axis=-1).astype(np.float64) - 0.5


def rasterise(
    corners: Float[np.ndarray, "triangles 3 2"], width: int, height: int
) -> Iterator[tuple[Int[np.ndarray, "n"], Int[np.ndarray, "n"]]]:
    """Yields (pixel, triangle) for each pixel whose centre a triangle covers; pixel = row * width + column.

    Corners are (column, row), pixel centres at whole numbers. A centre on an edge belongs to both triangles
    there. What lies outside the image is cut off.
    """
    low = np.clip(np.ceil(corners[..., 1].min(axis=1)), 0, height).astype(np.int64)
    high = np.clip(np.floor(corners[..., 1].max(axis=1)), -1, height - 1).astype(np.int64)
    rows = np.maximum(high - low + 1, 0)
    wide = np.ptp(corners[..., 0], axis=1)
    effort = np.cumsum(rows * (np.minimum(wide, width) / 2 + 2))
    cuts = np.searchsorted(effort, np.arange(BATCH, effort.max(initial=0), BATCH))
    for some in np.split(np.arange(len(corners)), cuts):
        triangle, row = some[_repeated(rows[some])], low[some][_repeated(rows[some])] + _counted(rows[some])
        left, right = _span(corners[triangle], row)
        first = np.clip(np.ceil(left), 0, width).astype(np.int64)
        count = np.maximum(np.clip(np.floor(right), -1, width - 1).astype(np.int64) - first + 1, 0)
        each = _repeated(count)
        yield row[each] * width + first[each] + _counted(count), triangle[each]


def barycentric(
    pixel: Int[np.ndarray, "n"], corners: Float[np.ndarray, "n 3 2"], width: int
) -> Float[np.ndarray, "n 3"]:
    """Weights of a triangle's corners (columns and rows) at the centre of each pixel; thirds without area."""
    centre = np.stack([pixel % width, pixel // width], axis=1)
    a, b, p = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0], centre - corners[:, 0]
    area = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
    flat = np.abs(area) < np.finfo(np.float64).tiny
    area = np.where(flat, 1.0, area)
    second = (p[:, 0] * b[:, 1] - p[:, 1] * b[:, 0]) / area
    third = (a[:, 0] * p[:, 1] - a[:, 1] * p[:, 0]) / area
    weights = np.stack([1.0 - second - third, second, third], axis=1)
    return np.where(flat[:, None], 1 / 3, weights)


def paint(st: Float[np.ndarray, "triangles 3 2"], sample: Sample, size: int) -> UInt8[np.ndarray, "size size 3"]:
    """An image of what `sample` says inside the triangles, first row at the top.

    Texels outside take the nearest triangle's colour, so that lookups at seams, in smaller mip levels too, are
    clean. Triangles between the centres of texels still colour those that they run through.
    """
    image = np.zeros((size * size, 3), np.uint8)
    owner = np.full(size * size, -1, np.int32)

    def put(texel: Int[np.ndarray, "n"], triangle: Int[np.ndarray, "n"], weights: Float[np.ndarray, "n 3"]) -> None:
        image[texel] = np.rint(np.clip(sample(triangle, weights), 0, 255)).astype(np.uint8)
        owner[texel] = triangle

    corners = in_pixels(st, size)
    for texel, triangle in rasterise(corners, size, size):
        put(texel, triangle, barycentric(texel, corners[triangle], size))
    texel, triangle, weights = _slivers(corners, size)
    free = owner[texel] < 0
    put(texel[free], triangle[free], weights[free])

    if (owner < 0).all():
        return image.reshape(size, size, 3)
    distance, (row, column) = distance_transform_edt((owner < 0).reshape(size, size), return_indices=True)
    nearest = (row * size + column).ravel()
    near = np.flatnonzero((distance.ravel() > 0) & (distance.ravel() <= OVERRUN))
    for some in np.array_split(near, len(near) // BATCH + 1):
        triangle = owner[nearest[some]]
        weights = barycentric(some, corners[triangle], size)
        stretch = (1 / 3 + BEYOND) / np.maximum(1 / 3 - weights.min(axis=1, keepdims=True), 1 / 3 + BEYOND)
        put(some, triangle, 1 / 3 + stretch * (weights - 1 / 3))
    far = distance.ravel() > OVERRUN
    image[far] = image[nearest[far]]
    return image.reshape(size, size, 3)


def _slivers(
    corners: Float[np.ndarray, "triangles 3 2"], size: int
) -> tuple[Int[np.ndarray, "n"], Int[np.ndarray, "n"], Float[np.ndarray, "n 3"]]:
    """Texels along the longest edge of each triangle under a texel wide, and the corners' weights there."""
    edges = np.linalg.norm(corners[:, [1, 2, 0]] - corners, axis=2)
    a, b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    twice_area = np.abs(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0])
    thin = np.flatnonzero(twice_area <= 2 * edges.max(axis=1))
    begin = edges[thin].argmax(axis=1)
    count = np.minimum(np.ceil(edges[thin].max(axis=1)), size).astype(np.int64) + 1
    each, along = _repeated(count), (_counted(count) + 0.5) / np.repeat(count, count)
    weights = np.zeros((len(each), 3))
    weights[np.arange(len(each)), begin[each]] = 1 - along
    weights[np.arange(len(each)), (begin[each] + 1) % 3] = along
    at = np.einsum("nk,nkc->nc", weights, corners[thin[each]])
    column, row = np.clip(np.rint(at), 0, size - 1).astype(np.int64).T
    return row * size + column, thin[each], weights


def _repeated(count: Int[np.ndarray, "n"]) -> Int[np.ndarray, "m"]:
    return np.repeat(np.arange(len(count)), count)


def _counted(count: Int[np.ndarray, "n"]) -> Int[np.ndarray, "m"]:
    """0, 1, ... count - 1 for each count in turn."""
    return np.asarray(np.arange(int(count.sum())) - np.repeat(np.cumsum(count) - count, count))


def _span(
    corners: Float[np.ndarray, "n 3 2"], row: Int[np.ndarray, "n"]
) -> tuple[Float[np.ndarray, "n"], Float[np.ndarray, "n"]]:
    """Where each row enters and leaves its triangle."""
    x, y = corners[..., 0], corners[..., 1] - row[:, None]
    x2, y2 = np.roll(x, -1, axis=1), np.roll(y, -1, axis=1)
    crosses = (np.minimum(y, y2) <= 0) & (np.maximum(y, y2) >= 0)
    level = y == y2
    at = x - y * (x2 - x) / np.where(level, 1.0, y2 - y)
    left = np.where(crosses, np.where(level, np.minimum(x, x2), at), np.inf).min(axis=1)
    right = np.where(crosses, np.where(level, np.maximum(x, x2), at), -np.inf).max(axis=1)
    return left, right
