from __future__ import annotations

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st
from mesh_files import COLORS, CORNERS, COUNTS, FACES, POINTS, ST, ST_CORNERS, ply, png

from lim_cli.errors import BadInput
from lim_cli.readers import read

FORMS = ["ascii", "binary_little_endian", "binary_big_endian"]
XYZ = ["float x", "float y", "float z"]
INDICES = ["list uchar int vertex_indices"]


def vertices(extra=(), columns=None):
    rows = POINTS.tolist() if columns is None else [[*p, *c] for p, c in zip(POINTS.tolist(), columns, strict=True)]
    return ("vertex", [*XYZ, *extra], rows)


def faces(extra=(), columns=None):
    rows = [[face, *(columns[i] if columns else ())] for i, face in enumerate(FACES)]
    return ("face", [*INDICES, *extra], rows)


@pytest.mark.parametrize("form", FORMS)
def test_points_and_polygons_are_those_of_the_file(tmp_path, form):
    mesh = read(ply(tmp_path / "a.ply", form, [vertices(), faces()]), 1, None).mesh
    assert mesh.points.tobytes() == POINTS.tobytes()
    assert mesh.face_counts.tolist() == COUNTS
    assert mesh.face_indices.tolist() == CORNERS
    assert mesh.st is None and mesh.colors is None


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("kind", "scale"),
    [("uchar", 1), ("float", 1 / 255), ("double", 1 / 255), ("ushort", 257), ("float", 1), ("int", 1)],
)
def test_vertex_colors_of_every_kind(tmp_path, form, kind, scale):
    columns = (COLORS * scale).tolist() if isinstance(scale, float) else (COLORS.astype(int) * scale).tolist()
    extra = [f"{kind} red", f"{kind} green", f"{kind} blue", "uchar alpha"]
    path = ply(tmp_path / "a.ply", form, [vertices(extra, [[*c, 7] for c in columns]), faces()])
    assert read(path, 1, None).mesh.colors.tolist() == COLORS.tolist()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("names", [("s", "t"), ("u", "v"), ("texture_u", "texture_v")])
def test_texture_coordinates_of_vertices(tmp_path, form, names):
    columns = np.random.default_rng(0).random((8, 2)).astype(np.float32)
    extra = [f"float {name}" for name in names]
    mesh = read(ply(tmp_path / "a.ply", form, [vertices(extra, columns.tolist()), faces()]), 1, None).mesh
    assert mesh.st.tobytes() == columns.tobytes()
    assert mesh.st_indices.tolist() == CORNERS


@pytest.mark.parametrize("form", FORMS)
def test_texture_coordinates_of_corners(tmp_path, form):
    corners = ST[ST_CORNERS]
    rows, at = [], 0
    for i, count in enumerate(COUNTS):
        rows.append([i, corners[at : at + count].ravel().tolist(), 0.5 * i])
        at += count
    extra = ["int group", "list uchar float texcoord", "float weight"]
    path = ply(tmp_path / "a.ply", form, [vertices(), faces(extra, rows), ("edge", ["int vertex1"], [[1]])])
    mesh = read(path, 1, None).mesh
    assert mesh.st[mesh.st_indices].tobytes() == corners.tobytes()
    assert len(mesh.st) == len(ST)  # shared where they are equal, so that seams stay where they are
    assert mesh.face_indices.tolist() == CORNERS


def test_faces_without_texture_coordinates_among_others(tmp_path):
    rows = [[ST[ST_CORNERS[:4]].ravel().tolist()], [[]], [[]]]
    path = ply(tmp_path / "a.ply", "ascii", [vertices(), faces(["list uchar float texcoord"], rows)])
    contents = read(path, 1, None)
    mesh = contents.mesh
    assert mesh.st[mesh.st_indices].tolist() == [*ST[ST_CORNERS[:4]].tolist(), *[[0, 0]] * 8]
    assert contents.notes == ("8 corners have no texture coordinate and get (0, 0)",)


def test_textures_named_in_comments(tmp_path):
    red, blue = png([[[255, 0, 0]]]), png([[[0, 0, 255]]])
    (tmp_path / "red map.png").write_bytes(red)
    (tmp_path / "blue.png").write_bytes(blue)
    rows = [[ST[:count].ravel().tolist() if count < 6 else [], i % 2] for i, count in enumerate(COUNTS)]
    extra = ["list uchar float texcoord", "int texnumber"]
    comments = ("made by hand", "TextureFile red map.png", "TextureFile D:\\maps\\blue.png")
    path = ply(tmp_path / "a.ply", "binary_little_endian", [vertices(), faces(extra, rows)], comments)
    contents = read(path, 1, None)
    assert [m.texture.data for m in contents.materials] == [red, blue]
    assert contents.face_materials.tolist() == [0, 1, 0]


