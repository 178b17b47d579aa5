from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import trimesh
from mesh_files import COLORS, CORNERS, COUNTS, POINTS, TETRA_FACES, TETRA_POINTS, Gltf, obj_lines, ply, png, tetra_obj
from pxr import Sdf, Usd, UsdGeom, UsdShade, Vt

from lim_cli.errors import BadInput
from lim_cli.keyframes import load_keyframes


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def stage(path, up="Z", metres=0.01, samples=(), scale=1.0):
    made = Usd.Stage.CreateNew(str(path))
    UsdGeom.SetStageUpAxis(made, up)
    UsdGeom.SetStageMetersPerUnit(made, metres)
    for name, shift in (("body", 0), ("head", 3)):
        mesh = UsdGeom.Mesh.Define(made, f"/World/{name}")
        mesh.GetFaceVertexCountsAttr().Set([3] * 4)
        mesh.GetFaceVertexIndicesAttr().Set(TETRA_FACES.ravel().tolist())
        points = (TETRA_POINTS + shift) * scale
        for time in samples or (Usd.TimeCode.Default(),):
            moved = points + (time if samples else 0)
            mesh.GetPointsAttr().Set(Vt.Vec3fArray.FromNumpy(np.ascontiguousarray(moved, np.float32)), time)
    made.Save()
    return made


def test_every_format_in_one_track(folder):
    (folder / "a.obj").write_text(tetra_obj())
    ply(folder / "b.ply", "ascii", [
        ("vertex", ["float x", "float y", "float z"], TETRA_POINTS.tolist()),
        ("face", ["list uchar int vertex_indices"], [[f] for f in TETRA_FACES.tolist()]),
    ])  # fmt: skip
    trimesh.Trimesh(TETRA_POINTS, TETRA_FACES, process=False).export("c.stl")
    gltf = Gltf()
    gltf.tetra()
    gltf.save(folder / "d.glb")
    gltf.save(folder / "e.gltf")
    for suffix in ("usd", "usda", "usdc"):
        stage(folder / f"f.{suffix}", up="Y", metres=1)
    words = ["1=a.obj", "2=b.ply", "3=c.stl", "4=d.glb", "5=e.gltf", "6=f.usd", "7=f.usda", "8=f.usdc"]
    loaded = load_keyframes(words)
    assert [(k.time, k.name) for k in loaded.keyframes] == [
        (float(i + 1), word.partition("=")[2]) for i, word in enumerate(words)
    ]
    for keyframe in loaded.keyframes[:5]:
        mesh = keyframe.mesh
        assert mesh.points[mesh.face_indices].tolist() == TETRA_POINTS[TETRA_FACES.ravel()].tolist()
    for keyframe in loaded.keyframes[5:]:
        assert keyframe.mesh.points.tolist() == [*TETRA_POINTS.tolist(), *(TETRA_POINTS + 3).tolist()]
        assert keyframe.mesh.face_indices.tolist() == [*TETRA_FACES.ravel(), *(TETRA_FACES + 4).ravel()]
    assert loaded.source.up_axis == "Y" and loaded.source.metres_per_unit == 1
    assert loaded.source.mesh is loaded.keyframes[0].mesh
    assert loaded.notes == [
        "keyframe 3 (c.stl): 4 loose triangles joined at equal corners into 4 points: STL keeps no points of its own",
        "keyframes 1, 2, 3 state no up axis, taken as Y up like the others",
        "keyframes 1, 2, 3 state no unit, taken as m like the others",
    ]


def test_importing_the_reader_imports_no_library_of_a_format():
    code = "import sys, lim_cli.keyframes; print(*sorted({m.partition('.')[0] for m in sys.modules}))"
    found = set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())
    assert not found & {"trimesh", "PIL", "pxr", "tinyobjloader", "torch", "scipy"}
    assert "numpy" in found


