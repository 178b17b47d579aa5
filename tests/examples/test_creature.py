"""The demo's keyframes: unlike each other, alike in shape, and true to the animation they were taken from."""

from pathlib import Path

import numpy as np
import pytest
import trimesh

from examples.creature import body, make, motion
from examples.creature.coat import coat
from examples.creature.measure import distance_to, read_keys, read_truth
from lim_cli.keyframes import load_keyframes
from lim_protocol.types import Mesh, fan

SIZE = 512


@pytest.fixture(scope="module")
def demo(tmp_path_factory) -> make.Demo:
    return make.make(tmp_path_factory.mktemp("creature"), SIZE)


@pytest.fixture(scope="module")
def meshes(demo) -> list[Mesh]:
    return [key.mesh for key in load_keyframes([str(path) for path in demo.keys]).keyframes]


@pytest.fixture(scope="module")
def truth(demo):
    return read_truth(demo.truth)


def welded(mesh: Mesh) -> trimesh.Trimesh:
    """Triangles, with the points that a texture seam doubles made one."""
    solid = trimesh.Trimesh(mesh.points, mesh.triangles(), process=False)
    solid.merge_vertices(merge_tex=True, merge_norm=True, digits_vertex=6)
    return solid


def test_frames_are_in_the_names_and_formats_differ(demo):
    assert [path.name for path in demo.keys] == [
        "creature.1001.obj",
        "creature.1009.ply",
        "creature.1017.glb",
        "creature.1025.usd",
    ]
    keyframes = load_keyframes([str(path) for path in demo.keys]).keyframes
    assert [key.time for key in keyframes] == list(motion.KEYS)


def test_no_two_have_a_topology_in_common(meshes):
    source, scan, low, cells = meshes
    assert (source.face_counts == 4).all() and (scan.face_counts == 3).all() and (low.face_counts == 3).all()
    assert np.bincount(cells.face_counts).argmax() == 6 and cells.face_counts.max() > 6
    assert len({len(mesh.points) for mesh in meshes}) == 4 and len({len(mesh.face_counts) for mesh in meshes}) == 4


def test_every_one_is_closed_and_faces_outward(meshes):
    for mesh in meshes:
        solid = welded(mesh)
        assert solid.is_watertight and solid.is_winding_consistent
        assert solid.volume > 0.05 and solid.euler_number == 2
        assert solid.area_faces.min() > 0


def test_the_truth_lies_on_every_keyframe_at_its_frame(meshes, truth):
    assert np.abs(truth[1001] - meshes[0].points).max() < 1e-6
    diagonal = np.linalg.norm(np.ptp(meshes[0].points, axis=0))
    for frame, mesh in zip(motion.KEYS, meshes, strict=True):
        percent = 100 * distance_to(mesh, truth[frame]) / diagonal
        assert percent.mean() < 0.06 and np.percentile(percent, 95) < 0.2 and percent.max() < 1.0


def test_the_truth_is_a_motion(truth, meshes):
    assert list(truth) == list(motion.FRAMES)
    diagonal = np.linalg.norm(np.ptp(meshes[0].points, axis=0))
    points = np.stack(list(truth.values()))
    gaps = [np.linalg.norm(truth[b] - truth[a], axis=1) for a, b in zip(motion.KEYS, motion.KEYS[1:], strict=False)]
    assert min(gap.mean() for gap in gaps) > 0.1 * diagonal
    steps = np.linalg.norm(np.diff(points, axis=0), axis=2)
    assert 0 < steps.max() < 0.13 * diagonal
    # No pose is a rigid motion of another: limbs, head and tail move by themselves.
    for a, b in zip(motion.KEYS, motion.KEYS[1:], strict=False):
        centred = [truth[k] - truth[k].mean(axis=0) for k in (a, b)]
        u, _, v = np.linalg.svd(centred[0].T @ centred[1])
        assert np.linalg.norm(centred[0] @ (u @ v) - centred[1], axis=1).max() > 0.05 * diagonal


