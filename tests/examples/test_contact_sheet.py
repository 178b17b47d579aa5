"""What the sheet shows and the report says, on files whose errors are known."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from examples.creature import contact_sheet as sheet
from examples.creature.measure import Given, read_keys, read_tracked, read_truth, residuals, true_errors
from examples.creature.render import Floor, Shot, View
from examples.creature.report import report
from lim_protocol.types import Frame, Mesh
from lim_usd.asset import AssetWriter
from lim_usd.source import Source, Texture

OFF = 0.02


def sphere(columns=24, rows=12) -> Mesh:
    """Quads and end caps of one polygon each, with texture coordinates and colours."""
    turn, tilt = np.meshgrid(np.arange(columns) / columns, (np.arange(rows) + 0.5) / rows, indexing="ij")
    a, b = 2 * np.pi * turn.ravel(), np.pi * tilt.ravel()
    points = np.stack([np.sin(b) * np.cos(a), np.cos(b), -np.sin(b) * np.sin(a)], axis=1)
    at = lambda i, j: (i % columns) * rows + j  # noqa: E731
    faces = [[at(i, j), at(i, j + 1), at(i + 1, j + 1), at(i + 1, j)] for i in range(columns) for j in range(rows - 1)]
    faces += [[at(i, 0) for i in range(columns)], [at(i, rows - 1) for i in range(columns)][::-1]]
    counts = np.array([len(f) for f in faces], np.int32)
    indices = np.array([k for f in faces for k in f], np.int32)
    st = np.stack([turn.ravel(), 1 - tilt.ravel()], axis=1).astype(np.float32)
    return Mesh(points.astype(np.float32), counts, indices, st, indices.copy())


def write_obj(path: Path, mesh: Mesh) -> None:
    lines = [f"v {x:.6f} {y:.6f} {z:.6f}" for x, y, z in mesh.points.tolist()]
    rings = np.split(mesh.face_indices + 1, np.cumsum(mesh.face_counts)[:-1])
    path.write_text("\n".join([*lines, *("f " + " ".join(map(str, ring.tolist())) for ring in rings)]) + "\n")


def moved(mesh: Mesh, time: float) -> np.ndarray:
    """Drifts and stretches."""
    return (mesh.points * [1, 1 + 0.04 * time, 1] + [0.3 * time, 0, 0]).astype(np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A tracked file with `OFF` of error along y at frames after the first, its keyframes and its truth."""
    out = tmp_path_factory.mktemp("sheet")
    mesh = sphere()
    image = out / "red.png"
    Image.new("RGB", (64, 64), (220, 30, 30)).save(image)
    source = Source(mesh, (), Texture("red.png", image.read_bytes()), "Y", 1.0)
    with AssetWriter(out / "ball.usd", source, fps=24, start=1, end=5) as writer:
        for time in range(1, 6):
            points = moved(mesh, time - 1) + np.float32([0, OFF * (time > 1), 0])
            writer.write(Frame(float(time), points, mesh.points.copy()))
    for time, kind in ((1, sphere()), (5, sphere(40, 21))):
        write_obj(out / f"ball.{time}.obj", replace(kind, points=moved(kind, time - 1)))
    frames = np.arange(1, 6, dtype=float)
    np.savez(out / "truth.npz", frames=frames, points=np.stack([moved(mesh, time - 1) for time in frames]))
    return out


@pytest.fixture(scope="module")
def tracked(folder):
    return read_tracked(folder / "ball.usd")


@pytest.fixture(scope="module")
def keys(folder) -> list[Given]:
    return read_keys([str(folder / "ball.1.obj"), str(folder / "ball.5.obj")])