def test_a_stage_gives_its_samples(folder):
    stage(folder / "shot.usdc", samples=(1001, 1009, 1017))
    loaded = load_keyframes(["shot.usdc"])
    assert [k.time for k in loaded.keyframes] == [1001, 1009, 1017]
    assert [k.mesh.points[0, 0] for k in loaded.keyframes] == [1001, 1009, 1017]
    assert loaded.notes[0] == "shot.usdc: all 3 time samples from 1001 to 1017 are keyframes"
    between = load_keyframes(["shot.usdc"], keys="1001,1005-1017x8")
    assert [(k.time, k.mesh.points[0, 0]) for k in between.keyframes] == [(1001, 1001), (1005, 1005), (1013, 1013)]
    head = load_keyframes(["shot.usdc"], keys="1001,1017", prim="/World/head")
    assert len(head.source.mesh.points) == 4 and head.source.mesh.points[0, 0] == 1004
    assert head.source.up_axis == "Z" and head.source.metres_per_unit == 0.01


def test_usd_files_of_one_pose_each_stand_where_their_names_say(folder):
    stage(folder / "a.1001.usd", samples=(1,))
    stage(folder / "a.1009.usd")
    stage(folder / "a.1017.usd", samples=(1001, 1017))
    loaded = load_keyframes(["a.1001.usd", "a.1009.usd", "a.1017.usd"])
    assert [(k.time, k.mesh.points[0, 0]) for k in loaded.keyframes] == [(1001, 1), (1009, 0), (1017, 1017)]


def bad(words, **options):
    with pytest.raises(BadInput) as error:
        load_keyframes(words, **options)
    return str(error.value)


def test_stages_that_cannot_be_keyframes(folder):
    stage(folder / "still.usda")
    assert bad(["still.usda"]) == (
        "still.usda: one keyframe only, as no mesh in it has time samples. Give a stage whose points are animated, or "
        "add another file: 1001=still.usda 1024=PATH."
    )
    stage(folder / "long.usdc", samples=range(1, 202))
    assert bad(["long.usdc"]) == (
        "long.usdc: 201 time samples from 1 to 201, more than 200. Pick the keyframes with --keys, such as "
        "--keys 1-201x10."
    )
    assert bad(["long.usdc"], keys="1,300") == (
        "keyframe 300 (long.usdc): frame 300 is outside of its samples, 1 to 201. Ask for a frame in that range."
    )
    assert bad(["long.usdc"], keys="1,2", prim="tail") == (
        "long.usdc: has no prim tail. Its meshes are /World/body, /World/head."
    )
    (folder / "empty.usda").write_text("#usda 1.0\n")
    assert bad(["empty.usda"]) == "empty.usda: holds no mesh (no geometry). Export polygons."


def test_one_part_of_each_file(folder):
    shifted = TETRA_POINTS + 2
    points = obj_lines("v", [*TETRA_POINTS, *shifted])
    body, head = "o body\n" + obj_lines("f", TETRA_FACES + 1), "o head\n" + obj_lines("f", TETRA_FACES + 5)
    (folder / "a.1.obj").write_text(points + head + body + head)
    gltf = Gltf()
    gltf.tetra(name="body")
    gltf.tetra(name="head", translation=[2, 2, 2])
    gltf.save(folder / "b.2.glb")
    stage(folder / "c.3.usda", up="Y", metres=1)
    trimesh.Trimesh(TETRA_POINTS, TETRA_FACES, process=False).export("d.4.stl")
    words = ["a.1.obj", "b.2.glb", "c.3.usda", "d.4.stl"]
    loaded = load_keyframes(words, prim="head")
    assert loaded.source.mesh.points.tolist() == shifted.tolist()
    assert loaded.source.mesh.face_indices.reshape(-1, 3).tolist() == [*TETRA_FACES.tolist()] * 2
    assert [len(k.mesh.points) for k in loaded.keyframes] == [4, 4, 4, 4]
    assert "keyframe 4 (d.4.stl): the format has no names: taken whole" in loaded.notes
    assert load_keyframes(words[:2], prim="/World/body").source.mesh.points.tolist() == TETRA_POINTS.tolist()
    assert bad(words[:2], prim="tail") == (
        "keyframe 1 (a.1.obj): no part is named 'tail'. Its parts are head, body. Choose one of them with --prim."
    )