def test_elements_before_lists_of_scalars_and_wide_indices(tmp_path):
    elements = [
        ("camera", ["list uchar double k", "float f"], [[[1.5, 2.5], 1.0], [[], 2.0]]),
        ("vertex", ["uchar flag", "double x", "double y", "double z"], [[1, *p] for p in POINTS.tolist()]),
        ("face", ["uchar a", "list int uint vertex_index", "short b"], [[0, face, -1] for face in FACES]),
    ]
    for form in FORMS:
        mesh = read(ply(tmp_path / "a.ply", form, elements), 1, None).mesh
        assert mesh.points.tobytes() == POINTS.tobytes()
        assert mesh.face_indices.tolist() == CORNERS


def test_a_header_with_line_ends_of_windows(tmp_path):
    path = ply(tmp_path / "a.ply", "binary_little_endian", [vertices(), faces()])
    head, end, body = path.read_bytes().partition(b"end_header\n")
    path.write_bytes(head.replace(b"\n", b"\r\n") + end.replace(b"\n", b"\r\n") + body)
    assert read(path, 1, None).mesh.points.tobytes() == POINTS.tobytes()


def test_what_another_program_wrote(tmp_path):
    sphere = trimesh.creation.icosphere(subdivisions=2)
    sphere.visual.vertex_colors = np.random.default_rng(1).integers(0, 255, (len(sphere.vertices), 4))
    sphere.export(tmp_path / "a.ply")
    mesh = read(tmp_path / "a.ply", 1, None).mesh
    assert mesh.points.tobytes() == sphere.vertices.astype(np.float32).tobytes()
    assert mesh.face_indices.reshape(-1, 3).tolist() == sphere.faces.tolist()
    assert mesh.colors.tolist() == sphere.visual.vertex_colors[:, :3].tolist()


polygons = st.lists(st.lists(st.integers(0, 19), min_size=3, max_size=9), min_size=1, max_size=12)


@settings(deadline=None, max_examples=60)
@given(polygons, st.sampled_from(FORMS), st.sampled_from(["uchar", "ushort", "int"]), st.booleans())
def test_any_polygons_come_back(tmp_path_factory, polygons, form, count, with_st):
    points = np.random.default_rng(len(polygons)).standard_normal((20, 3)).astype(np.float32)
    corners = np.random.default_rng(3).integers(0, 4, (sum(map(len, polygons)), 2)).astype(np.float32) / 4
    rows, at = [], 0
    for polygon in polygons:
        rows.append([polygon, *([corners[at : at + len(polygon)].ravel().tolist()] if with_st else [])])
        at += len(polygon)
    properties = [f"list {count} int vertex_indices", *(["list uchar float texcoord"] if with_st else [])]
    path = tmp_path_factory.getbasetemp() / "any.ply"
    mesh = read(ply(path, form, [("vertex", XYZ, points.tolist()), ("face", properties, rows)]), 1, None).mesh
    assert mesh.points.tobytes() == points.tobytes()
    assert mesh.face_counts.tolist() == [len(polygon) for polygon in polygons]
    assert mesh.face_indices.tolist() == [i for polygon in polygons for i in polygon]
    if with_st:
        assert mesh.st[mesh.st_indices].tobytes() == corners.tobytes()


def header(*lines):
    return "\n".join(["ply", *lines, "end_header\n"]).encode()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"ply\nformat ascii 1.0\n", "no PLY header (`ply` to `end_header`). It may be cut short; export it again."),
        (header("element vertex 1"), "no format line in its header. Export it again."),
        (
            header("format ascii 1.0", "element vertex -1"),
            "header line 'element vertex -1' is not of the PLY format. Export it again.",
        ),
        (
            header("format ascii 1.0", "element vertex 1", "property float128 x"),
            "header line 'property float128 x' is not of the PLY format. Export it again.",
        ),
        (
            header("format binary_little_endian 1.0", "element vertex 99999999999", *(f"property {p}" for p in XYZ)),
            "its header promises 99,999,999,999 of element vertex, but the file ends before. It is cut short; "
            "export it again.",
        ),
        (
            header("format ascii 1.0", "element vertex 2", *(f"property {p}" for p in XYZ)) + b"1 2 3\n4 5\n",
            "its header promises 2 of element vertex, but the file ends before. It is cut short; export it again.",
        ),
        (
            header("format ascii 1.0", "element vertex 1", *(f"property {p}" for p in XYZ)) + b"1 2 x\n",
            "something other than numbers after its header. Export it again.",
        ),
        (
            header("format ascii 1.0", "element vertex 1", "property float x"),
            "its header promises 1 of element vertex, but the file ends before. It is cut short; export it again.",
        ),
        (
            header("format ascii 1.0", "element vertex 1", "property float x") + b"1\n",
            "its vertices have no x, y and z. Export it with positions.",
        ),
        (
            header("format ascii 1.0", "element face 1", "property list char int vertex_indices") + b"-3 1 2 3\n",
            "a list of -3 entries in element face. Export it again.",
        ),
    ],
)
def test_what_cannot_be_read(tmp_path, data, message):
    path = tmp_path / "a.ply"
    path.write_bytes(data)
    with pytest.raises(BadInput) as error:
        read(path, 1, None)
    assert str(error.value) == message
