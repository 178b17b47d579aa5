from __future__ import annotations

import base64
import json

import numpy as np
import pytest
import trimesh
from mesh_files import TETRA_FACES, TETRA_POINTS, Gltf, png

from lim_cli.errors import BadInput
from lim_cli.readers import read


def turn(axis, angle):
    """A quarter turn or any other about one axis, as xyzw and as a matrix, each from its own formula."""
    quaternion = [0.0, 0.0, 0.0, float(np.cos(angle / 2))]
    quaternion[axis] = float(np.sin(angle / 2))
    matrix = trimesh.transformations.rotation_matrix(angle, np.eye(3)[axis])
    return quaternion, matrix[:3, :3]


@pytest.mark.parametrize("suffix", [".glb", ".gltf"])
def test_points_and_triangles_are_those_of_the_file(tmp_path, suffix):
    gltf = Gltf()
    gltf.tetra(name="Body")
    contents = read(gltf.save(tmp_path / f"a{suffix}"), 1, None)
    assert contents.mesh.points.tobytes() == TETRA_POINTS.tobytes()
    assert contents.mesh.face_indices.reshape(-1, 3).tolist() == TETRA_FACES.tolist()
    assert contents.up_axis == "Y" and contents.metres_per_unit == 1
    assert [(part.name, part.faces) for part in contents.parts] == [("Body", 4)]
    assert contents.notes == ()


def test_nodes_move_their_meshes_in_the_order_of_the_scene(tmp_path):
    quaternion, rotation = turn(2, 0.7)
    gltf = Gltf()
    mesh = gltf.add("meshes", name="Shared", primitives=[gltf.primitive(TETRA_POINTS, TETRA_FACES)])
    matrix = np.eye(4)
    matrix[:3, 3] = [0, 10, 0]
    gltf.add("nodes", children=[2, 1], matrix=matrix.T.ravel().tolist())
    gltf.add("nodes", mesh=mesh, rotation=quaternion, scale=[1, 2, 3], translation=[1, 0, 0], name="Second")
    gltf.add("nodes", mesh=mesh, children=[3])
    gltf.add("nodes", mesh=mesh, translation=[0, 0, 5], name="Child")
    gltf.add("nodes", mesh=mesh, name="In another scene")
    gltf.tree["scenes"] = [{"nodes": [4]}, {"nodes": [0]}]
    gltf.tree["scene"] = 1
    contents = read(gltf.save(tmp_path / "a.glb"), 1, None)
    second = (TETRA_POINTS * [1, 2, 3]) @ rotation.T + [1, 10, 0]
    expected = [*(TETRA_POINTS + np.array(shift) for shift in ([0, 10, 0], [0, 10, 5])), second]
    np.testing.assert_allclose(contents.mesh.points, np.concatenate(expected), atol=1e-6)
    assert [part.name for part in contents.parts] == ["Shared", "Child", "Second"]
    assert contents.mesh.face_indices.reshape(3, -1, 3)[2].tolist() == (TETRA_FACES + 8).tolist()


def volume(mesh):
    a, b, c = mesh.points[mesh.triangles()].transpose(1, 0, 2).astype(float)
    return float(np.einsum("ij,ij->i", np.cross(a, b), c).sum() / 6)


def test_a_mirror_does_not_turn_faces_inside_out(tmp_path):
    gltf = Gltf()
    gltf.tetra(scale=[-2, 1, 1])
    mesh = read(gltf.save(tmp_path / "a.glb"), 1, None).mesh
    assert mesh.points[:, 0].min() == -2
    assert volume(mesh) == pytest.approx(2 / 6)


def test_what_another_program_wrote(tmp_path):
    scene = trimesh.Scene()
    for i in range(3):
        box = trimesh.creation.box()
        box.visual.vertex_colors = [[10 * i, 20, 30, 255]] * 8
        scene.add_geometry(box, node_name=f"n{i}", transform=trimesh.transformations.random_rotation_matrix())
    scene.export(tmp_path / "a.glb")
    mesh = read(tmp_path / "a.glb", 1, None).mesh
    whole = scene.to_mesh()
    np.testing.assert_allclose(mesh.points, whole.vertices, atol=1e-6)
    assert mesh.face_indices.reshape(-1, 3).tolist() == whole.faces.tolist()
    assert volume(mesh) == pytest.approx(3)