def textured_obj(folder, name, image):
    (folder / f"{name}.png").write_bytes(image)
    (folder / f"{name}.mtl").write_text(f"newmtl skin\nmap_Kd {name}.png\n")
    corners = "\n".join("f " + " ".join(f"{i + 1}/{i + 1}" for i in f) for f in TETRA_FACES.tolist())
    st = "vt 0.25 0.75\nvt 0.75 0.75\nvt 0.25 0.25\nvt 1.75 -0.75\n"
    points = tetra_obj().partition("f ")[0]
    (folder / f"{name}.obj").write_text(f"mtllib {name}.mtl\nusemtl skin\n{points}{st}{corners}\n")
    return f"{name}.obj"


QUARTERS = [[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [9, 99, 199]]]


def test_points_take_their_colors_from_the_texture(folder):
    name = textured_obj(folder, "a", png(QUARTERS))
    loaded = load_keyframes([f"1={name}", f"2={name}"])
    # Texture coordinates count from the lower left, the rows of an image from the top; 1.75 repeats 0.75.
    assert loaded.source.mesh.colors.tolist() == [[255, 0, 0], [0, 255, 0], [0, 0, 255], [9, 99, 199]]
    assert loaded.source.texture.name == "a.png" and loaded.source.texture.data == png(QUARTERS)


def test_images_that_usd_does_not_know_become_png(folder):
    name = textured_obj(folder, "a", png(QUARTERS, "TIFF"))
    loaded = load_keyframes([f"1={name}", f"2={name}"])
    assert loaded.source.texture.data.startswith(b"\x89PNG")
    assert loaded.source.mesh.colors.tolist() == [[255, 0, 0], [0, 255, 0], [0, 0, 255], [9, 99, 199]]
    assert loaded.notes == ["keyframes 1, 2: texture a.png is neither PNG nor JPEG, and is written as PNG"]


def test_of_many_textures_the_one_on_most_faces_is_kept(folder):
    for i in range(3):
        (folder / f"{i}.png").write_bytes(png([[[10 * i, 0, 0]]]))
    (folder / "a.mtl").write_text("".join(f"newmtl m{i}\nmap_Kd {i % 3}.png\n" for i in range(4)))
    lines = [tetra_obj().partition("f ")[0], "vt 0 0\nmtllib a.mtl"]
    order = [(0, 0), (1, 1), (2, 1), (3, 2), (0, 3), (3, 0)]  # material, face: m0 and m3 have one image
    for material, face in order:
        lines.append(f"usemtl m{material}\nf " + " ".join(f"{i + 1}/1" for i in TETRA_FACES[face]))
    (folder / "a.obj").write_text("\n".join(lines))
    loaded = load_keyframes(["1=a.obj", "2=a.obj"])
    assert loaded.source.texture.name == "0.png"
    assert loaded.notes[-1] == (
        "keyframes 1, 2: 3 textures: 0.png is on most faces and is kept for the whole mesh, and 1.png, 2.png only lend "
        "their colours to the points. Bake them into one, or pick a part with --prim."
    )


def test_flat_materials_color_the_points(folder):
    gltf = Gltf()
    for red in (0.0, 1.0):
        gltf.add("materials", pbrMetallicRoughness={"baseColorFactor": [red, 0, 0, 1]})
        primitive = {**gltf.primitive(TETRA_POINTS + red, TETRA_FACES), "material": int(red)}
        gltf.add("nodes", mesh=gltf.add("meshes", primitives=[primitive]))
    gltf.save(folder / "a.glb")
    gltf.tree["nodes"] = gltf.tree["nodes"][:1]
    gltf.save(folder / "b.glb")
    loaded = load_keyframes(["1=a.glb", "2=b.glb"])
    assert loaded.keyframes[0].mesh.colors.tolist() == [[0, 0, 0]] * 4 + [[255, 0, 0]] * 4
    assert loaded.keyframes[1].mesh.colors is None  # one colour for all tells nothing


