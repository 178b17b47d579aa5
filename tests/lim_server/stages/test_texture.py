"""Unwrapping and baking, checked by drawing: an own rasteriser and own bilinear and mip lookups."""

import subprocess
import sys
from pathlib import Path

import igl
import numpy as np
import pytest
import trimesh
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from lim_protocol.types import Mesh, Surface, TrackOptions
from lim_server.stages.texture import bake, surface_of, transfer, unwrap

SIZE = 512


def mesh_of(points, faces, colors=None) -> Mesh:
    counts = np.array([len(f) for f in faces], np.int32)
    indices = np.array([k for f in faces for k in f], np.int32)
    return Mesh(np.asarray(points, np.float32), counts, indices, colors=colors)


def torus(rows=24, columns=40) -> Mesh:
    """All quads, with a handle: no single chart can hold it."""
    u, v = np.meshgrid(np.arange(columns) / columns, np.arange(rows) / rows, indexing="ij")
    u, v = 2 * np.pi * u.ravel(), 2 * np.pi * v.ravel()
    points = np.stack([(3 + np.cos(v)) * np.cos(u), (3 + np.cos(v)) * np.sin(u), np.sin(v)], axis=1)
    at = lambda i, j: (i % columns) * rows + j % rows  # noqa: E731
    faces = [[at(i, j), at(i + 1, j), at(i + 1, j + 1), at(i, j + 1)] for i in range(columns) for j in range(rows)]
    return mesh_of(points, faces)


def concave_prism() -> Mesh:
    """A star with ten corners, extruded: two concave caps, and walls on which no fan would do."""
    turn = np.arange(10) * np.pi / 5
    ring = np.stack([np.cos(turn), np.sin(turn)], axis=1) * np.where(np.arange(10) % 2, 0.35, 1.0)[:, None]
    points = np.concatenate([np.c_[ring, np.zeros(10)], np.c_[ring, np.ones(10)]])
    walls = [[k, (k + 1) % 10, 10 + (k + 1) % 10, 10 + k] for k in range(10)]
    return mesh_of(points, [list(range(9, -1, -1)), list(range(10, 20)), *walls])


def creased(noise=0.006) -> Mesh:
    """Rough as a scan: a sphere of 5120 triangles with every point moved."""
    ball = trimesh.creation.icosphere(4)
    rng = np.random.default_rng(3)
    return mesh_of(ball.vertices * [1, 0.6, 0.4] + rng.normal(0, noise, ball.vertices.shape), ball.faces.tolist())


def marching_cubes() -> Mesh:
    """Slivers, as an isosurface has them."""
    line = np.linspace(-1.3, 1.3, 34)
    z, y, x = np.meshgrid(line, line, line, indexing="ij")
    grid = np.stack([x.ravel(), y.ravel(), z.ravel()], axis=1)
    field = np.minimum(
        np.linalg.norm(grid - [0.4, 0, 0], axis=1) - 0.6, np.linalg.norm(grid - [-0.5, -0.2, 0], axis=1) - 0.5
    )
    points, faces, _ = igl.marching_cubes(-field, grid, 34, 34, 34, 0.0)
    return mesh_of(points, faces.tolist())


def unwelded() -> Mesh:
    ball = trimesh.creation.icosphere(2)
    return mesh_of(ball.triangles.reshape(-1, 3), np.arange(len(ball.faces) * 3).reshape(-1, 3).tolist())


def doubled() -> Mesh:
    """Every face twice, the copy turned over."""
    ball = trimesh.creation.icosphere(2)
    return mesh_of(ball.vertices, [*ball.faces.tolist(), *ball.faces[:, ::-1].tolist()])


def spiral() -> Mesh:
    """A ramp of two and a half turns: faces one way all along, and lies over itself from above."""
    turn = np.linspace(0, 5 * np.pi, 120)
    rim = [np.stack([r * np.cos(turn), r * np.sin(turn), 0.05 * turn], axis=1) for r in (0.5, 1.0)]
    n = len(turn)
    return mesh_of(np.concatenate(rim), [[k, n + k, n + k + 1, k + 1] for k in range(n - 1)])


