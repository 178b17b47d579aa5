"""Texture coordinates for any polygon mesh: cut into charts, laid flat, packed, and checked."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float, Int

from lim_server.geometry.charts import chart_normals, cut, face_graph, singled, split
from lim_server.geometry.flatten import flatten, signed_areas
from lim_server.geometry.pack import pack, shelved
from lim_server.geometry.polygons import corner_triangles, face_of_corner, next_corner, vector_areas
from lim_server.geometry.uv_raster import barycentric, rasterise

# Charts that fold over or overlap are halved so often; after that their faces are taken out one by one.
SPLITS = 6
# A face this much smaller than the square of its way round has no direction to lay it flat by.
FLAT = 1e-8
# Overlap is looked for with all charts drawn at about this many pixels, and well inside the triangles.
PIXELS = 1 << 21
INSIDE = 1e-5
STRETCH = 1.5


def unwrap(
    points: Float[np.ndarray, "points 3"],
    face_counts: Int[np.ndarray, "faces"],
    face_indices: Int[np.ndarray, "corners"],
    size: int,
    step: Callable[[], None] = lambda: None,
) -> tuple[Float[np.ndarray, "uvs 2"], Int[np.ndarray, "corners"]]:
    """Texture coordinates in [0, 1] without overlap, origin at the lower left, and the one of each corner.

    Every polygon stays whole and keeps its lengths up to one scale for the whole mesh, with room between charts
    for an image of `size`. All corners of a face without area share one coordinate. `step` is called now and
    then, and may raise to end the work.
    """
    corner_points = points[face_indices].astype(np.float64)
    solid = _solid(corner_points, face_counts)
    corners = np.flatnonzero(solid[face_of_corner(face_counts)])
    st_indices = np.zeros(len(face_indices), np.int64)
    st = np.zeros((min(len(face_indices), 1), 2))
    if len(corners):
        st, st_indices[corners] = _unwrap_solid(corner_points[corners], face_counts[solid], size, step)
        _collapse(face_counts, face_indices, solid, st_indices)
    return np.clip(st, 0.0, 1.0).astype(np.float32), st_indices.astype(np.int32)


def _solid(
    corner_points: Float[np.ndarray, "corners 3"], face_counts: Int[np.ndarray, "faces"]
) -> Bool[np.ndarray, "faces"]:
    area = np.linalg.norm(vector_areas(corner_points, face_counts), axis=1)
    sides = np.linalg.norm(corner_points[next_corner(face_counts)] - corner_points, axis=1)
    around = np.bincount(face_of_corner(face_counts), sides, len(face_counts))
    return np.asarray(area > FLAT * np.square(around))


def _unwrap_solid(
    corner_points: Float[np.ndarray, "corners 3"],
    face_counts: Int[np.ndarray, "faces"],
    size: int,
    step: Callable[[], None],
) -> tuple[Float[np.ndarray, "uvs 2"], Int[np.ndarray, "corners"]]:
    corner = np.arange(len(corner_points), dtype=np.int32)
    corner_points = corner_points * np.sqrt(
        PIXELS / np.linalg.norm(vector_areas(corner_points, face_counts), axis=1).sum()
    )
    graph = face_graph(corner_points, face_counts, corner)
    triangles = corner_triangles(corner_points, face_counts, corner)
    place = np.unique(corner_points, axis=0, return_inverse=True)[1].reshape(-1)
    label, laid, open_ = cut(graph, step), np.zeros((len(corner), 2)), np.ones(len(graph), bool)
    for attempt in range(2 * SPLITS):
        step()
        normals = chart_normals(graph, label)
        bad = np.zeros(len(graph), bool)
        some = np.flatnonzero(np.repeat(open_, face_counts))
        inner = _within(triangles, open_, face_counts)
        laid[some], bad[open_] = _lay_flat(
            corner_points[some], face_counts[open_], place[some], inner, label[open_], normals, attempt < SPLITS
        )
        if not bad.any():
            break
        again = np.bincount(label, bad) > 0
        open_ = again[label]
        label = split(graph, label, again) if attempt < SPLITS else singled(label, bad, graph)
    step()
    one_corner, st_indices = _unify(np.repeat(label, face_counts), place)
    chart = np.repeat(label, face_counts)[one_corner]
    return pack(laid[one_corner], st_indices[triangles], chart, size, max(2, size // 256)), st_indices


def _within(
    triangles: Int[np.ndarray, "triangles 3"], faces: Bool[np.ndarray, "faces"], face_counts: Int[np.ndarray, "faces"]
) -> Int[np.ndarray, "kept 3"]:
    """The triangles of some faces, their corners counted among those faces' corners alone."""
    number = np.cumsum(np.repeat(faces, face_counts)) - 1
    return np.asarray(number[triangles[np.repeat(faces, face_counts - 2)]])