def test_texture_coordinates_have_their_origin_at_the_lower_left(tmp_path):
    gltf = Gltf()
    image = png([[[255, 0, 0], [0, 255, 0]]])
    given = np.array([[0, 0], [1, 0], [0.25, 0.75], [0, 1]], np.float32)
    gltf.add("images", bufferView=gltf.view(image), mimeType="image/png", name="Skin")
    gltf.add("textures", source=0)
    gltf.add("materials", name="m", pbrMetallicRoughness={"baseColorTexture": {"index": 0}})
    gltf.add("materials", name="unused", pbrMetallicRoughness={"baseColorTexture": {"index": 7}})
    bare = gltf.primitive(TETRA_POINTS, TETRA_FACES, TEXCOORD_0=gltf.accessor(given))
    gltf.add("nodes", mesh=gltf.add("meshes", primitives=[{**bare, "material": 0}, bare]))
    contents = read(gltf.save(tmp_path / "a.glb"), 1, None)
    mesh = contents.mesh
    assert mesh.st[mesh.st_indices[:12]].tolist() == (given * [1, -1] + [0, 1])[TETRA_FACES.ravel()].tolist()
    assert contents.materials[0].texture.data == image
    assert contents.materials[0].texture.name == "Skin"
    assert contents.face_materials.tolist() == [0] * 4 + [-1] * 4
    assert len(mesh.points) == 4  # primitives that share their points share them here
    assert mesh.face_indices.tolist() == [*TETRA_FACES.ravel(), *TETRA_FACES.ravel()]


def test_the_set_and_the_transform_that_the_texture_asks_for(tmp_path):
    gltf = Gltf()
    gltf.add("images", uri="data:image/png;base64," + base64.b64encode(png([[[9, 9, 9]]])).decode())
    gltf.add("textures", source=0)
    transform = {"offset": [0.5, 0.25], "rotation": float(np.pi / 2), "scale": [2, 4]}
    info = {"index": 0, "texCoord": 1, "extensions": {"KHR_texture_transform": transform}}
    gltf.add("materials", pbrMetallicRoughness={"baseColorTexture": info})
    zeros, given = np.zeros((4, 2)), np.array([[0, 0], [1, 0], [0, 1], [1, 1]], np.float32)
    sets = {"TEXCOORD_0": gltf.accessor(zeros), "TEXCOORD_1": gltf.accessor(given)}
    primitive = {**gltf.primitive(TETRA_POINTS, TETRA_FACES, **sets), "material": 0}
    gltf.tree["extensionsRequired"] = ["KHR_texture_transform"]
    gltf.add("nodes", mesh=gltf.add("meshes", primitives=[primitive]))
    mesh = read(gltf.save(tmp_path / "a.glb"), 1, None).mesh
    # A quarter turn takes u to -v and v to u, in coordinates with v down.
    moved = [[0.5, 0.25], [0.5, 0.25 - 2], [0.5 + 4, 0.25], [0.5 + 4, 0.25 - 2]]
    expected = np.array(moved) * [1, -1] + [0, 1]
    np.testing.assert_allclose(mesh.st[mesh.st_indices], expected[TETRA_FACES.ravel()], atol=1e-6)


def test_colors_are_linear_light_and_become_srgb(tmp_path):
    gltf = Gltf()
    light = np.array([[0, 0, 0, 1], [1, 1, 1, 1], [0.5, 0.5, 0.5, 1], [0.002, 0.2, 0.8, 0]], np.float32)
    expected = [[0, 0, 0], [255, 255, 255], [188, 188, 188], [7, 124, 231]]
    wide = gltf.accessor(np.round(light * 65535), np.uint16, normalized=True)
    for color in (gltf.accessor(light), wide):
        primitive = gltf.primitive(TETRA_POINTS, TETRA_FACES, COLOR_0=color)
        gltf.add("nodes", mesh=gltf.add("meshes", primitives=[primitive]))
    assert read(gltf.save(tmp_path / "a.glb"), 1, None).mesh.colors.tolist() == expected * 2