def vertex_colored(path, colors):
    rows = [[*p, *c] for p, c in zip(POINTS.tolist(), colors, strict=True)]
    faces = np.split(CORNERS, np.cumsum(COUNTS)[:-1])
    columns = ["float x", "float y", "float z", "uchar red", "uchar green", "uchar blue"]
    lists = ["list uchar int vertex_indices"]
    return ply(path, "ascii", [("vertex", columns, rows), ("face", lists, [[f.tolist()] for f in faces])])


def test_vertex_colors_are_kept(folder):
    vertex_colored(folder / "a.ply", COLORS.tolist())
    vertex_colored(folder / "b.ply", [[7, 8, 9]] * 8)
    loaded = load_keyframes(["1=a.ply", "2=b.ply"])
    assert loaded.keyframes[0].mesh.colors.tolist() == COLORS.tolist()
    assert loaded.keyframes[1].mesh.colors.tolist() == [[7, 8, 9]] * 8


def test_a_texture_on_a_stage_reaches_the_source(folder):
    made = stage(folder / "a.usda", samples=(1, 2))
    (folder / "skin.png").write_bytes(png(QUARTERS))
    material = UsdShade.Material.Define(made, "/World/m")
    surface, texture = (UsdShade.Shader.Define(made, f"/World/m/{name}") for name in ("surface", "texture"))
    surface.CreateIdAttr("UsdPreviewSurface")
    texture.CreateIdAttr("UsdUVTexture")
    texture.CreateInput("file", Sdf.ValueTypeNames.Asset).Set("skin.png")
    color = texture.CreateOutput("rgb", Sdf.ValueTypeNames.Float3)
    surface.CreateInput("diffuseColor", Sdf.ValueTypeNames.Color3f).ConnectToSource(color)
    material.CreateSurfaceOutput().ConnectToSource(surface.CreateOutput("surface", Sdf.ValueTypeNames.Token))
    body = made.GetPrimAtPath("/World/body")
    UsdShade.MaterialBindingAPI.Apply(body).Bind(material)
    kind, corners = Sdf.ValueTypeNames.TexCoord2fArray, UsdGeom.Tokens.vertex
    st = UsdGeom.PrimvarsAPI(body).CreatePrimvar("st", kind, corners)
    st.Set([(0.25, 0.75), (0.75, 0.75), (0.25, 0.25), (0.75, 0.25)])
    made.Save()
    loaded = load_keyframes(["a.usda"], prim="body")
    assert loaded.source.texture.data == png(QUARTERS)
    assert loaded.source.mesh.colors.tolist() == [[255, 0, 0], [0, 255, 0], [0, 0, 255], [9, 99, 199]]


def test_axes_and_units_become_the_first_ones(folder):
    stage(folder / "a.usda", up="Z", metres=0.01, scale=100)
    gltf = Gltf()
    gltf.tetra()
    gltf.tetra(translation=[3, 3, 3])
    gltf.save(folder / "b.glb")
    (folder / "c.obj").write_text(tetra_obj(300))
    words = ["1=a.usda", "2=b.glb", "3=c.obj"]
    loaded = load_keyframes(words)
    assert loaded.source.up_axis == "Z" and loaded.source.metres_per_unit == 0.01
    y_up = np.concatenate([TETRA_POINTS, TETRA_POINTS + 3])
    expected = np.stack([y_up[:, 0], -y_up[:, 2], y_up[:, 1]], axis=1) * 100
    np.testing.assert_allclose(loaded.keyframes[1].mesh.points, expected, atol=1e-4)
    assert loaded.keyframes[2].mesh.points.max() == 300
    assert loaded.notes == [
        "keyframe 3 states no up axis, taken as Z up like the others",
        "keyframe 3 states no unit, taken as cm like the others",
        "keyframe 2 (b.glb): turned from Y up to Z up",
        "keyframe 2 (b.glb): scaled by 100, from m to cm",
    ]