def _unify(
    chart: Int[np.ndarray, "corners"], place: Int[np.ndarray, "corners"]
) -> tuple[Int[np.ndarray, "uvs"], Int[np.ndarray, "corners"]]:
    """Corners of one chart in one place become one: the first corner of each, and the one of each corner."""
    key = chart * (int(place.max()) + 1) + place
    _, first, index = np.unique(key, return_index=True, return_inverse=True)
    return first, index.reshape(-1)


def _lay_flat(
    corner_points: Float[np.ndarray, "corners 3"],
    face_counts: Int[np.ndarray, "faces"],
    place: Int[np.ndarray, "corners"],
    triangles: Int[np.ndarray, "triangles 3"],
    label: Int[np.ndarray, "faces"],
    normals: Float[np.ndarray, "charts 3"],
    whole: bool,
) -> tuple[Float[np.ndarray, "corners 2"], Bool[np.ndarray, "faces"]]:
    """Each corner's place in the plane, and the faces that must not stay in their charts.

    Charts that are still whole must not be stretched much either.
    """
    charts, label = np.unique(label, return_inverse=True)
    corner_chart = np.repeat(label.reshape(-1), face_counts)
    one_corner, index = _unify(corner_chart, place)
    chart = corner_chart[one_corner]
    plane = flatten(corner_points[one_corner], index[triangles], chart, normals[charts])
    bad = _misplaced(plane, index[triangles], chart)
    if whole:
        bad |= _stretched(plane, corner_points[triangles], index[triangles], chart)
    face = np.repeat(np.arange(len(face_counts)), face_counts - 2)
    return plane[index], np.bincount(face[bad], minlength=len(face_counts)) > 0


def _misplaced(
    plane: Float[np.ndarray, "vertices 2"],
    triangles: Int[np.ndarray, "triangles 3"],
    chart: Int[np.ndarray, "vertices"],
) -> Bool[np.ndarray, "triangles"]:
    """Triangles that lie turned over, or on top of others of their chart."""
    pixels, width, height = shelved(plane, chart, int(np.sqrt(PIXELS)))
    return np.asarray((signed_areas(plane[triangles]) < 0) | _overlapping(pixels[triangles], width, height))


def _stretched(
    plane: Float[np.ndarray, "vertices 2"],
    corners: Float[np.ndarray, "triangles 3 3"],
    triangles: Int[np.ndarray, "triangles 3"],
    chart: Int[np.ndarray, "vertices"],
) -> Bool[np.ndarray, "triangles"]:
    """Triangles out of scale, in charts of which more than a tenth is so: around a corner too sharp to lie flat."""
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1) / 2
    flat = signed_areas(plane[triangles])
    off = (flat > STRETCH * area) | (flat * STRETCH < area)
    of_chart, charts = chart[triangles[:, 0]], int(chart.max()) + 1
    much = np.bincount(of_chart, area * off, charts) > 0.1 * np.bincount(of_chart, area, charts)
    return np.asarray(off & much[of_chart])


def _overlapping(corners: Float[np.ndarray, "triangles 3 2"], width: int, height: int) -> Bool[np.ndarray, "triangles"]:
    """Triangles that hold a pixel's centre which another holds too, well inside both."""
    owner = np.full(width * height, -1, np.int32)
    bad = np.zeros(len(corners), bool)
    for pixel, triangle in rasterise(corners, width, height):
        inside = (barycentric(pixel, corners[triangle], width) > INSIDE).all(axis=1)
        pixel, triangle = pixel[inside], triangle[inside]
        # Twice: within one batch, only the second round meets what the first has left.
        for _ in range(2):
            before = owner[pixel]
            clash = (before >= 0) & (before != triangle)
            bad[triangle[clash]] = True
            bad[before[clash]] = True
            owner[pixel] = triangle
    return bad


def _collapse(
    face_counts: Int[np.ndarray, "faces"],
    face_indices: Int[np.ndarray, "corners"],
    solid: Bool[np.ndarray, "faces"],
    st_indices: Int[np.ndarray, "corners"],
) -> None:
    """Gives all corners of each face without area one coordinate, one that a neighbour has where there is any."""
    face = face_of_corner(face_counts)
    placed = solid[face]
    of_point = np.zeros(int(face_indices.max()) + 1, np.int64)
    of_point[face_indices[placed]] = st_indices[placed]
    of_face = np.zeros(len(face_counts), np.int64)
    np.maximum.at(of_face, face[~placed], of_point[face_indices[~placed]])
    st_indices[~placed] = of_face[face[~placed]]
