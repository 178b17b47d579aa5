"""Files that are cut short, changed or made up: refused with words, quickly, and in little memory."""

from __future__ import annotations

import functools
import resource
import tempfile
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import trimesh
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mesh_files import TETRA_FACES, TETRA_POINTS, Gltf, ply, png, tetra_obj
from pxr import Usd, UsdGeom
from trimesh.exchange.stl import export_stl, export_stl_ascii

from lim_cli.errors import BadInput
from lim_cli.keyframes import load_keyframes


@functools.cache
def good() -> dict[str, bytes]:
    """A small file of every format."""
    folder = Path(tempfile.mkdtemp())
    solid = trimesh.Trimesh(TETRA_POINTS, TETRA_FACES, process=False)
    columns = ["float x", "float y", "float z", "uchar red", "uchar green", "uchar blue"]
    lists = ["list uchar int vertex_indices", "list uchar float texcoord"]
    vertices = ("vertex", columns, [[*p, 1, 2, 3] for p in TETRA_POINTS.tolist()])
    faces = ("face", lists, [[f, [0.5] * 6] for f in TETRA_FACES.tolist()])
    gltf = Gltf()
    gltf.add("images", bufferView=gltf.view(png(np.eye(4)[:, :, None] * [9, 99, 199])))
    gltf.add("textures", source=0)
    gltf.add("materials", pbrMetallicRoughness={"baseColorTexture": {"index": 0}})
    sets = gltf.accessor(np.zeros((4, 2)))
    primitive = {**gltf.primitive(TETRA_POINTS, TETRA_FACES, TEXCOORD_0=sets), "material": 0}
    gltf.add("nodes", mesh=gltf.add("meshes", primitives=[primitive]))
    files = {
        "obj": tetra_obj().replace("f ", "g part\nusemtl m\nf ", 1).encode(),
        "stl": export_stl(solid),
        "ascii.stl": export_stl_ascii(solid).encode(),
        "glb": gltf.save(folder / "a.glb").read_bytes(),
        "gltf": gltf.save(folder / "a.gltf").read_bytes(),
    }
    for form in ("ascii", "binary_little_endian", "binary_big_endian"):
        files[f"{form}.ply"] = ply(folder / "a.ply", form, [vertices, faces]).read_bytes()
    for suffix in ("usda", "usdc"):
        stage = Usd.Stage.CreateNew(str(folder / f"a.{suffix}"))
        mesh = UsdGeom.Mesh.Define(stage, "/mesh")
        mesh.GetPointsAttr().Set(TETRA_POINTS.tolist())
        mesh.GetFaceVertexCountsAttr().Set([3] * 4)
        mesh.GetFaceVertexIndicesAttr().Set(TETRA_FACES.ravel().tolist())
        stage.Save()
        files[suffix] = (folder / f"a.{suffix}").read_bytes()
    return files


def little_memory(folder: Path, kind: str, data: bytes) -> None:
    """Taken or refused within a few MB of Python's own memory, and a few tens of the process'."""
    taken_or_refused(folder, kind, data)  # imports are not what is measured
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    tracemalloc.start()
    taken_or_refused(folder, kind, data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4_000_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000


def taken_or_refused(folder: Path, kind: str, data: bytes) -> None:
    path = folder / f"fuzzed.{kind}"
    path.write_bytes(data)
    (folder / "good.obj").write_text(tetra_obj())
    try:
        load_keyframes([f"1={folder / 'good.obj'}", f"2={path}"])
    except BadInput as error:
        assert str(path) in str(error) and len(str(error)) < 1000


FORMATS = ["obj", "stl", "ascii.stl", "glb", "gltf", "ascii.ply", "binary_little_endian.ply", "binary_big_endian.ply"]
each = settings(deadline=None, max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize("kind", [*FORMATS, "usda"])
def test_the_good_files_are_good(tmp_path, kind):
    path = tmp_path / f"a.{kind}"
    path.write_bytes(good()[kind])
    (tmp_path / "data file.bin").write_bytes(b"\0" * 2000)
    if kind != "gltf":
        assert len(load_keyframes([f"1={path}", f"2={path}"]).source.mesh.face_counts) == 4


@pytest.mark.parametrize("kind", FORMATS)
@each
@given(data=st.data())
def test_cut_files(tmp_path, kind, data):
    whole = good()[kind]
    taken_or_refused(tmp_path, kind, whole[: data.draw(st.integers(0, len(whole) - 1))])


@pytest.mark.parametrize("kind", FORMATS)
@each
@given(data=st.data())
def test_changed_files(tmp_path, kind, data):
    changed = bytearray(good()[kind])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(changed) - 1))
        what = data.draw(
            st.binary(min_size=1, max_size=6) | st.sampled_from([b"\xff" * 4, b"999999999", b"-1", b"nan"])
        )
        changed[at : at + (len(what) if data.draw(st.booleans()) else 0)] = what
    taken_or_refused(tmp_path, kind, bytes(changed))


