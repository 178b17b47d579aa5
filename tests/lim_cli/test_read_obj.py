from __future__ import annotations

import numpy as np
import pytest
from mesh_files import COLORS, CORNERS, COUNTS, FACES, POINTS, ST, ST_CORNERS, obj_lines, png, tetra_obj

from lim_cli.errors import BadInput
from lim_cli.readers import read


def obj_text(colors=None, st=False):
    lines = [obj_lines("v", POINTS if colors is None else np.hstack([POINTS, colors]))]
    lines += ["mtllib scene.mtl", obj_lines("vt", ST)] if st else []
    corner = 0
    for i, face in enumerate(FACES):
        lines.append(f"o part{i}")
        words = []
        for point in face:
            words.append(f"{point + 1}/{ST_CORNERS[corner] + 1}" if st else f"{point + 1}")
            corner += 1
        lines.append("f " + " ".join(words))
    return "\n".join(lines) + "\n"


def test_points_faces_and_parts_are_those_of_the_file(tmp_path):
    path = tmp_path / "a.obj"
    path.write_text(obj_text())
    contents = read(path, 1, None)
    assert contents.mesh.points.tobytes() == POINTS.tobytes()
    assert contents.mesh.face_counts.tolist() == COUNTS
    assert contents.mesh.face_indices.tolist() == CORNERS
    assert [(part.name, part.faces) for part in contents.parts] == [("part0", 1), ("part1", 1), ("part2", 1)]
    assert contents.mesh.st is None and contents.mesh.colors is None
    assert contents.up_axis is None and contents.metres_per_unit is None


def test_texture_coordinates_keep_their_own_indices(tmp_path):
    path = tmp_path / "a.obj"
    path.write_text(obj_text(st=True))
    mesh = read(path, 1, None).mesh
    assert mesh.st.tobytes() == ST.tobytes()
    assert mesh.st_indices.tolist() == ST_CORNERS
    assert read(path, 1, None).notes == ("material library scene.mtl is not there: read without its textures",)


def test_a_file_without_names_has_no_parts(tmp_path):
    (tmp_path / "a.obj").write_text(tetra_obj())
    contents = read(tmp_path / "a.obj", 1, None)
    assert contents.parts == ()
    assert contents.part("anything").mesh is contents.mesh


def test_a_line_of_blanks_does_not_hang(tmp_path):
    (tmp_path / "a.obj").write_text(tetra_obj() + "v" + " " * 300_000 + "\n" + " " * 300_000 + "\nv" + "\t" * 300_000)
    assert len(read(tmp_path / "a.obj", 1, None).mesh.face_counts) == 4


@pytest.mark.parametrize("scale", [1 / 255, 1])
def test_vertex_colors_of_fractions_and_of_bytes(tmp_path, scale):
    path = tmp_path / "a.obj"
    path.write_text(obj_text(colors=COLORS * scale))
    assert read(path, 1, None).mesh.colors.tolist() == COLORS.tolist()


def test_a_face_of_three_hundred_corners(tmp_path):
    path = tmp_path / "a.obj"
    ring = [(np.cos(i / 300), np.sin(i / 300), 0) for i in range(300)]
    words = " ".join(str(i + 1) for i in range(300))
    path.write_text(obj_lines("v", ring) + f"f {words}\nf -1 -2 -3\n")
    mesh = read(path, 1, None).mesh
    assert mesh.face_counts.tolist() == [300, 3]
    assert mesh.face_indices.tolist() == [*range(300), 299, 298, 297]


