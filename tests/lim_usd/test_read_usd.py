"""Which meshes of a stage read_usd takes, and in what shape."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pxr import Usd, UsdGeom
from stage_files import FACE_VARYING, MOVING, SQUARE, ST, TRANSLATED, corners, mesh, stage
from usd_assets import png, sheet, write

from lim_usd.read import read_usd
from lim_usd.source import BadSource


def test_our_own_assets_are_sources_again(tmp_path: Path):
    given = sheet(texture=png(), up_axis="Z", metres_per_unit=0.1)
    write(tmp_path / "a.usd", given, [1, 2])
    source = read_usd(tmp_path / "a.usd", 2)
    assert np.array_equal(source.mesh.face_counts, given.mesh.face_counts)
    assert np.array_equal(source.mesh.face_indices, given.mesh.face_indices)
    assert np.array_equal(source.mesh.st[source.mesh.st_indices], given.mesh.st[given.mesh.st_indices])
    assert np.array_equal(source.mesh.colors, given.mesh.colors)
    assert [(part.name, part.faces) for part in source.parts] == [("left_wing", 18), ("right_wing", 19)]
    assert source.texture.data == given.texture.data
    assert (source.up_axis, source.metres_per_unit) == ("Z", 0.1)
    assert source.notes == ()


def test_what_a_stage_does_not_say_is_none(tmp_path: Path):
    source = read_usd(stage(tmp_path / "a.usda", mesh()))
    assert (source.up_axis, source.metres_per_unit) == (None, None)
    assert source.mesh.st is source.mesh.colors is source.texture is None
    source = read_usd(stage(tmp_path / "b.usda", mesh(), 'upAxis = "Y"\nmetersPerUnit = 1'))
    assert (source.up_axis, source.metres_per_unit) == ("Y", 1)


def test_transforms_above_the_mesh_are_applied(tmp_path: Path):
    body = f"""
    def Xform "a" {{
        double3 xformOp:translate = (10, 0, 0)
        uniform token[] xformOpOrder = ["xformOp:translate"]
        def Scope "between" {{
            def Xform "b" {{
                float3 xformOp:scale = (2, 3, 4)
                float xformOp:rotateZ = 90
                uniform token[] xformOpOrder = ["xformOp:scale", "xformOp:rotateZ"]
                {mesh()}
            }}
        }}
    }}"""
    source = read_usd(stage(tmp_path / "a.usda", body))
    # (x, y) turned by 90 degrees is (-y, x), then scaled, then moved.
    expected = [(10 - 2 * y, 3 * x, 4 * z) for x, y, z in SQUARE]
    assert np.allclose(source.mesh.points, expected, atol=1e-6)


def test_far_from_the_origin_nothing_is_lost_but_the_last_bits(tmp_path: Path):
    body = f"""
    def Xform "a" {{
        double3 xformOp:translate = (100000, 0, 0)
        uniform token[] xformOpOrder = ["xformOp:translate"]
        def Xform "b" {{
            double3 xformOp:translate = (-100000, 0, 0)
            uniform token[] xformOpOrder = ["xformOp:translate"]
            {mesh()}
        }}
    }}"""
    assert np.array_equal(read_usd(stage(tmp_path / "a.usda", body)).mesh.points, np.float32(SQUARE))


def facing(source) -> np.ndarray:
    """The direction that each face looks in, by its winding."""
    triangles = source.mesh.points[source.mesh.triangles()]
    normals = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    return normals / np.linalg.norm(normals, axis=1, keepdims=True)


MIRROR = 'float3 xformOp:scale = (1, 1, -1)\nuniform token[] xformOpOrder = ["xformOp:scale"]'
LEFT_HANDED = 'uniform token orientation = "leftHanded"'


@pytest.mark.parametrize(("extra", "z"), [("", 1), (LEFT_HANDED, -1), (MIRROR, -1), (LEFT_HANDED + "\n" + MIRROR, 1)])
def test_faces_are_counter_clockwise_from_outside(tmp_path: Path, extra: str, z: int):
    # The scale along Z mirrors, but leaves this flat mesh where it is: only its outside changes sides.
    plain = read_usd(stage(tmp_path / "plain.usda", mesh(extra="texCoord2f[] primvars:st = [" + ST + FACE_VARYING)))
    source = read_usd(
        stage(tmp_path / "a.usda", mesh(extra=extra + "\ntexCoord2f[] primvars:st = [" + ST + FACE_VARYING))
    )
    assert np.allclose(facing(source), [0, 0, z])
    assert np.array_equal(source.mesh.face_counts, [3, 3, 4])
    # Whichever way a face is walked, a point keeps its texture coordinate, and the first corner stays the first.
    for each in (plain, source):
        assert np.allclose(each.mesh.st[each.mesh.st_indices], corners(each)[:, :2] / 2)
    assert np.array_equal(corners(source)[[0, 3, 6]], corners(plain)[[0, 3, 6]])


def test_several_meshes_become_one_in_stage_order(tmp_path: Path):
    moved = "double3 xformOp:translate = (0, 0, 5)\n" + TRANSLATED
    body = mesh("b") + mesh("a", extra=f"texCoord2f[] primvars:st = [{ST}{FACE_VARYING}\n{moved}")
    source = read_usd(stage(tmp_path / "a.usda", body))
    assert [(part.name, part.faces) for part in source.parts] == [("b", 3), ("a", 3)]
    assert np.array_equal(source.mesh.points[:, 2], [0] * 6 + [5] * 6)
    assert source.mesh.face_indices.tolist()[10:] == [6, 7, 8, 6, 8, 9, 7, 10, 11, 8]
    st = source.mesh.st[source.mesh.st_indices]
    assert np.array_equal(st[:10], np.zeros((10, 2)))
    assert np.allclose(st[10:], corners(source)[10:, :2] / 2)
    assert source.notes == ("some meshes have no texture coordinates, their corners are all at (0, 0)",)


def test_what_a_render_does_not_show_is_left_out_and_told(tmp_path: Path):
    body = (
        mesh("shown")
        + mesh("hidden", extra='token visibility = "invisible"')
        + mesh("guide", extra='uniform token purpose = "guide"')
        + mesh("proxy", extra='uniform token purpose = "proxy"')
        + mesh("render", extra='uniform token purpose = "render"')
        + mesh("empty", points="point3f[] points = []", faces="int[] faceVertexCounts = []")
        + mesh("off").replace('"off"', '"off" (active = false)')
        + mesh("class").replace("def", "class", 1)
        + 'def Sphere "ball" {}\ndef PointInstancer "crowd" {\n'
        + mesh("prototype")
        + "}\n"
        + 'def Scope "group" {\ntoken visibility = "invisible"\n'
        + mesh("inside")
        + "}\n"
    )
    source = read_usd(stage(tmp_path / "a.usda", body))
    assert [part.name for part in source.parts] == ["shown", "render"]
    told = "\n".join(source.notes)
    for words in [
        "hidden meshes are left out: /hidden, /group/inside",
        "meshes of purpose guide are left out: /guide",
        "meshes of purpose proxy are left out: /proxy",
        "meshes without faces are left out: /empty",
        "only meshes are read: 1 Sphere left out",
        "point instancers are left out: /crowd",
    ]:
        assert words in told
    # What is asked for by name is taken, shown or not.
    assert len(read_usd(tmp_path / "a.usda", prim="/hidden").mesh.points) == 6


def test_visibility_is_that_of_the_frame(tmp_path: Path):
    blink = 'token visibility.timeSamples = {1: "inherited", 5: "invisible"}'
    path = stage(tmp_path / "a.usda", mesh("a") + mesh("b", extra=blink + "\n" + MOVING))
    assert [part.name for part in read_usd(path, 1).parts] == ["a", "b"]
    assert [part.name for part in read_usd(path, 5).parts] == ["a"]


def test_references_and_instances_are_followed(tmp_path: Path):
    stage(tmp_path / "part.usda", f'def Xform "part" {{\n{mesh()}}}\n', 'defaultPrim = "part"')
    moved = "double3 xformOp:translate = (0, 0, {})\n" + TRANSLATED
    body = "".join(
        f'def "copy{i}" (instanceable = true\nprepend references = @./part.usda@) {{\n{moved.format(i)}\n}}\n'
        for i in range(3)
    )
    source = read_usd(stage(tmp_path / "a.usda", body))
    assert np.array_equal(source.mesh.points[::6, 2], [0, 1, 2])
    assert np.array_equal(read_usd(tmp_path / "a.usda", prim="/copy2/mesh").mesh.points[:, 2], [2] * 6)


def test_what_cannot_be_found_is_told(tmp_path: Path):
    body = mesh() + 'def Xform "more" (references = @./gone.usda@) {}\n'
    assert "gone.usda" in "".join(read_usd(stage(tmp_path / "a.usda", body)).notes)
    with pytest.raises(BadSource, match=r"holds no mesh .*gone.usda"):
        read_usd(stage(tmp_path / "b.usda", 'def Xform "all" (references = @./gone.usda@) {}\n'))


def test_subsets_that_are_runs_of_faces_are_parts(tmp_path: Path):
    kind = 'uniform token elementType = "face"\nuniform token familyName = "{}"'
    subset = 'def GeomSubset "{}" {{\n' + kind + "\nint[] indices = {}\n}}\n"
    runs = subset.format("ends", "materialBind", "[2]")
    source = read_usd(stage(tmp_path / "a.usda", mesh(extra=runs)))
    assert [(part.name, part.faces) for part in source.parts] == [("mesh", 2), ("ends", 1)]
    mixed = subset.format("a", "x", "[0, 2]") + subset.format("b", "x", "[1]")
    source = read_usd(stage(tmp_path / "b.usda", mesh(extra=mixed)))
    assert [(part.name, part.faces) for part in source.parts] == [("mesh", 3)]
    assert "not runs of faces" in source.notes[0]
    source = read_usd(stage(tmp_path / "c.usda", mesh(extra=mixed + runs)))
    assert [part.name for part in source.parts] == ["mesh", "ends"]


def test_faces_that_are_none_are_left_out_and_told(tmp_path: Path):
    faces = "int[] faceVertexCounts = [3, 2, 3, 4]\nint[] faceVertexIndices = [0, 1, 2, 0, 1, 0, 2, 3, 1, 4, 5, 2]"
    st = ST.split("), ")
    st = "), ".join([*st[:3], "(9, 9", "(9, 9", *st[3:]])
    extra = f"texCoord2f[] primvars:st = [{st}{FACE_VARYING}\nint[] holeIndices = [0]"
    source = read_usd(stage(tmp_path / "a.usda", mesh(faces=faces, extra=extra)))
    assert source.mesh.face_counts.tolist() == [3, 4]
    assert source.mesh.face_indices.tolist() == [0, 2, 3, 1, 4, 5, 2]
    assert np.allclose(source.mesh.st[source.mesh.st_indices], corners(source)[:, :2] / 2)
    assert source.notes == ("2 faces are left out, holes or of less than 3 corners: /mesh",)


def test_a_subdivision_surface_is_taken_by_its_cage_and_told(tmp_path: Path):
    body = mesh().replace('"none"', '"catmullClark"')
    source = read_usd(stage(tmp_path / "a.usda", body))
    assert len(source.mesh.points) == 6
    assert source.notes == ("a catmullClark subdivision surface is taken by its cage: /mesh",)


def test_arrays_are_the_readers_own(tmp_path: Path):
    """What is read must not lie in the mapped file, which the next run may replace or cut short."""
    write(tmp_path / "a.usd", sheet(texture=png()))
    mesh_read = read_usd(tmp_path / "a.usd", 1).mesh
    for array in (mesh_read.points, mesh_read.face_counts, mesh_read.face_indices, mesh_read.st, mesh_read.st_indices):
        while isinstance(array, np.ndarray):
            owner, array = array, array.base
        assert array is None, "not numpy's"
        assert owner.flags.writeable


def test_the_stage_is_read_as_it_is_on_disk_at_z_up(tmp_path: Path):
    made = Usd.Stage.CreateNew(str(tmp_path / "z.usdc"))
    UsdGeom.SetStageUpAxis(made, UsdGeom.Tokens.z)
    UsdGeom.SetStageMetersPerUnit(made, UsdGeom.LinearUnits.inches)
    cube = UsdGeom.Mesh.Define(made, "/m")
    cube.CreatePointsAttr(SQUARE)
    cube.CreateFaceVertexCountsAttr([3])
    cube.CreateFaceVertexIndicesAttr([0, 1, 2])
    made.Save()
    source = read_usd(tmp_path / "z.usdc")
    assert (source.up_axis, source.metres_per_unit) == ("Z", 0.0254)
    assert source.mesh.points.dtype == np.float32