def test_strips_fans_and_triangles_without_indices(tmp_path):
    square = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0]], np.float32)
    gltf = Gltf()
    primitives = [
        {**gltf.primitive(square), "mode": 5},
        {**gltf.primitive(square[[0, 1, 3, 2]]), "mode": 6},
        gltf.primitive(square[[0, 1, 3, 3, 2, 0]]),
        {**gltf.primitive(square), "mode": 0},
        {**gltf.primitive(square), "mode": 1},
    ]
    gltf.add("nodes", mesh=gltf.add("meshes", primitives=primitives))
    contents = read(gltf.save(tmp_path / "a.glb"), 1, None)
    mesh = contents.mesh
    assert mesh.face_indices.reshape(-1, 3).tolist() == [
        [0, 1, 2], [1, 3, 2], [5, 6, 4], [6, 7, 4], [8, 9, 10], [11, 12, 13],
    ]  # fmt: skip
    a, b, c = mesh.points[mesh.triangles()].transpose(1, 0, 2)
    assert (np.cross(b - a, c - a)[:, 2] == 1).all()
    assert contents.notes == ("2 primitives of points or lines left out",)


def test_quantised_interleaved_and_sparse_accessors(tmp_path):
    gltf = Gltf()
    rows = np.zeros(4, np.dtype([("p", "<i2", 3), ("pad", "<u2"), ("t", "<u2", 2)]))
    rows["p"], rows["t"] = TETRA_POINTS * 32767, [[0, 0], [65535, 0], [0, 65535], [65535, 65535]]
    view = gltf.view(rows.tobytes(), byteStride=12)
    packed = {"bufferView": view, "count": 4, "normalized": True}
    sparse = {
        "count": 2,
        "indices": {"bufferView": gltf.view(np.array([1, 3], np.uint8).tobytes()), "componentType": 5121},
        "values": {"bufferView": gltf.view(np.array([[32767] * 3, [-32767] * 3], np.int16).tobytes())},
    }
    gltf.tree["accessors"] = [
        {**packed, "type": "VEC3", "componentType": 5122, "sparse": sparse},
        {**packed, "type": "VEC2", "componentType": 5123, "byteOffset": 8},
    ]
    gltf.tree["extensionsRequired"] = ["KHR_mesh_quantization"]
    primitive = {
        "attributes": {"POSITION": 0, "TEXCOORD_0": 1},
        "indices": gltf.accessor(TETRA_FACES.ravel(), np.uint8),
    }
    gltf.add("nodes", mesh=gltf.add("meshes", primitives=[primitive]))
    mesh = read(gltf.save(tmp_path / "a.glb"), 1, None).mesh
    assert mesh.points.tolist() == [[0, 0, 0], [1, 1, 1], [0, 1, 0], [-1, -1, -1]]
    assert mesh.st.tolist() == [[0, 1], [1, 1], [0, 0], [1, 0]]


def test_skins_and_morph_weights_as_they_stand(tmp_path):
    """A chain of two joints, the second bent: a point bound to it turns about the joint, one bound half to each
    lands half way."""
    quaternion, rotation = turn(2, np.pi / 2)
    gltf = Gltf()
    points = np.array([[0, 0, 0], [0, 2, 0], [0, 2, 1], [9, 9, 9]], np.float32)
    moved = np.array([[0, 0, 0], [0, 0, 0], [0, 0, 2], [0, 0, 0]], np.float32)
    joints = np.array([[0, 1, 0, 0]] * 4, np.uint8)
    weights = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0.5, 0.5, 0, 0], [0, 0, 0, 0]], np.float32)
    binds = np.tile(np.eye(4), (2, 1, 1))
    binds[1, 1, 3] = -1  # the second joint stands at y = 1 when it is bound
    inverse = gltf.accessor(binds.transpose(0, 2, 1).reshape(2, 16))
    primitive = gltf.primitive(
        points, TETRA_FACES, JOINTS_0=gltf.accessor(joints, np.uint8), WEIGHTS_0=gltf.accessor(weights)
    )
    primitive["targets"] = [{"POSITION": gltf.accessor(moved)}, {"NORMAL": gltf.accessor(moved)}]
    mesh = gltf.add("meshes", primitives=[primitive], weights=[1, 1])
    gltf.add("nodes", mesh=mesh, skin=0, weights=[0.5, 0], translation=[100, 0, 0], scale=[-1, 1, 1])
    gltf.add("nodes", children=[2], translation=[0, 0, 7])
    gltf.add("nodes", translation=[0, 1, 0], rotation=quaternion)
    gltf.add("skins", joints=[1, 2], inverseBindMatrices=inverse)
    contents = read(gltf.save(tmp_path / "a.glb"), 1, None)
    bent = rotation @ [0, 1, 2] + [0, 1, 7]
    expected = [[0, 0, 7], [-1, 1, 7], (np.array([0, 2, 9]) + bent) / 2, [9, 9, 9]]
    np.testing.assert_allclose(contents.mesh.points, expected, atol=1e-6)
    assert contents.mesh.face_indices.reshape(-1, 3).tolist() == TETRA_FACES.tolist()
    assert contents.notes == ("posed by its skin, as its joints stand",)