def test_materials_bring_textures_and_colors(tmp_path):
    image = png([[[255, 0, 0]]])
    (tmp_path / "my maps").mkdir()
    (tmp_path / "my maps" / "skin one.png").write_bytes(image)
    (tmp_path / "eye.png").write_bytes(png([[[0, 0, 9]]]))
    (tmp_path / "a b.mtl").write_text(
        "newmtl skin\nKd 0.2 0.4 0.6\nmap_Kd my maps/skin one.png\n"
        "newmtl eye\nKd 1 0 0\nmap_Kd -clamp on C:\\work\\eye.png\nnewmtl plain\nKd 0 1 2\n"
    )
    (tmp_path / "a.obj").write_text(
        "mtllib a b.mtl\nv 0 0 0\nv 1 0 0\nv 0 1 0\nvt 0 0\n"
        "usemtl eye\nf 1/1 2/1 3/1\nusemtl skin\nf 1/1 2/1 3/1\nusemtl plain\nf 1 2 3\n"
    )
    contents = read(tmp_path / "a.obj", 1, None)
    assert [m.name for m in contents.materials] == ["skin", "eye", "plain"]
    assert contents.face_materials.tolist() == [1, 0, 2]
    assert contents.materials[0].texture.data == image
    assert [m.texture and m.texture.name for m in contents.materials] == ["skin one.png", "eye.png", None]
    assert [m.color for m in contents.materials] == [(51, 102, 153), (255, 0, 0), (0, 255, 255)]
    assert contents.mesh.st.tolist() == [[0, 0], [0, 0]]
    assert contents.mesh.st_indices.tolist() == [0, 0, 0, 0, 0, 0, 1, 1, 1]
    assert contents.notes == ("3 corners have no texture coordinate and get (0, 0)",)


def test_images_of_unused_materials_need_not_be_there(tmp_path):
    (tmp_path / "a.mtl").write_text("newmtl unused\nmap_Kd gone.png\nnewmtl used\n")
    (tmp_path / "a.obj").write_text("mtllib a.mtl\nv 0 0 0\nv 1 0 0\nv 0 1 0\nusemtl used\nf 1 2 3\n")
    assert read(tmp_path / "a.obj", 1, None).face_materials.tolist() == [1]


def test_odd_but_readable_text(tmp_path):
    path = tmp_path / "a.obj"
    path.write_bytes(
        b"\xef\xbb\xbf# caf\xe9\r\n  v 0 0 0 # nan\r\nv\t1 0 \\\r\n 0\r\nv 1e0 +1. -.5E-1\r\nvn 0 0 1\r\n"
        b"g caf\xe9 two\r\nf 1//1 2//1 \\\r\n 3//1\r\nl 1 2\r\np 1\r\nf 1 2\r\ns off\r\nf 3 2 1\r\n"
    )
    contents = read(path, 1, None)
    assert contents.mesh.points.tolist() == [[0, 0, 0], [1, 0, 0], [1, 1, np.float32(-0.05)]]
    assert contents.mesh.face_indices.tolist() == [0, 1, 2, 2, 1, 0]
    assert contents.notes == ("1 face with fewer than 3 corners left out",)
    assert "caf" in contents.parts[0].name


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "v 0 0 0\nv nan 0 0\nv 0 -inf 0\nf 1 2 3\n",
            "2 points NaN or infinite, the first in line 2: 'v nan 0 0'. Repair or delete them and export again.",
        ),
        (
            "v 0 0 0\nv -nan(ind) 0 0\nv 0 1 0\nf 1 2 3\n",
            "1 point NaN or infinite, the first in line 2: 'v -nan(ind) 0 0'. Repair or delete them and export again.",
        ),
        (
            "v 1.#QNAN 0 0\n",
            "1 point NaN or infinite, the first in line 1: 'v 1.#QNAN 0 0'. Repair or delete them and export again.",
        ),
        (
            "# x\nv 1,5 0 0\n",
            "line 2 is not a point: 'v 1,5 0 0'. Export it again, with decimals written as 1.5.",
        ),
        (
            "v 0 0 0\nf 1 1 x\n",
            "Failed to parse `f' line (e.g. a zero value for vertex index or invalid relative vertex index). Line 2). "
            "Export it again.",
        ),
    ],
)
def test_what_cannot_be_read(tmp_path, text, message):
    path = tmp_path / "a.obj"
    path.write_text(text)
    with pytest.raises(BadInput) as error:
        read(path, 1, None)
    assert str(error.value) == message