SHAPES = [torus, concave_prism, creased, marching_cubes, unwelded, doubled, spiral]


def corner_uv(mesh: Mesh, st, st_indices) -> NDArray[np.float64]:
    return st.astype(np.float64)[st_indices]


def charts(mesh: Mesh, st, st_indices) -> NDArray[np.int64]:
    """The chart of each face: faces that share a texture coordinate."""
    face = np.repeat(np.arange(len(mesh.face_counts)), mesh.face_counts)
    joined = coo_matrix((np.ones(len(face)), (face, st_indices)), (len(mesh.face_counts), len(st))).tocsr()
    return connected_components(joined @ joined.T, directed=False)[1]


def polygons_drawn(mesh: Mesh, st, st_indices, size) -> NDArray[np.int64]:
    """How many faces hold each texel's centre, by counting crossings: no triangles involved."""
    hits = np.zeros((size, size), np.int64)
    ends = np.cumsum(mesh.face_counts)
    for begin, end in zip(ends - mesh.face_counts, ends, strict=True):
        ring = st[st_indices[begin:end]].astype(np.float64) * size - 0.5
        low = np.clip(np.ceil(ring.min(axis=0)), 0, size - 1).astype(int)
        high = np.clip(np.floor(ring.max(axis=0)), -1, size - 1).astype(int) + 1
        # Off the grid by a trifle: a centre on an edge counts for one side only.
        y, x = np.mgrid[low[1] : high[1], low[0] : high[0]] + np.array([3.1e-4, 1.7e-4])[:, None, None]
        odd = np.zeros(x.shape, bool)
        for a, b in zip(ring, np.roll(ring, -1, axis=0), strict=True):
            if a[1] != b[1]:
                crosses = (a[1] <= y) != (b[1] <= y)
                odd ^= crosses & (x < a[0] + (y - a[1]) / (b[1] - a[1]) * (b[0] - a[0]))
        hits[low[1] : high[1], low[0] : high[0]] += odd
    return hits


def signed_polygon_areas(mesh: Mesh, st, st_indices) -> NDArray[np.float64]:
    uv = corner_uv(mesh, st, st_indices)
    ends = np.cumsum(mesh.face_counts)
    return np.array(
        [
            0.5 * np.sum(r[:, 0] * np.roll(r[:, 1], -1) - np.roll(r[:, 0], -1) * r[:, 1])
            for r in (uv[e - c : e] for c, e in zip(mesh.face_counts, ends, strict=True))
        ]
    )


def surface_areas(mesh: Mesh) -> NDArray[np.float64]:
    ends = np.cumsum(mesh.face_counts)
    rings = [mesh.points[mesh.face_indices[e - c : e]] for c, e in zip(mesh.face_counts, ends, strict=True)]
    return np.array([np.linalg.norm(np.cross(r - r[0], np.roll(r, -1, axis=0) - r[0]).sum(axis=0)) / 2 for r in rings])


def looked_up(image, st) -> NDArray[np.float64]:
    """Bilinear, as a renderer does it: texel centres at halves, the first row on top."""
    height, width = image.shape[:2]
    x, y = st[:, 0].astype(np.float64) * width - 0.5, (1 - st[:, 1].astype(np.float64)) * height - 0.5
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    fx, fy = (x - left)[:, None], (y - top)[:, None]
    texel = lambda r, c: image[np.clip(r, 0, height - 1), np.clip(c, 0, width - 1)].astype(np.float64)  # noqa: E731
    upper = texel(top, left) * (1 - fx) + texel(top, left + 1) * fx
    lower = texel(top + 1, left) * (1 - fx) + texel(top + 1, left + 1) * fx
    return upper * (1 - fy) + lower * fy


def smooth_colors(points) -> NDArray[np.uint8]:
    unit = (points - points.min(axis=0)) / np.ptp(points, axis=0)
    return np.rint(255 * unit).astype(np.uint8)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda s: s.__name__)