@pytest.mark.parametrize("kind", ["obj", "stl", "ply", "glb", "gltf"])
@each
@given(data=st.binary(max_size=400))
def test_files_of_nothing(tmp_path, kind, data):
    magic = {
        "ply": b"ply\nformat binary_little_endian 1.0\n",
        "glb": b"glTF\2\0\0\0",
        "gltf": b'{"asset":{"version":"2',
    }
    taken_or_refused(tmp_path, kind, data)
    taken_or_refused(tmp_path, kind, magic.get(kind, b"") + data)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 10**12) | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=4,
)


@each
@given(data=st.data())
def test_gltf_trees_with_anything_in_them(tmp_path, data):
    gltf = Gltf()
    sets = gltf.accessor(np.zeros((4, 2)))
    primitive = {**gltf.primitive(TETRA_POINTS, TETRA_FACES, TEXCOORD_0=sets), "material": 0}
    gltf.add("materials", pbrMetallicRoughness={"baseColorTexture": {"index": 0}, "baseColorFactor": [1, 1, 1, 1]})
    node = {"mesh": gltf.add("meshes", primitives=[primitive]), "skin": 0, "rotation": [0, 0, 0, 1], "children": []}
    gltf.add("nodes", **node)
    gltf.add("skins", joints=[0])
    place = gltf.tree
    for _ in range(6):  # go down at random, and put something else there
        inner = list(place.items()) if isinstance(place, dict) else list(enumerate(place))
        key, value = data.draw(st.sampled_from(inner))
        if isinstance(value, dict | list) and value and data.draw(st.integers(0, 3)):
            place = value
        else:
            place[key] = data.draw(json_values)
            break
    taken_or_refused(tmp_path, "glb", gltf.save(tmp_path / "made.glb").read_bytes())


@pytest.mark.parametrize("kind", ["usda", "usdc"])
@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_cut_stages(tmp_path, kind, data):
    whole = good()[kind]
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    # A new name each time: OpenUSD keeps what it has opened by name.
    folder = Path(tempfile.mkdtemp(dir=tmp_path))
    taken_or_refused(folder, kind, cut)


HUGE = 2**31 - 1
TRIANGLE = "property list uchar int vertex_indices\nend_header\n"
HEADS = {
    "ply": [
        f"ply\nformat ascii 1.0\nelement vertex {HUGE}\nproperty float x\nelement face {HUGE}\n{TRIANGLE}1 2 3\n",
        f"ply\nformat binary_little_endian 1.0\nelement vertex {10**18}\nproperty double x\nend_header\n0123456789",
        f"ply\nformat binary_big_endian 1.0\nelement none {HUGE}\nelement vertex {HUGE}\nend_header\n",
        "ply\nformat binary_little_endian 1.0\nelement face 1\nproperty list uint double vertex_indices\nend_header\n"
        "\x7f\x7f\x7f\x7f",
    ],
    "obj": ["v 0 0 0\n" * 3 + "f 1 2 2000000000\n", "v 0 0 0\nf -2000000000 1 1\n", "v 1e9999 0 0\nf 1 1 1\n"],
    "stl": ["\0" * 80 + "\x7f\x7f\x7f\x7f"],
}


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind, texts in HEADS.items() for text in texts])
def test_counts_alone_take_no_memory(tmp_path, kind, text):
    little_memory(tmp_path, kind, text.encode("latin-1"))


@pytest.mark.parametrize("count", [2**31, 10**18, -5])
@pytest.mark.parametrize("which", [0, 1, 2])
def test_counts_alone_take_no_memory_in_gltf(tmp_path, which, count):
    gltf = Gltf()
    sets = gltf.accessor(np.zeros((4, 2)))
    gltf.add("nodes", mesh=gltf.add("meshes", primitives=[gltf.primitive(TETRA_POINTS, TETRA_FACES, TEXCOORD_0=sets)]))
    gltf.tree["accessors"][which]["count"] = count
    data = gltf.save(tmp_path / "made.glb").read_bytes()
    little_memory(tmp_path, "glb", data)
