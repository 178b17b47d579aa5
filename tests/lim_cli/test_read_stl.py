from __future__ import annotations

import numpy as np
import pytest
import trimesh
from mesh_files import TETRA_FACES, TETRA_POINTS
from trimesh.exchange.stl import export_stl_ascii

from lim_cli.errors import BadInput
from lim_cli.readers import read


def tetra():
    return trimesh.Trimesh(TETRA_POINTS, TETRA_FACES, process=False)


@pytest.mark.parametrize("ascii_text", [False, True])
def test_triangles_are_joined_where_corners_are_equal(tmp_path, ascii_text):
    path = tmp_path / "a.stl"
    path.write_bytes(export_stl_ascii(tetra()).encode() if ascii_text else trimesh.exchange.stl.export_stl(tetra()))
    contents = read(path, 1, None)
    order = [0, 2, 1, 3]  # of first appearance
    assert contents.mesh.points.tolist() == TETRA_POINTS[order].tolist()
    assert np.array(order)[contents.mesh.face_indices].reshape(-1, 3).tolist() == TETRA_FACES.tolist()
    assert contents.notes == (
        "4 loose triangles joined at equal corners into 4 points: STL keeps no points of its own",
    )


def test_only_equal_corners_are_joined(tmp_path):
    soup = np.zeros(2, np.dtype([("n", "<f4", 3), ("v", "<f4", (3, 3)), ("a", "<u2")]))
    near = np.nextafter(np.float32(1), np.float32(2))
    soup["v"] = [[[0, 0, 0], [1, 0, 0], [0, 1, 0]], [[-0.0, 0, 0], [near, 0, 0], [0, 1, 0]]]
    (tmp_path / "a.stl").write_bytes(b"\0" * 80 + (2).to_bytes(4, "little") + soup.tobytes() + b"trailing bytes")
    mesh = read(tmp_path / "a.stl", 1, None).mesh
    assert mesh.face_indices.tolist() == [0, 1, 2, 0, 3, 2]
    assert mesh.points[3, 0] == near


def test_solids_are_parts(tmp_path):
    one, two = tetra(), tetra()
    two.apply_translation([5, 0, 0])
    one.metadata["name"], two.metadata["name"] = "Body", "Tête"
    (tmp_path / "a.stl").write_text(export_stl_ascii(one) + export_stl_ascii(two), "latin-1")
    contents = read(tmp_path / "a.stl", 1, None)
    assert [(part.name, part.faces) for part in contents.parts] == [("Body", 4), ("T\ufffdte", 4)]
    assert len(contents.mesh.points) == 8


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda data: data[:-30],
            "its header promises 4 triangles, 284 bytes, but it has 254. It is cut short or not an STL; "
            "export it again.",
        ),
        (
            lambda data: data[:80] + b"\xff\xff\xff\xff" + data[84:],
            "its header promises 4,294,967,295 triangles, 214,748,364,834 bytes, but it has 284. It is cut short or "
            "not an STL; export it again.",
        ),
        (
            lambda data: export_stl_ascii(tetra()).encode()[:200],
            "no endsolid at its end. It is cut short; export it again.",
        ),
    ],
)
def test_what_cannot_be_read(tmp_path, change, message):
    path = tmp_path / "a.stl"
    path.write_bytes(change(trimesh.exchange.stl.export_stl(tetra())))
    with pytest.raises(BadInput) as error:
        read(path, 1, None)
    assert str(error.value) == message


def test_a_word_that_is_no_number(tmp_path):
    path = tmp_path / "a.stl"
    path.write_text(export_stl_ascii(tetra()).replace("vertex 1.0", "vertex one", 1))
    with pytest.raises(BadInput, match=r"cannot be read as STL: .*It may be cut short or of another format"):
        read(path, 1, None)