def test_a_texture_in_an_unknown_encoding(tmp_path):
    gltf = Gltf()
    gltf.add("textures", extensions={"KHR_texture_basisu": {"source": 0}})
    gltf.add("materials", pbrMetallicRoughness={"baseColorTexture": {"index": 0}})
    primitive = {**gltf.primitive(TETRA_POINTS, TETRA_FACES), "material": 0}
    gltf.add("nodes", mesh=gltf.add("meshes", primitives=[primitive]))
    with pytest.raises(BadInput) as error:
        read(gltf.save(tmp_path / "a.glb"), 1, None)
    assert str(error.value) == ("texture 0 is there as KHR_texture_basisu only. Export it with PNG or JPEG images.")


def broken(path, change):
    gltf = Gltf()
    gltf.tetra()
    change(gltf)
    with pytest.raises(BadInput) as error:
        read(gltf.save(path), 1, None)
    return str(error.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda g: g.tree.update(extensionsRequired=["KHR_draco_mesh_compression"]),
            "needs the extension KHR_draco_mesh_compression. Export it again without it, uncompressed.",
        ),
        (
            lambda g: g.tree["asset"].update(version="1.0"),
            "glTF version '1.0'; only 2.0 can be read. Export it again as glTF 2.0.",
        ),
        (
            lambda g: g.tree["accessors"][0].update(count=10**15),
            "more than 50,000,000 points in its scene. Export the deforming mesh alone.",
        ),
        (
            lambda g: g.tree["accessors"][1].update(count=10**15),
            "1,000,000,000,000,000 entries do not fit into buffer view 1. Export it again.",
        ),
        (
            lambda g: g.tree["accessors"][0].pop("bufferView"),
            "accessor 0 has no data. Export it again without compression.",
        ),
        (
            lambda g: g.tree["bufferViews"][1].update(byteLength=900),
            "buffer view 1 ends at byte 948 of 72. The file is cut short; export it again.",
        ),
        (
            lambda g: g.tree["meshes"][0]["primitives"][0].update(indices=g.accessor([0, 1, 4], np.uint16)),
            "face 0 of a primitive uses point 4, but there are 4 points, counted from 0. The file is damaged: "
            "export it again.",
        ),
        (
            lambda g: g.tree["meshes"][0]["primitives"][0].update(indices=g.accessor([0, 1, 2, 3], np.uint16)),
            "4 corners do not make whole triangles. Export it again.",
        ),
        (
            lambda g: g.tree.update(nodes=[{"children": [1]}, {"children": [0]}]),
            "nodes that are their own ancestors. Export it again.",
        ),
        (
            lambda g: g.tree.update(nodes=[{"children": [2]}, {"children": [2]}, {}]),
            "a node with two parents. Export it again.",
        ),
    ],
)
def test_what_cannot_be_read(tmp_path, change, message):
    assert broken(tmp_path / "a.glb", change) == message


def test_files_that_are_not_there(tmp_path):
    gltf = Gltf()
    gltf.tetra()
    gltf.save(tmp_path / "a.gltf")
    (tmp_path / "data file.bin").unlink()
    with pytest.raises(BadInput) as error:
        read(tmp_path / "a.gltf", 1, None)
    assert str(error.value) == (
        "data%20file.bin: no such file, though the glTF names it. Put it there, or export as GLB."
    )


def test_a_cut_file(tmp_path):
    gltf = Gltf()
    gltf.tetra()
    path = gltf.save(tmp_path / "a.glb")
    whole = path.read_bytes()
    path.write_bytes(whole[:-10])
    with pytest.raises(BadInput) as error:
        read(path, 1, None)
    size = len(whole)
    assert str(error.value) == (
        f"its header promises {size:,} bytes, but it has {size - 10:,}. It is cut short; export it again."
    )


def test_json_of_something_else(tmp_path):
    (tmp_path / "a.gltf").write_text(json.dumps({"type": "FeatureCollection"}))
    with pytest.raises(BadInput, match=r"no glTF asset in its JSON\. Export it again\."):
        read(tmp_path / "a.gltf", 1, None)
