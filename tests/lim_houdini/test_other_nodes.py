"""LIM Keys, LIM USD Out and LIM Asset."""

from __future__ import annotations

from pathlib import Path

import hou
import hou_nodes
import hou_scene
import numpy as np
import pytest
from pxr import Usd, UsdGeom

from lim_houdini.keys import changed
from lim_usd.assemble import assemble
from tests.conftest import Server, wait_for
from tests.lim_cli.mesh_files import Gltf, write_obj
from tests.lim_houdini.conftest import FIRST, LAST, plain, positions
from tests.lim_usd.judges import issues


def mesh_of(path: Path) -> UsdGeom.Mesh:
    stage = Usd.Stage.Open(str(path))
    (mesh,) = [UsdGeom.Mesh(prim) for prim in stage.Traverse() if prim.IsA(UsdGeom.Mesh)]
    mesh.stage = stage  # keeps it open
    return mesh


@pytest.fixture
def keys(tmp_path: Path) -> hou.SopNode:
    for frame, mesh in ((1, FIRST), (9, LAST)):
        write_obj(tmp_path / f"scan.{frame:04d}.obj", plain(mesh))
    node = hou_nodes._make("/obj/geo1/keys1", "lim::keys::1.0")
    node.parm("files").set(f"{tmp_path}/scan.####.obj")
    return node


def test_keys_come_from_files_each_until_the_next(keys: hou.SopNode) -> None:
    for frame, mesh in ((-5, FIRST), (1, FIRST), (8.5, FIRST), (9, LAST), (90, LAST)):
        hou.setFrame(frame)
        geometry = keys.geometry()
        assert np.array_equal(positions(geometry), mesh.points)
        assert geometry.attribValue("limkeys") == "1 9"
    assert geometry.attribValue("limfile").endswith("scan.0009.obj")


def test_keys_feed_a_track(keys: hou.SopNode, server: Server, tmp_path: Path) -> None:
    track = hou_nodes._make("/obj/geo1/track1", "lim::track::1.0")
    track.setInput(0, keys)
    track.parm("server").set(str(server.endpoint))
    hou.setFrame(5)
    assert positions(track.geometry()).shape == FIRST.points.shape
    write_obj(tmp_path / "scan.0017.obj", plain(FIRST))
    keys.parm("reload").pressButton()
    assert changed(track, track.cachedUserData("lim").keys, every=False), "the input says more keys"


def test_what_is_wrong_with_files_is_said(keys: hou.SopNode, tmp_path: Path) -> None:
    keys.parm("files").set("")
    with pytest.raises(hou.OperationFailed, match="Files: nothing is named"):
        keys.geometry()
    keys.parm("files").set(f"1={tmp_path}/none.obj 9={tmp_path}/scan.0009.obj")
    with pytest.raises(hou.OperationFailed, match=r"none\.obj\): no such file"):
        keys.geometry()
    keys.parm("files").set(f"'{tmp_path}/with blank.1.glb' 9={tmp_path}/scan.0009.obj")
    (tmp_path / "with blank.1.glb").write_bytes(b"no glb")
    with pytest.raises(hou.OperationFailed, match=r"keyframe 1 .*with blank.1.glb"):
        keys.geometry()


def test_gltf_is_read_as_lim_track_reads_it(keys: hou.SopNode, tmp_path: Path) -> None:
    made = Gltf()
    made.add("scenes", nodes=[made.tetra()])
    made.save(tmp_path / "t.5.glb")
    keys.parm("files").set(f"{tmp_path}/t.5.glb 9={tmp_path}/scan.0009.obj")
    hou.setFrame(5)
    assert len(positions(keys.geometry())) == 4


@pytest.fixture
def out(keys: hou.SopNode, server: Server, tmp_path: Path) -> hou.RopNode:
    track = hou_nodes._make("/obj/geo1/track1", "lim::track::1.0")
    track.setInput(0, keys)
    track.parm("keymode").set("input")
    track.parm("server").set(str(server.endpoint))
    out = hou_nodes._make("/out/usd1", "lim::usd_out::1.0")
    out.parm("soppath").set("/obj/geo1/track1")
    out.parm("file").set(str(tmp_path / "a.usd"))
    return out


def test_the_writer_writes_what_the_node_shows(out: hou.RopNode, tmp_path: Path) -> None:
    out.parm("write").pressButton()
    assert issues(tmp_path / "a.usd") == []
    mesh = mesh_of(tmp_path / "a.usd")
    assert list(mesh.GetPointsAttr().GetTimeSamples()) == [float(frame) for frame in range(1, 10)]
    track = hou.node("/obj/geo1/track1")
    for frame in (1, 4, 9):
        hou.setFrame(frame)
        assert np.array_equal(np.asarray(mesh.GetPointsAttr().Get(frame)), positions(track.geometry()))
    assert np.array_equal(mesh.GetFaceVertexIndicesAttr().Get(), FIRST.face_indices), "turned back to face outwards"


