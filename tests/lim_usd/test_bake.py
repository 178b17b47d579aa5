"""Compact variants: what they say of their error, held against what a host computes from them."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest
from judges import issues
from pxr import Sdf, Usd, UsdSkel
from usd_assets import left_overs, png
from verify_assets import ball, foreign, frames, posed, put, write, write_clips

from lim_usd.bake import bake, bake_glb
from lim_usd.compact import ToleranceError, compact
from lim_usd.read import read_usd
from lim_usd.source import BadSource
from lim_usd.verify.run import verify

TIMES = [float(time) for time in range(1, 41)]


def noisy(rings: int = 10, around: int = 14, frame_count: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """A ball that waves, and shivers a little at every frame."""
    source, random = ball(rings, around), np.random.default_rng(0)
    points = np.stack([posed(source, 1.0 + t) for t in range(frame_count)])
    points += random.normal(size=points.shape) * 3e-4
    return points.astype(np.float32), np.zeros_like(points, np.float32) + np.float32([0, 1, 0])


def chosen(asset: Path, variant: str) -> Path:
    """A shot that takes one variant of the asset."""
    shot = asset.with_name(f"shot_{variant}.usda")
    stage = Usd.Stage.CreateNew(str(shot))
    prim = stage.DefinePrim("/thing")
    prim.GetReferences().AddReference(f"./{asset.name}")
    prim.GetVariantSets().SetSelection("geoRep", variant)
    stage.GetRootLayer().Save()
    return shot


@pytest.mark.parametrize("tolerance", [3e-3, 1e-3, 3e-4])
def test_no_point_is_further_off_than_asked_for(tolerance: float):
    points, normals = noisy()
    made = compact(points, normals, tolerance)
    diagonal = np.linalg.norm(points.max((0, 1)) - points.min((0, 1)))
    off = max(np.linalg.norm(made.posed(t) - points[t], axis=1).max() for t in range(len(points))) / diagonal
    assert off <= made.error_max <= tolerance
    assert made.error_max < 1.1 * off + 1e-6, "stated as it is, not as it may be"
    assert made.error_rms < made.error_max
    assert made.diagonal == pytest.approx(diagonal)
    assert made.weights.min() >= 0 and made.weights.max() <= 1


def test_a_tighter_bound_takes_more_shapes_and_a_rigid_motion_none():
    points, normals = noisy()
    counts = [len(compact(points, normals, bound).shapes) for bound in (0.1, 1e-2, 2.5e-4)]
    assert counts == sorted(counts)
    assert counts[0] < counts[2]
    stiff = np.stack([posed(ball(), 3.0) @ _turn(0.1 * t) + [t, 0, 0] for t in range(12)]).astype(np.float32)
    assert len(compact(stiff, np.ones_like(stiff), 1e-5).shapes) == 0


def _turn(angle: float) -> np.ndarray:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])


def test_what_cannot_be_kept_is_said():
    points = np.random.default_rng(0).normal(size=(6, 50, 3)).astype(np.float32)
    with pytest.raises(ToleranceError, match="cannot be kept with fewer shapes than frames"):
        compact(points, points, 1e-12)


@pytest.mark.parametrize("how", ["layers", "split", "clips", "z up"])
def test_a_host_poses_the_variant_within_its_stated_error(tmp_path: Path, how: str):
    source = ball(12, 18, up_axis="Z" if how == "z up" else "Y")
    if how == "clips":
        write_clips(tmp_path / "a.usd", source, TIMES, chunk=16)
    else:
        write(tmp_path / "a.usd", source, TIMES, split_parts=how == "split")
    made = bake(tmp_path / "a.usd", 1e-3)
    assert made.path == tmp_path / "layers/a_bake.usd"
    assert made.bytes < made.master_bytes / 2
    shot = chosen(tmp_path / "a.usd", "bake")
    stage = Usd.Stage.Open(str(shot))
    rest = next(prim for prim in stage.Traverse() if prim.HasAttribute("lim:bake:errorMax"))
    stated = rest.GetAttribute("lim:bake:errorMax").Get() * rest.GetAttribute("lim:bake:diagonal").Get()
    for time in TIMES[::5]:
        master = read_usd(tmp_path / "a.usd", time).mesh
        posed_mesh = read_usd(shot, time).mesh
        assert np.linalg.norm(posed_mesh.points - master.points, axis=1).max() <= stated
        assert np.array_equal(posed_mesh.st[posed_mesh.st_indices], master.st[master.st_indices])
    weights = UsdSkel.Animation(stage.GetPrimAtPath("/thing/geo/animation")).GetBlendShapeWeightsAttr()
    values = np.array([weights.Get(time) for time in TIMES])
    assert values.min() >= 0 and values.max() <= 1
    assert rest.GetAttribute("lim:bake:errorBound").Get() == 1e-3


def test_both_variants_satisfy_every_judge(tmp_path: Path):
    write(tmp_path / "a.usd", ball(), TIMES)
    bake(tmp_path / "a.usd", 1e-3)
    assert issues(tmp_path / "a.usd") == []
    assert verify(tmp_path / "a.usd").findings == []
    layer = Sdf.Layer.FindOrOpen(str(tmp_path / "a.usd"))
    layer.GetPrimAtPath("/a").variantSelections["geoRep"] = "bake"
    layer.Save()
    assert issues(tmp_path / "a.usd") == []
    report = verify(tmp_path / "a.usd")
    assert list(map(str, report.findings)) == []
    assert report.topology[0].skinned
    assert left_overs(tmp_path) == []


def test_the_master_stays_chosen_and_is_as_it_was(tmp_path: Path):
    write(tmp_path / "a.usd", ball(), TIMES)
    before = {time: read_usd(tmp_path / "a.usd", time).mesh.points for time in (1, 17.5, 40)}
    geometry = (tmp_path / "layers/a_geo.usd").read_bytes()
    for bound in (1e-2, 1e-3):  # baking again replaces the bake
        bake(tmp_path / "a.usd", bound)
    for time, points in before.items():
        assert np.array_equal(read_usd(tmp_path / "a.usd", time).mesh.points, points)
    assert (tmp_path / "layers/a_geo.usd").read_bytes() == geometry
    stage = Usd.Stage.Open(str(tmp_path / "a.usd"))
    sets = stage.GetDefaultPrim().GetVariantSets()
    assert sets.GetVariantSelection("geoRep") == "full"
    assert sets.GetVariantSet("geoRep").GetVariantNames() == ["bake", "full"]


@pytest.mark.parametrize("how", ["flat", "none", "still"])
def test_what_cannot_be_baked_is_said(tmp_path: Path, how: str):
    path = tmp_path / "a.usd"
    if how != "none":
        write(path, ball(), TIMES[:1] if how == "still" else TIMES, flat=how == "flat")
    words = "do not move over time" if how == "still" else "no asset with layers beside it"
    with pytest.raises(BadSource, match=words):
        bake(path, 1e-3)


class Glb:
    """A glTF file taken apart."""

    def __init__(self, path: Path) -> None:
        data = path.read_bytes()
        magic, version, length, size, kind = struct.unpack_from("<4sIII4s", data)
        assert (magic, version, length, kind) == (b"glTF", 2, len(data), b"JSON")
        self.tree = json.loads(data[20 : 20 + size])
        self.binary = data[28 + size :]

    def array(self, number: int) -> np.ndarray:
        accessor = self.tree["accessors"][number]
        view = self.tree["bufferViews"][accessor["bufferView"]]
        width = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}[accessor["type"]]
        kind = {5126: "<f4", 5125: "<u4"}[accessor["componentType"]]
        flat = np.frombuffer(self.binary, kind, accessor["count"] * width, view["byteOffset"])
        return flat.reshape(-1, width) if width > 1 else flat

    def posed(self, frame: int) -> np.ndarray:
        """Points of each triangle corner at a frame, in the node's parent's space."""
        (primitive,) = self.tree["meshes"][0]["primitives"]
        animation = self.tree["animations"][0]
        tracks = {
            channel["target"]["path"]: self.array(animation["samplers"][channel["sampler"]]["output"])
            for channel in animation["channels"]
        }
        shapes = [self.array(target["POSITION"]) for target in primitive["targets"]]
        weights = tracks["weights"].reshape(-1, len(shapes))[frame]
        points = self.array(primitive["attributes"]["POSITION"]).astype(np.float64)
        points = points + np.tensordot(weights, shapes, 1)
        x, y, z, w = tracks["rotation"][frame].astype(np.float64)
        v = np.array([x, y, z])
        turned = points + 2 * np.cross(v, np.cross(v, points) + w * points)
        return (turned + tracks["translation"][frame])[self.array(primitive["indices"])]


def test_gltf_holds_the_same_motion(tmp_path: Path):
    source = ball(12, 18)
    write(tmp_path / "a.usd", source, TIMES)
    made = bake_glb(tmp_path / "a.usd", tmp_path / "a.glb", 1e-3)
    assert made.bytes < made.master_bytes / 2
    glb = Glb(tmp_path / "a.glb")
    corners = source.mesh.triangles().ravel()
    size = glb.tree["asset"]["extras"]["diagonal"]
    for place, frame in list(enumerate(frames(source, TIMES)))[::7]:
        off = np.linalg.norm(glb.posed(place) - frame.points[corners], axis=1).max()
        assert off <= made.error_max * size
    (primitive,) = glb.tree["meshes"][0]["primitives"]
    st = glb.array(primitive["attributes"]["TEXCOORD_0"])[glb.array(primitive["indices"])]
    expected = source.mesh.st[_fan_st(source)]
    assert np.allclose(st, np.stack([expected[:, 0], 1 - expected[:, 1]], 1))
    image = glb.tree["bufferViews"][glb.tree["images"][0]["bufferView"]]
    assert glb.binary[image["byteOffset"] :][: image["byteLength"]] == png()
    seconds = glb.array(glb.tree["animations"][0]["samplers"][0]["input"])
    assert np.allclose(seconds, np.arange(40) / 24)


def _fan_st(source) -> np.ndarray:
    from lim_protocol.types import fan

    return fan(source.mesh.face_counts, source.mesh.st_indices).ravel()


def test_gltf_takes_any_stage_and_stands_upright(tmp_path: Path):
    source = ball()
    stage = foreign(tmp_path / "theirs.usd", metres=1.0)
    Usd.Stage.SetMetadata(stage, "upAxis", "Z")
    from pxr import UsdGeom

    mesh = UsdGeom.Mesh.Define(stage, "/obj/geo")
    for time in TIMES:
        put(mesh, source, posed(source, time), time, faces=time == 1)
    stage.GetRootLayer().Save()
    bake_glb(tmp_path / "theirs.usd", tmp_path / "out.glb", 1e-3)
    node = Glb(tmp_path / "out.glb").tree["nodes"][0]
    assert "scale" not in node
    x, y, z, w = node["rotation"]
    up = np.array([0, 0, 1.0])
    v = np.array([x, y, z])
    assert np.allclose(up + 2 * np.cross(v, np.cross(v, up) + w * up), [0, 1, 0])