def test_charts_cover_the_square_without_overlap(shape):
    mesh = shape()
    st, st_indices = unwrap(mesh, SIZE)
    assert st.dtype == np.float32 and st_indices.dtype == np.int32
    assert st_indices.shape == mesh.face_indices.shape
    assert np.isfinite(st).all() and st.min() >= 0 and st.max() <= 1
    assert polygons_drawn(mesh, st, st_indices, 2 * SIZE).max() == 1
    # As on the surface: every face counter-clockwise, and no bigger or smaller than its neighbours.
    scale = signed_polygon_areas(mesh, st, st_indices) / surface_areas(mesh)
    assert (scale > 0).all()
    assert np.percentile(scale, 95) / np.percentile(scale, 5) < 1.5
    assert scale.mean() * surface_areas(mesh).sum() > 0.25


@pytest.mark.parametrize("shape", [torus, creased, marching_cubes], ids=lambda s: s.__name__)
def test_charts_are_few_and_apart(shape):
    mesh = shape()
    st, st_indices = unwrap(mesh, SIZE)
    chart = charts(mesh, st, st_indices)
    assert chart.max() + 1 < 60
    uv, corner_chart = corner_uv(mesh, st, st_indices) * SIZE, np.repeat(chart, mesh.face_counts)
    drawn = np.full((SIZE, SIZE), -1)
    for k in range(chart.max() + 1):
        cell = np.unique(np.floor(uv[corner_chart == k]).astype(int), axis=0)
        near = drawn[tuple((np.clip(cell[:, None] + [-1, 0], 0, SIZE - 1)).reshape(-1, 2).T)]
        assert (near < 0).all()
        drawn[tuple(cell.T)] = k


def test_a_polygon_is_never_cut():
    mesh = torus()
    st, st_indices = unwrap(mesh, SIZE)
    quads = corner_uv(mesh, st, st_indices).reshape(-1, 4, 2)
    sides = np.linalg.norm(np.roll(quads, -1, axis=1) - quads, axis=2)
    surface = mesh.points[mesh.face_indices].reshape(-1, 4, 3)
    lengths = np.linalg.norm(np.roll(surface, -1, axis=1) - surface, axis=2)
    stretch = sides / lengths / np.median(sides / lengths)
    assert stretch.min() > 0.6 and stretch.max() < 1.6


@pytest.mark.parametrize("shape", SHAPES, ids=lambda s: s.__name__)
def test_colors_are_found_again_at_their_coordinates(shape):
    mesh = shape()
    st, st_indices = unwrap(mesh, SIZE)
    colors = smooth_colors(mesh.points)
    image = bake(mesh, st, st_indices, colors, SIZE)
    assert image.shape == (SIZE, SIZE, 3) and image.dtype == np.uint8
    error = np.abs(looked_up(image, st[st_indices]) - colors[mesh.face_indices]).max(axis=1)
    assert error.mean() < 1.0
    assert np.percentile(error, 99) < 6