def test_options_say_what_files_are_in_whatever_they_say(folder):
    (folder / "a.obj").write_text(tetra_obj(100))
    gltf = Gltf()
    gltf.tetra(scale=[100, 100, 100])
    gltf.save(folder / "b.glb")
    plain = load_keyframes(["1=a.obj", "2=b.glb"], up_axis="z", units="cm")
    assert plain.source.up_axis == "Z" and plain.source.metres_per_unit == 0.01
    np.testing.assert_allclose(plain.keyframes[1].mesh.points, TETRA_POINTS * 100)
    each = load_keyframes(["1=a.obj", "2=b.glb"], up_axis="1=Z", units="1=cm,2=0.01")
    x, y, z = TETRA_POINTS.T * 100
    np.testing.assert_allclose(each.keyframes[1].mesh.points, np.stack([x, -z, y], axis=1))
    assert each.notes == ["keyframe 2 (b.glb): turned from Y up to Z up"]


def test_sizes_that_only_a_unit_explains(folder):
    (folder / "a.obj").write_text(tetra_obj(0.05))
    (folder / "b.obj").write_text(tetra_obj(4.9))
    assert bad(["1=a.obj", "9=b.obj"]) == (
        "keyframe 9 (b.obj): 98 times larger than keyframe 1 (a.obj), so they are likely in different units. Say "
        "which with --units 1=m,9=cm, or export both in one unit."
    )
    loaded = load_keyframes(["1=a.obj", "9=b.obj"], units="1=m,9=cm")
    np.testing.assert_allclose(loaded.keyframes[1].mesh.points.max(), 0.049, rtol=1e-6)
    assert loaded.notes == ["keyframe 9 (b.obj): scaled by 0.01, from cm to m"]
    (folder / "c.obj").write_text(tetra_obj(0.05 / 1000))
    assert bad(["1=a.obj", "9=c.obj"]).endswith(
        "(c.obj): 1,000 times smaller than keyframe 1 (a.obj), so they are likely in different units. Say which with "
        "--units 1=mm,9=m, or export both in one unit."
    )
    (folder / "d.obj").write_text(tetra_obj(10))
    assert "--units 1=UNIT,9=UNIT" in bad(["1=a.obj", "9=d.obj"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"up_axis": "x"}, "--up-axis x: not an up axis. Write Y or Z, or FRAME=Y,FRAME=Z."),
        (
            {"units": "parsec"},
            "--units parsec: not a unit. Write mm, cm, dm, m, km, in, ft, yd, or how many metres it is, such as 0.01; "
            "or FRAME=UNIT,FRAME=UNIT.",
        ),
        ({"units": "1=m,7=cm"}, "--units 1=m,7=cm: '7' is not a keyframe. Keyframes are 1, 2."),
    ],
)
def test_options_that_say_nothing(folder, options, message):
    (folder / "a.1.obj").write_text(tetra_obj())
    (folder / "a.2.obj").write_text(tetra_obj())
    assert bad(["a.1.obj", "a.2.obj"], **options) == message


def test_a_part_keeps_the_colors_and_texture_coordinates_of_its_points(folder):
    points = np.concatenate([TETRA_POINTS, TETRA_POINTS + 2])
    colors = np.arange(24).reshape(8, 3) * 10
    corners = "\n".join("f " + " ".join(f"{i + 5}/{i + 1}" for i in face) for face in TETRA_FACES.tolist())
    text = obj_lines("v", np.hstack([points, colors])) + obj_lines("vt", np.arange(8).reshape(4, 2) / 8)
    (folder / "a.obj").write_text(text + "o body\n" + obj_lines("f", TETRA_FACES + 1) + "o head\n" + corners + "\n")
    mesh = load_keyframes(["1=a.obj", "2=a.obj"], prim="head").source.mesh
    assert mesh.colors.tolist() == colors[4:].tolist()
    assert mesh.st[mesh.st_indices].tolist() == (np.arange(8).reshape(4, 2) / 8)[TETRA_FACES.ravel()].tolist()
