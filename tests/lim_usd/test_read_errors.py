"""Prims that are asked for in vain, and files and meshes that cannot be used."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from stage_files import FACE_VARYING, FACES, POINTS, ST, mesh, samples, stage

from lim_usd.read import read_usd, time_samples
from lim_usd.source import BadSource


@pytest.mark.parametrize("name", ["/group/b", "group/b", "b"])
def test_a_prim_may_be_named_by_its_path_or_the_end_of_it(tmp_path: Path, name: str):
    body = mesh("a") + 'def Xform "group" {\n' + mesh("b", points=samples({1: 7})) + "}\n"
    source = read_usd(stage(tmp_path / "a.usda", body), prim=name)
    assert [part.name for part in source.parts] == ["b"]
    assert np.allclose(source.mesh.points[:, 2], 7)


@pytest.mark.parametrize(
    ("prim", "words"),
    [
        ("/nobody", r"has no prim /nobody. Its meshes are /a/body, /b/body, /b/head"),
        ("not a path!", r"has no prim not a path!"),
        ("/a", r"prim /a is a Xform, not a Mesh. Its meshes are /a/body, /b/body, /b/head"),
        ("body", r"prim body could be any of /a/body, /b/body"),
        ("/off", r"prim /off is not active"),
    ],
)
def test_a_prim_that_cannot_be_is_answered_with_those_there_are(tmp_path: Path, prim: str, words: str):
    off = mesh("off").replace('"off"', '"off" (active = false)')
    body = f'def Xform "a" {{\n{mesh("body")}}}\ndef Xform "b" {{\n{mesh("body")}{mesh("head")}}}\n{off}'
    path = stage(tmp_path / "a.usda", body)
    for attempt in (lambda: read_usd(path, prim=prim), lambda: time_samples(path, prim)):
        with pytest.raises(BadSource, match=words) as error:
            attempt()
        assert str(error.value).startswith(f"{path}: ")


BAD = {
    "the mesh is empty": mesh(points="point3f[] points = []", faces="int[] faceVertexCounts = []"),
    "6 points and no faces": mesh(faces=""),
    "its faces have 10 corners, but 9 corners name points": mesh(faces=FACES.replace(", 2]", "]")),
    "face index 6 at corner 8, but there are 6 points": mesh(faces=FACES.replace("4, 5", "4, 6")),
    "face index -1 at corner 8": mesh(faces=FACES.replace("4, 5", "4, -1")),
    "its faces have 4 corners": mesh(faces=FACES.replace("[3, 3, 4]", "[3, -3, 4]")),
    "point 2 is not finite .*, one of 2": mesh(
        points=POINTS.replace("(1, 1, 0)", "(nan, 1, 0)").replace("(2, 1", "(inf, 1")
    ),
    "primvars:st .faceVarying. has 9 values where the mesh needs 10": mesh(
        extra="texCoord2f[] primvars:st = [" + ST.rpartition(", (")[0] + FACE_VARYING
    ),
    "primvars:st has indices from 0 to 10 into 10 values": mesh(
        extra=f"texCoord2f[] primvars:st = [{ST}{FACE_VARYING}\nint[] primvars:st:indices = [0,1,2,3,4,5,6,7,8,10]"
    ),
    "texture coordinate 1 is not finite": mesh(
        extra=f"texCoord2f[] primvars:st = [{ST.replace('(0.5, 0.0)', '(nan, 0)')}] (interpolation = 'faceVarying')\n"
        "int[] primvars:st:indices = [0,1,2,3,4,5,6,7,8,9]"
    ),
    r"primvars:lim:stiffness is -1 at point 1, one of 2 that": mesh(
        extra="float[] primvars:lim:stiffness = [1, -1, nan, 1, 1, 1] (interpolation = 'vertex')"
    ),
    r"primvars:lim:stiffness \(vertex\) has 2 values where the mesh needs 6": mesh(
        extra="float[] primvars:lim:stiffness = [1, 1] (interpolation = 'vertex')"
    ),
    r"primvars:lim:pinned is uniform. Make it vertex": mesh(
        extra="int[] primvars:lim:pinned = [1, 1, 0] (interpolation = 'uniform')"
    ),
    r"primvars:lim:pinned is of type string\[\]. Make it numbers": mesh(
        extra="string[] primvars:lim:pinned = ['a', 'b', 'c', 'd', 'e', 'f'] (interpolation = 'vertex')"
    ),
}


@pytest.mark.parametrize("words", BAD)
def test_bad_meshes_are_refused_by_name(tmp_path: Path, words: str):
    path = stage(tmp_path / "bad.usda", BAD[words])
    with pytest.raises(BadSource, match=words) as error:
        read_usd(path)
    assert str(error.value).startswith(f"{path}: /mesh: ")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("gone.usd", None, "no such file"),
        ("text.usd", b"hello", "cannot be read as USD"),
        ("cut.usdc", b"PXR-USDC\x00\x08\x00" + bytes(90), "cannot be read as USD"),
        ("syntax.usda", b'#usda 1.0\ndef Mesh "a" { point3f[] poi', r"Expected } at 'point3f"),
        ("zip.usdz", b"PK\x03\x04", "cannot be read as USD"),
        ("empty.usda", b"#usda 1.0\n", r"holds no mesh \(no geometry\)"),
        ("ball.usda", b'#usda 1.0\ndef Sphere "a" {}\ndef Sphere "b" {}', r"holds no mesh \(2 Sphere\)"),
        ("points.usda", b'#usda 1.0\ndef Points "a" {}', r"holds no mesh \(1 Points\)"),
        ("hidden.usda", b'#usda 1.0\ndef Mesh "a" {\ntoken visibility = "invisible"\n}', r"shows no mesh: hidden .*/a"),
        ("two.usda", b'#usda 1.0\ndef Mesh "a" {}\ndef Mesh "b" {}', "none of its 2 meshes has a face"),
    ],
)
def test_files_that_hold_no_mesh_are_refused_by_name(tmp_path: Path, name: str, content: bytes | None, words: str):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BadSource, match=words) as error:
        read_usd(path)
    assert str(error.value).startswith(f"{path}: ")