def test_a_range_another_axis_and_clips(out: hou.RopNode, tmp_path: Path) -> None:
    out.parm("trange").set("range")
    out.parmTuple("f").set((-1, 12, 0.5))
    for name, value in (("velocities", 1), ("upaxis", "z"), ("metersperunit", 0.01), ("chunk", 8)):
        out.parm(name).set(value)
    out.parm("write").pressButton()
    assert assemble(tmp_path / "a.usd").complete
    mesh = mesh_of(tmp_path / "a.usd")
    assert UsdGeom.GetStageUpAxis(mesh.stage) == "Z"
    assert UsdGeom.GetStageMetersPerUnit(mesh.stage) == 0.01
    assert len(mesh.GetPointsAttr().GetTimeSamples()) == 27
    assert np.array_equal(np.asarray(mesh.GetPointsAttr().Get(-1)), FIRST.points)
    assert not np.any(mesh.GetVelocitiesAttr().Get(12))


def test_in_the_background_the_status_line_tells_and_cancel_leaves_nothing(out: hou.RopNode, tmp_path: Path) -> None:
    def over() -> bool:
        for callback in list(hou_scene._user.callbacks):
            callback()
        return not hou_scene._user.callbacks

    hou_scene._user.interface = True
    out.parm("execute").pressButton()
    with pytest.raises(hou.NodeError, match="is being written"):
        out.parm("execute").pressButton()
    wait_for(over)
    assert hou_scene._user.messages[-1] == f"usd1: wrote {tmp_path / 'a.usd'}"
    (tmp_path / "a.usd").unlink()
    out.parm("trange").set("range")
    out.parmTuple("f").set((1, 9, 0.001))
    there = sorted(tmp_path.iterdir())
    out.parm("execute").pressButton()
    wait_for(lambda: over() or any("frame 1" in text for text in hou_scene._user.messages[-1:]))
    out.parm("cancel").pressButton()
    wait_for(over)
    assert "stopped" in hou_scene._user.messages[-1]
    assert sorted(tmp_path.iterdir()) == there


def test_what_the_writer_cannot_do_is_said(out: hou.RopNode, tmp_path: Path) -> None:
    out.parm("file").set(str(tmp_path / "a.abc"))
    with pytest.raises(hou.NodeError, match=r"a\.abc"):
        out.parm("write").pressButton()
    out.parm("soppath").set("/obj/nothing")
    with pytest.raises(hou.NodeError, match=r"'/obj/nothing' is none\. Choose a LIM Track SOP"):
        out.parm("write").pressButton()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """An asset with two variants and two sets of clips."""
    stage = Usd.Stage.CreateNew(str(tmp_path / "thing.usda"))
    root = UsdGeom.Xform.Define(stage, "/thing").GetPrim()
    stage.SetDefaultPrim(root)
    variants = root.GetVariantSets().AddVariantSet("geoRep")
    for name, size in (("full", 2.0), ("compact", 1.0)):
        variants.AddVariant(name)
        variants.SetVariantSelection(name)
        with variants.GetVariantEditContext():
            UsdGeom.Cube.Define(stage, "/thing/geo").CreateSizeAttr(size)
    cube = UsdGeom.Cube.Define(stage, "/thing/moved")
    cube.GetSizeAttr().Set(1.0, 10)
    cube.GetSizeAttr().Set(2.0, 20)
    clips = {"manifestAssetPath": "m.usda", "primPath": "/thing"}
    root.SetMetadata("clips", {"default": clips, "retake": clips})
    stage.GetRootLayer().Save()
    return tmp_path / "thing.usda"


def test_the_asset_comes_onto_the_stage_as_chosen(file: Path) -> None:
    node = hou_nodes._make("/stage/asset1", "lim::asset::1.0")
    node.parm("filepath").set(str(file))
    assert node.hm().variant_sets(node)[2:] == ["geoRep", "geoRep"]
    node.parm("variantset").set("geoRep")
    assert node.hm().variants(node)[2::2] == ["compact", "full"]
    assert node.hm().clip_sets(node)[2::2] == ["default", "retake"]
    node.parm("variant").set("full")
    node.parm("clipset").set("retake")
    node.parm("timeoffset").set(100.0)
    stage = node.stage()
    assert stage.GetPrimAtPath("/asset1/geo").GetAttribute("size").Get() == 2.0
    moved = stage.GetPrimAtPath("/asset1/moved").GetAttribute("size")
    assert moved.GetTimeSamples() == [110.0, 120.0]
    prim = stage.GetPrimAtPath("/asset1")
    assert prim.HasAuthoredPayloads()
    assert Usd.ClipsAPI(prim).GetClipSets().explicitItems == ["retake"]


def test_what_the_asset_node_cannot_take_is_said(file: Path, tmp_path: Path) -> None:
    node = hou_nodes._make("/stage/asset1", "lim::asset::1.0")
    with pytest.raises(hou.OperationFailed, match="File: nothing is named"):
        node.stage()
    node.parm("filepath").set(str(tmp_path / "none.usd"))
    assert node.hm().variant_sets(node) == ["", "(as the asset says)"]
    with pytest.raises(hou.OperationFailed, match="no default prim"):
        node.stage()
    node.parm("filepath").set(str(file))
    node.parm("primpath").set("no path")
    with pytest.raises(hou.OperationFailed, match="Primitive Path"):
        node.stage()