def test_a_file_is_read_back_as_it_was_written(tracked):
    mesh = sphere()
    assert tracked.times == (1, 2, 3, 4, 5) and tracked.up == 1
    assert np.array_equal(tracked.mesh.face_counts, mesh.face_counts)
    assert np.allclose(tracked.at(3), moved(mesh, 2) + np.array([0, OFF, 0]), atol=1e-6)
    assert np.allclose(tracked.at(3.5), (tracked.at(3) + tracked.at(4)) / 2, atol=1e-6)
    assert tracked.texture is not None and (tracked.texture == [220, 30, 30]).all()


def test_errors_are_what_was_put_in(tracked, keys, folder):
    percent = 100 * OFF / tracked.diagonal
    errors = true_errors(tracked, read_truth(folder / "truth.npz"))
    assert [each.time for each in errors] == [1, 2, 3, 4, 5]
    assert errors[0].max == 0
    for each in errors[1:]:
        assert np.allclose([each.mean, each.p95, each.max], percent, rtol=1e-3)
    first, last = residuals(tracked, keys)
    assert first.max < 1e-3
    # Off by as much along y: at the poles all of it shows, at the equator nothing.
    assert 0.3 * percent < last.mean < percent and 0.8 * percent < last.max < 1.3 * percent


def test_the_report_has_a_row_for_each_keyframe_and_gap(tracked, keys, folder):
    truth = read_truth(folder / "truth.npz")
    rows = list(report(tracked, keys, truth).columns[0].cells)
    assert rows == ["1", "2-4", "5"]
    assert list(report(tracked, keys, truth, every_frame=True).columns[0].cells) == ["1", "2", "3", "4", "5"]
    assert list(report(tracked, keys, None).columns[0].cells) == ["1", "5"]
    between = [next(iter(list(column.cells)[1:])) for column in report(tracked, keys, truth).columns]
    assert between[1] == "in between" and float(between[2]) == pytest.approx(100 * OFF / tracked.diagonal, abs=2e-3)
    assert between[5:] == ["", "", ""]


def tile(image: Image.Image, row: int, column: int) -> np.ndarray:
    x = sheet.MARGIN + column * (sheet.WIDTH + sheet.GAP)
    y = sheet.HEAD + row * (sheet.TITLE + sheet.HEIGHT) + sheet.TITLE + (sheet.STRIP if row else 0)
    y += sheet.GAP * max(row - 1, 0)
    return np.asarray(image.crop((x, y, x + sheet.WIDTH, y + sheet.HEIGHT))).astype(int)


def run(module: str, folder: Path, *more: str) -> str:
    keys = ["--keys", str(folder / "ball.1.obj"), str(folder / "ball.5.obj")]
    command = [sys.executable, "-m", f"examples.creature.{module}", str(folder / "ball.usd"), *keys, *more]
    root = Path(__file__).parents[2]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module")
def drawn(folder) -> Image.Image:
    """As the command draws it."""
    out = folder / "sheet.png"
    assert run("contact_sheet", folder, "--truth", str(folder / "truth.npz"), "-o", str(out)).strip() == str(out)
    return Image.open(out)


def test_the_sheet_has_a_column_for_each_keyframe_and_one_between(drawn):
    assert drawn.width == 2 * sheet.MARGIN + 3 * sheet.WIDTH + 2 * sheet.GAP


def test_the_texture_is_on_the_mesh_in_every_frame(drawn):
    for column in range(3):
        red, green, blue = np.moveaxis(tile(drawn, 1, column), 2, 0)
        assert ((red > green + 60) & (red > blue + 60)).mean() > 0.1