def test_both_sides_of_a_seam_look_the_same_in_smaller_levels_too():
    mesh = torus()
    st, st_indices = unwrap(mesh, SIZE)
    colors = smooth_colors(mesh.points)
    image = bake(mesh, st, st_indices, colors, SIZE).astype(np.float64)
    uses = np.unique(np.stack([mesh.face_indices, st_indices], axis=1), axis=0)
    seam = np.isin(uses[:, 0], np.flatnonzero(np.bincount(uses[:, 0]) > 1))
    assert seam.sum() > 20
    for _ in range(2):
        image = image.reshape(len(image) // 2, 2, -1, 2, 3).mean(axis=(1, 3))
        error = np.abs(looked_up(image, st[uses[seam, 1]]) - colors[uses[seam, 0]]).max(axis=1)
        assert np.percentile(error, 95) < 12
    assert (image.reshape(-1, 3).max(axis=1) > 0).all()


def test_first_row_is_the_top_of_v():
    square = mesh_of([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], [[0, 1, 2, 3]])
    st = square.points[:, :2].copy()
    colors = np.array([[0, 0, 0], [0, 0, 0], [250, 0, 0], [250, 0, 0]], np.uint8)
    image = bake(square, st, np.arange(4, dtype=np.int32), colors, 64)
    assert image[0, :, 0].min() > 245 and image[-1, :, 0].max() < 5


def test_degenerate_and_duplicate_faces_and_lone_points():
    ball = trimesh.creation.icosphere(2)
    points = np.concatenate([ball.vertices, [[5, 5, 5]], ball.vertices[:1]])
    n = len(ball.vertices)
    flat = [[3, 3, 7], [4, 4, 4], [n, n, n], [0, 1, n + 1]]
    twice = ball.faces[:5].tolist()
    mesh = mesh_of(points, [*ball.faces.tolist(), *flat, *twice])
    st, st_indices = unwrap(mesh, SIZE)
    assert np.isfinite(st).all() and st_indices.min() >= 0 and st_indices.max() < len(st)
    corners = st_indices.reshape(-1, 3)
    for face in range(len(ball.faces), len(ball.faces) + 4):
        assert len(set(corners[face])) == 1
    assert set(corners[len(ball.faces)]) <= set(st_indices[np.isin(mesh.face_indices, [3, 7])])
    assert polygons_drawn(mesh, st, st_indices, SIZE).max() == 1
    bake(mesh, st, st_indices, smooth_colors(mesh.points), SIZE)


@pytest.mark.parametrize("faces", [[], [[0, 0, 0]], [[0, 1, 2]]], ids=["none", "flat", "one"])
def test_next_to_nothing(faces):
    mesh = mesh_of([[0, 0, 0], [1, 0, 0], [0, 1, 0]], faces)
    st, st_indices = unwrap(mesh, 64)
    assert len(st_indices) == 3 * len(faces) and (len(st) > 0) == bool(faces)
    bake(mesh, st, st_indices, np.full((3, 3), 9, np.uint8), 64)


@pytest.mark.parametrize("scale", [1e-4, 1e5])
def test_units_and_place_do_not_matter(scale):
    mesh = torus()
    there = Mesh((mesh.points * scale).astype(np.float32), mesh.face_counts, mesh.face_indices)
    st, st_indices = unwrap(there, SIZE)
    assert polygons_drawn(mesh, st, st_indices, SIZE).max() == 1
    assert charts(mesh, st, st_indices).max() + 1 < 60


def test_more_charts_than_room_still_fit():
    rng = np.random.default_rng(0)
    shards = rng.random((1500, 1, 3)) * 9 + rng.random((1500, 3, 3))
    mesh = mesh_of(shards.reshape(-1, 3), np.arange(4500).reshape(-1, 3).tolist())
    st, st_indices = unwrap(mesh, 64)
    assert st.min() >= 0 and st.max() <= 1
    assert polygons_drawn(mesh, st, st_indices, 1024).max() == 1


def test_the_same_twice_in_another_process():
    code = (
        "import hashlib, test_texture as t;"
        "m = t.creased(); st, i = t.unwrap(m, 256); image = t.bake(m, st, i, t.smooth_colors(m.points), 256);"
        "print(hashlib.sha256(st.tobytes() + i.tobytes() + image.tobytes()).hexdigest())"
    )
    runs = {subprocess.check_output([sys.executable, "-c", code], cwd=Path(__file__).parent) for _ in range(2)}
    assert len(runs) == 1


def key_with_colors(level: int) -> Mesh:
    ball = trimesh.creation.icosphere(level)
    turned = ball.vertices @ trimesh.transformations.rotation_matrix(0.4, [1, 2, 3])[:3, :3].T
    return mesh_of(turned, ball.faces.tolist(), colors=smooth_colors(turned))


def test_colors_of_a_later_key_reach_the_source_where_its_points_went():
    ball = trimesh.creation.icosphere(3)
    source = mesh_of(ball.vertices * [1, 1, 0.5], ball.faces.tolist())
    tracked = ball.vertices.astype(np.float32)
    key = key_with_colors(4)
    surface = surface_of(
        source, TrackOptions(unwrap=True, texture_size=SIZE), [(source, source.points), (key, tracked)]
    )
    assert surface.st is not None and surface.st_indices is not None and surface.texture is not None
    low, extent = key.points.min(axis=0), np.ptp(key.points, axis=0)
    wanted = 255 * (tracked - low) / extent
    found = looked_up(surface.texture, surface.st[surface.st_indices])
    error = np.abs(found - wanted[source.face_indices]).max(axis=1)
    assert np.percentile(error, 99) < 6 and error.mean() < 2


def test_detail_finer_than_the_source_survives():
    fine = trimesh.creation.icosphere(5)
    stripes = np.where(np.sin(25 * fine.vertices[:, 2]) > 0, 230, 20).astype(np.uint8)
    key = mesh_of(fine.vertices, fine.faces.tolist(), colors=np.repeat(stripes[:, None], 3, axis=1))
    ball = trimesh.creation.icosphere(3)
    source = mesh_of(ball.vertices, ball.faces.tolist())
    surface = surface_of(source, TrackOptions(unwrap=True, texture_size=SIZE), [(key, source.points)])
    rng = np.random.default_rng(1)
    weights, face = rng.dirichlet([1, 1, 1], 4000), rng.integers(0, len(ball.faces), 4000)
    uv = np.einsum("nk,nkc->nc", weights, surface.st[surface.st_indices.reshape(-1, 3)[face]])
    z = np.einsum("nk,nkc->nc", weights, ball.vertices[ball.faces[face]])[:, 2]
    clear = np.abs(np.sin(25 * z)) > 0.5
    right = (looked_up(surface.texture, uv)[:, 0] > 125) == (np.sin(25 * z) > 0)
    assert right[clear].mean() > 0.98


def test_points_that_meet_no_key_take_the_nearest_colour_and_no_thin_wall_shines_through():
    sheet = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], float)
    below = sheet - [0, 0, 0.004]
    red, blue = [[200, 0, 0]] * 4, [[0, 0, 200]] * 4
    key = mesh_of(np.r_[sheet, below], [[0, 1, 2, 3], [7, 6, 5, 4]], colors=np.array(red + blue, np.uint8))
    # The source's sheet lies nearer to the far side of the key's wall, and has a corner beyond it.
    moved = np.r_[sheet - [0, 0, 0.003], [[1.8, 0.5, 0.0]]]
    source = mesh_of(moved, [[0, 1, 2, 3], [1, 4, 2]])
    points = np.delete(moved, 4, axis=0)
    assert len(points) == 4
    other = mesh_of(sheet, [[0, 1, 2, 3]], colors=np.array(red, np.uint8))
    colors = transfer(source, [(key, source.points), (other, source.points)])
    assert np.allclose(colors, [200, 0, 0])