def test_edges_keep_their_lengths_but_at_the_joints(truth, meshes):
    quads = meshes[0].face_indices.reshape(-1, 4)
    begin, end = quads.ravel(), np.roll(quads, -1, axis=1).ravel()
    rest = np.linalg.norm(truth[1001][begin] - truth[1001][end], axis=1)
    for points in truth.values():
        stretch = np.linalg.norm(points[begin] - points[end], axis=1) / rest
        assert np.median(np.abs(stretch - 1)) < 0.06
        assert np.percentile(stretch, 1) > 0.6 and np.percentile(stretch, 99) < 1.8
        assert stretch.min() > 0.15 and stretch.max() < 4


def test_bytes_are_the_same_again(demo, tmp_path):
    again = make.make(tmp_path, SIZE)
    first = demo.truth.parent
    files = sorted(path.name for path in first.iterdir())
    assert files == sorted(path.name for path in again.truth.parent.iterdir())
    for name in files:
        assert (first / name).read_bytes() == (tmp_path / name).read_bytes(), name


def test_texture_coordinates_are_sound_and_colours_where_they_belong(demo, meshes):
    rest = make.meshes_at_rest()[0]
    source, texture = meshes[0], read_keys([str(path) for path in demo.keys])[0].texture
    assert source.st is not None and source.st_indices is not None and texture is not None
    assert source.st.min() >= 0 and source.st.max() <= 1
    a, b, c = (source.st[fan(source.face_counts, source.st_indices)[:, k]].astype(np.float64) for k in range(3))
    assert ((b - a)[:, 0] * (c - a)[:, 1] > (b - a)[:, 1] * (c - a)[:, 0]).mean() > 0.999
    columns = np.clip(source.st[source.st_indices, 0] * SIZE, 0, SIZE - 1).astype(int)
    rows = np.clip((1 - source.st[source.st_indices, 1]) * SIZE, 0, SIZE - 1).astype(int)
    wanted = coat(rest.points.astype(np.float64))[source.face_indices]
    off = np.abs(texture[rows, columns] - wanted).max(axis=1)
    assert np.median(off) < 2 and (off < 40).mean() > 0.93


def test_keyframes_agree_in_colour_where_they_meet(demo, meshes, truth):
    mean = [mesh.colors.astype(float).mean(axis=0) for mesh in meshes if mesh.colors is not None]
    assert len(mean) == 4 and np.ptp(mean, axis=0).max() < 12


def test_left_and_right_differ():
    rng = np.random.default_rng(0)
    places = body.onto_surface(rng.uniform(*body.BOUNDS, (4000, 3)), 12)
    places = places[np.abs(body.field(places)) < 1e-6]
    twins = places * [1, 1, -1]
    assert np.abs(body.field(twins)).max() < 1e-6
    differ = np.abs(coat(places) - coat(twins)).max(axis=1) > 60
    assert differ.mean() > 0.1


def test_skin_is_smooth_and_whole():
    rng = np.random.default_rng(1)
    places = body.onto_surface(rng.uniform(*body.BOUNDS, (500, 3)), 12)
    weights = body.skin_weights(places)
    assert np.allclose(weights.sum(axis=1), 1) and weights.min() >= 0
    assert np.abs(body.skin_weights(places + 1e-4) - weights).max() < 0.02


def test_it_is_made_once(tmp_path, monkeypatch):
    made = []

    def quick(folder: Path) -> make.Demo:
        made.append(folder)
        demo = make._places(folder)
        folder.mkdir(exist_ok=True)
        for path in (*demo.keys, demo.truth):
            path.write_bytes(b"")
        return demo

    monkeypatch.setattr(make, "make", quick)
    first = make.made_once(tmp_path / "keys")
    assert make.made_once(tmp_path / "keys") == first and len(made) == 1
    first.keys[2].unlink()
    make.made_once(tmp_path / "keys")
    assert len(made) == 2