def test_the_checker_has_both_squares_and_no_red(drawn):
    picture = tile(drawn, 2, 1)
    middle = picture[sheet.HEIGHT // 2 - 40 : sheet.HEIGHT // 2 + 40, sheet.WIDTH // 2 - 40 : sheet.WIDTH // 2 + 40]
    assert middle.std(axis=(0, 1)).min() > 12
    red, green, blue = np.moveaxis(picture, 2, 0)
    assert ((red > green + 60) & (red > blue + 60)).mean() < 0.01


def test_error_is_coloured_by_its_size(drawn):
    middle = (
        slice(sheet.HEIGHT // 2 - 20, sheet.HEIGHT // 2 + 20),
        slice(sheet.WIDTH // 2 - 20, sheet.WIDTH // 2 + 20),
    )
    none, much = tile(drawn, 3, 0)[middle].mean(axis=(0, 1)), tile(drawn, 3, 2)[middle].mean(axis=(0, 1))
    assert none[2] > none[0] + 40
    assert much[0] > much[2]


def test_keyframes_show_their_faces_and_gaps_show_none(drawn):
    given, tracked_tile = tile(drawn, 0, 0), tile(drawn, 1, 0)
    grain = [np.abs(np.diff(picture[100:180, 130:210], axis=1)).mean() for picture in (given, tracked_tile)]
    assert grain[0] > 2 * grain[1]


def square(z: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    points = np.array([[-1, -1, z], [1, -1, z], [1, 1, z], [-1, 1, z]], float)
    return points, np.array([[0, 1, 2], [0, 2, 3]])


def test_rays_meet_what_is_projected():
    points, triangles = square()
    view = View(np.array([0.0, 0, 5]), np.zeros(3), np.array([0.0, 1, 0]), 40.0)
    shot = Shot(points, triangles, view, 80, 60, Floor(-1.0, 1.0, 5.0), flat=True)
    corners = view.project(points, 80, 60)
    wanted = np.ptp(corners, axis=0).prod() * 9
    assert abs(shot.hit.sum() / wanted - 1) < 0.03
    assert np.allclose(view.project(shot.of_points(points), 240, 180)[0] % 1, 0.5, atol=0.02)
    assert corners[0, 1] > corners[3, 1] and corners[1, 0] > corners[0, 0]


def test_the_far_side_of_a_face_is_dark_and_what_is_below_lies_in_shadow():
    view = View(np.array([0.0, 0, 5]), np.zeros(3), np.array([0.0, 1, 0]), 40.0)
    points, triangles = square()
    white = np.ones((4, 3))
    lit, inside = (
        shot.painted(shot.of_points(white))[30, 40].astype(int)
        for shot in (Shot(points, t, view, 80, 60, Floor(-9.0, 1, 5), True) for t in (triangles, triangles[:, ::-1]))
    )
    assert lit.min() > inside.max() + 60
    roof = np.array([[-0.5, 0, -0.5], [-0.5, 0, 0.5], [0.5, 0, 0.5], [0.5, 0, -0.5]])
    shot = Shot(roof, triangles, view, 80, 60, Floor(-0.6, 50.0, 6.0), False)
    grey = shot.backdrop.mean(axis=2)
    assert grey.min() < 0.75 * grey.max()


def test_lines_run_along_polygons_and_not_across():
    mesh = Mesh(square()[0].astype(np.float32), np.array([4], np.int32), np.arange(4, dtype=np.int32))
    edges = sheet._outer_edges(mesh)
    assert edges.tolist() == [[True, False, True], [True, True, False]]
    pentagon = np.array([5, 3], np.int32)
    other = Mesh(np.zeros((8, 3), np.float32), pentagon, np.arange(8, dtype=np.int32))
    assert sheet._outer_edges(other).sum(axis=1).tolist() == [2, 1, 2, 3]


def test_a_z_up_mesh_stands_upright(tracked):
    x, y, z = np.moveaxis(tracked.points, 2, 0)
    other = replace(tracked, points=np.stack([x, -z, y], axis=2), up=2)
    one, two = sheet._Studio(tracked), sheet._Studio(other)
    assert two.size == pytest.approx(one.size) and two.fov == pytest.approx(one.fov, rel=1e-3)
    seen = two.view(1.0).project(other.points[0].astype(float), 100, 100)
    assert np.allclose(seen, one.view(1.0).project(tracked.points[0].astype(float), 100, 100), atol=1e-2)


def test_the_report_runs_as_a_command(folder):
    assert "keyframe" in run("report", folder)