def test_what_the_source_has_stays_and_nothing_is_made_unasked():
    ball = trimesh.creation.icosphere(1)
    plain = mesh_of(ball.vertices, ball.faces.tolist(), colors=smooth_colors(ball.vertices))
    own = Mesh(
        plain.points, plain.face_counts, plain.face_indices, np.zeros((1, 2), np.float32), plain.face_indices * 0
    )
    nothing = Surface()
    for source, options in ((own, TrackOptions(unwrap=True)), (plain, TrackOptions(unwrap=False))):
        made = surface_of(source, options, [(plain, plain.points)])
        assert (made.st, made.st_indices, made.texture) == (nothing.st, nothing.st_indices, nothing.texture)
    bare = mesh_of(ball.vertices, ball.faces.tolist())
    made = surface_of(bare, TrackOptions(unwrap=True, texture_size=64), [(bare, bare.points)])
    assert made.st is not None and made.texture is None


def test_a_step_can_end_it():
    class Cancelled(Exception):
        pass

    calls: list[tuple[str, int, int]] = []

    def step(text: str, done: int, total: int) -> None:
        calls.append((text, done, total))
        if len(calls) == 3:
            raise Cancelled

    with pytest.raises(Cancelled):
        surface_of(torus(), TrackOptions(unwrap=True, texture_size=64), [], step)
    assert all(0 <= done <= total for _, done, total in calls)
