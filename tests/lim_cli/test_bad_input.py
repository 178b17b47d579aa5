"""What is refused at the door, and what is let in with a word: the words themselves."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
import trimesh
from mesh_files import TETRA_FACES, TETRA_POINTS, Gltf, obj_lines, ply, png, tetra_obj
from pxr import Usd, UsdGeom

from lim_cli.errors import BadInput
from lim_cli.keyframes import load_keyframes
from lim_cli.textures import read_texture

NAN, INF = float("nan"), float("inf")
XYZ = ["float x", "float y", "float z"]
LIST = ["list uchar int vertex_indices"]
TETRA = TETRA_FACES.tolist()


def write(folder, name, points=TETRA_POINTS, faces=TETRA):
    """One mesh in any format."""
    path = folder / name
    if path.suffix == ".obj":
        path.write_text(obj_lines("v", points) + obj_lines("f", [[i + 1 for i in face] for face in faces]))
    elif path.suffix == ".ply":
        ply(
            path,
            "binary_little_endian",
            [("vertex", XYZ, np.array(points).tolist()), ("face", LIST, [[f] for f in faces])],
        )
    elif path.suffix == ".glb":
        gltf = Gltf()
        primitive = gltf.primitive(points, faces) if len(faces) else {**gltf.primitive(points), "mode": 0}
        gltf.add("nodes", mesh=gltf.add("meshes", primitives=[primitive]))
        gltf.save(path)
    elif path.suffix == ".usda":
        stage = Usd.Stage.CreateNew(str(path))
        mesh = UsdGeom.Mesh.Define(stage, "/mesh")
        mesh.GetPointsAttr().Set([tuple(map(float, point)) for point in points])
        mesh.GetFaceVertexCountsAttr().Set([len(face) for face in faces])
        mesh.GetFaceVertexIndicesAttr().Set([int(i) for face in faces for i in face])
        stage.Save()
    return path


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder with one good keyframe."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good.obj").write_text(tetra_obj())
    return tmp_path


def refusal(name):
    with pytest.raises(BadInput) as error:
        load_keyframes(["1001=good.obj", f"1009={name}"])
    assert error.value.exit_code == 2
    assert str(error.value).startswith(f"keyframe 1009 ({name}): ")
    return str(error.value).removeprefix(f"keyframe 1009 ({name}): ")


NO_FACES = "4 points and no faces. Export polygons, not points."
OUT_OF_RANGE = "face 1 uses point 7, but there are 4 points, counted from 0. The file is damaged: export it again."
BAD_POINTS = np.array([[0, 0, 0], [1, 0, 0], [0, NAN, 0], [0, 0, INF]], np.float32)
NOT_FINITE = "point 2 is not finite (NaN or infinite), one of 2 such. Clean the mesh and export it again."


@pytest.mark.parametrize(
    ("name", "points", "faces", "message"),
    [
        ("empty.ply", [], [], "the mesh is empty. Export it with its polygons."),
        ("points.obj", TETRA_POINTS, [], NO_FACES),
        ("points.ply", TETRA_POINTS, [], NO_FACES),
        ("points.usda", TETRA_POINTS, [], f"/mesh: {NO_FACES}"),
        ("points.glb", TETRA_POINTS, [], "the mesh is empty. Export it with its polygons."),
        ("range.obj", TETRA_POINTS, [[0, 1, 2], [0, 1, 7]], OUT_OF_RANGE),
        ("range.ply", TETRA_POINTS, [[0, 1, 2], [0, 1, 7]], OUT_OF_RANGE),
        ("range.glb", TETRA_POINTS, [[0, 1, 2], [0, 1, 7]], OUT_OF_RANGE.replace("face 1", "face 1 of a primitive")),
        ("nan.ply", BAD_POINTS, TETRA, NOT_FINITE),
        ("nan.glb", BAD_POINTS, TETRA, NOT_FINITE),
        ("nan.usda", BAD_POINTS, TETRA, f"/mesh: {NOT_FINITE}"),
        (
            "nan.obj",
            BAD_POINTS,
            TETRA,
            "2 points NaN or infinite, the first in line 3: 'v 0 nan 0'. Repair or delete them and export again.",
        ),
        ("lines.ply", TETRA_POINTS, [[0, 1], [1, 2]], NO_FACES),
        ("place.ply", np.ones((4, 3)), TETRA, "all 4 points are in one place. Export it again."),
    ],
)
def test_meshes_that_cannot_be_tracked(folder, name, points, faces, message):
    write(folder, name, points, faces)
    assert refusal(name) == message


def test_the_range_of_usd_indices(folder):
    write(folder, "range.usda", TETRA_POINTS, [[0, 1, 2], [0, 1, 7]])
    assert "/mesh" in refusal("range.usda") and "7" in refusal("range.usda") and "4 points" in refusal("range.usda")


def test_an_stl_without_triangles(folder):
    (folder / "empty.stl").write_bytes(b"\0" * 84)
    assert refusal("empty.stl") == "the mesh is empty. Export it with its polygons."


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        (
            "a.fbx",
            b"x",
            "'.fbx' is not a format that can be read. Known are .obj, .ply, .stl, .glb, .gltf, .usd, .usda, .usdc, "
            ".usdz; export the mesh as one of them.",
        ),
        (
            "scan",
            b"x",
            "a name without a suffix is not of a format that can be read. Known are .obj, .ply, .stl, .glb, .gltf, "
            ".usd, .usda, .usdc, .usdz; export the mesh as one of them.",
        ),
        ("a.OBJ", b"", "the file is empty. Export it again."),
        ("a.obj", b"\x89PNG\r\n\x1a\n\0\0", "the mesh is empty. Export it with its polygons."),
        ("a.ply", b"solid", "no PLY header (`ply` to `end_header`). It may be cut short; export it again."),
        (
            "a.stl",
            b"ply\n",
            "its header promises 0 triangles, 84 bytes, but it has 4. It is cut short or not an STL; export it again.",
        ),
        (
            "a.glb",
            b"not a glb",
            "its JSON cannot be read: Expecting value: line 1 column 1 (char 0). Export it again.",
        ),
    ],
)
def test_files_that_cannot_be_read(folder, name, data, message):
    (folder / name).write_bytes(data)
    assert refusal(name) == message


def test_a_stage_that_cannot_be_read(folder):
    (folder / "a.usdc").write_bytes(b"PXR-USDC nothing more")
    assert refusal("a.usdc").startswith("cannot be read as USD (")


def test_textures_that_cannot_be_read(folder):
    (folder / "a.obj").write_text(
        tetra_obj().partition("f ")[0] + "mtllib a.mtl\nusemtl skin\nvt 0 0\nf 1/1 2/1 3/1\nf 1/1 2/1 4/1\n"
    )
    (folder / "a.mtl").write_text("newmtl skin\nmap_Kd skin.png\n")
    assert refusal("a.obj") == (
        "texture skin.png: no such file. Put the image beside the OBJ, or take map_Kd out of its .mtl."
    )
    (folder / "skin.png").write_bytes(b"\x89PNG no more")
    assert refusal("a.obj") == (
        "texture skin.png: unreadable, not an image that can be read (12 bytes). Save it again as PNG or JPEG."
    )
    whole = png(np.random.default_rng(0).integers(0, 255, (64, 64, 3)))
    (folder / "skin.png").write_bytes(whole[:3000])
    assert refusal("a.obj") == (
        "texture skin.png: unreadable, image file is truncated (3,000 bytes). Save it again as PNG or JPEG."
    )
    head = b"IHDR" + struct.pack(">II", 65536, 65536) + whole[24:29]
    (folder / "skin.png").write_bytes(whole[:12] + head + struct.pack(">I", zlib.crc32(head)) + whole[33:])
    assert refusal("a.obj") == "texture skin.png: larger than 16384 x 16384 pixels. Scale it down."
    (folder / "skin.png").write_bytes(whole)
    assert load_keyframes(["1=good.obj", "2=a.obj"]).keyframes[1].mesh.colors is not None


def test_a_texture_of_the_command_line(folder):
    (folder / "a.png").write_bytes(png([[[1, 2, 3]]]))
    assert read_texture(folder / "a.png").data == png([[[1, 2, 3]]])
    (folder / "a.tif").write_bytes(png([[[1, 2, 3]]], "TIFF"))
    assert read_texture(folder / "a.tif").name == "a.png"
    with pytest.raises(BadInput) as error:
        read_texture(folder / "no.png")
    assert str(error.value) == f"texture {folder / 'no.png'}: No such file or directory. Check the path."


def notes(*words):
    return load_keyframes(["1001=good.obj", *words]).notes


def test_what_is_let_in_with_a_word(folder):
    faces = [*TETRA, TETRA[1][::-1], TETRA[0], [0, 0, 1], [1, 2]]
    points = [*TETRA_POINTS.tolist(), [0.5, 0.5, 0.5]]
    write(folder, "odd.ply", points, faces)
    loaded = load_keyframes(["1001=odd.ply", "1009=good.obj"])
    prefix = "keyframe 1001 (odd.ply): "
    assert loaded.notes == [
        prefix + "1 face with fewer than 3 corners left out, the first is face 7",
        prefix + "2 faces repeated, kept",
        prefix + "1 face without area, kept",
        prefix + "5 edges with more than two faces (non-manifold), kept",
        prefix + "1 point of no face, kept",
    ]
    assert loaded.source.mesh.points.tolist() == points
    assert loaded.source.mesh.face_indices.tolist() == [i for face in faces[:7] for i in face]


def test_a_note_that_several_have_in_common_is_told_once(folder):
    for name in ("a.stl", "b.stl"):
        trimesh.Trimesh(TETRA_POINTS, TETRA_FACES, process=False).export(folder / name)
    assert notes("1003=a.stl", "1005=b.stl") == [
        "keyframes 1003, 1005: 4 loose triangles joined at equal corners into 4 points: STL keeps no points of its own"
    ]


def test_points_far_from_the_origin_are_told(folder):
    (folder / "far.obj").write_text(tetra_obj(shift=1000))
    assert notes("1009=far.obj") == [
        "keyframe 1009 (far.obj): 578 times its own size away from the origin, where single precision is coarse: move "
        "it there if its shape suffers"
    ]
