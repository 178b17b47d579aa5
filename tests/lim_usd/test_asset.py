"""What is in a written asset, read by OpenUSD."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pxr import Kind, Sdf, Usd, UsdGeom, UsdShade
from usd_assets import frames, plain, png, sheet, write

from lim_usd.asset import AssetWriter
from lim_usd.provenance import VERSION, read_quality
from lim_usd.read import read_usd


@pytest.mark.parametrize("suffix", [".usd", ".usdc"])
def test_the_file_is_a_crate_that_old_hosts_read(tmp_path: Path, suffix: str):
    write(tmp_path / f"a{suffix}", sheet(texture=png()), velocities=True)
    head = (tmp_path / f"a{suffix}").read_bytes()[:11]
    assert head[:8] == b"PXR-USDC"
    assert tuple(head[8:]) == (0, 8, 0)


def test_all_arrays_come_back_bit_by_bit(tmp_path: Path):
    source, times = sheet(), [1, 1.5, 2, 7]
    write(tmp_path / "a.usd", source, times, velocities=True)
    stage = Usd.Stage.Open(str(tmp_path / "a.usd"))
    mesh = UsdGeom.Mesh.Get(stage, "/a/geo/mesh")
    assert np.array_equal(mesh.GetFaceVertexCountsAttr().Get(), source.mesh.face_counts)
    assert np.array_equal(mesh.GetFaceVertexIndicesAttr().Get(), source.mesh.face_indices)
    assert mesh.GetSubdivisionSchemeAttr().Get() == "none"
    assert mesh.GetNormalsInterpolation() == "vertex"
    assert mesh.GetPointsAttr().GetTimeSamples() == times
    for frame in frames(source, times, velocities=True):
        for name in ("points", "normals", "velocities", "accelerations"):
            assert np.array_equal(mesh.GetPrim().GetAttribute(name).Get(frame.time), getattr(frame, name)), name
        box = [frame.points.min(0), frame.points.max(0)]
        assert np.array_equal(mesh.GetExtentAttr().Get(frame.time), box)
        assert np.array_equal(stage.GetDefaultPrim().GetAttribute("extentsHint").Get(frame.time), box)
    for name in ("points", "normals", "extent"):  # the first frame is what stands where no time is asked for
        attribute = mesh.GetPrim().GetAttribute(name)
        assert np.array_equal(attribute.Get(), attribute.Get(times[0]))


def test_arrays_are_taken_wherever_they_lie(tmp_path: Path):
    source = sheet()
    (frame,) = frames(source, [1])
    raw = bytearray(frame.points.nbytes + 1)
    raw[1:] = frame.points.tobytes()
    astray = np.frombuffer(raw, np.float32, frame.points.size, 1).reshape(-1, 3)
    assert not astray.flags.aligned
    with AssetWriter(tmp_path / "a.usd", source, fps=24, start=1, end=1) as writer:
        writer.write(replace(frame, points=astray))
    assert np.array_equal(read_usd(tmp_path / "a.usd").mesh.points, frame.points)


def test_texture_coordinates_are_one_indexed_static_primvar(tmp_path: Path):
    source = sheet(texture=png())
    write(tmp_path / "a.usd", source)
    stage = Usd.Stage.Open(str(tmp_path / "a.usd"))
    st = UsdGeom.PrimvarsAPI(stage.GetPrimAtPath("/a/geo/mesh")).GetPrimvar("st")
    assert st.GetInterpolation() == "faceVarying"
    assert st.GetTypeName() == Sdf.ValueTypeNames.TexCoord2fArray
    assert np.array_equal(np.array(st.Get())[st.GetIndices()], source.mesh.st[source.mesh.st_indices])
    assert len(st.Get()) == len(np.unique(source.mesh.st[source.mesh.st_indices], axis=0))
    assert st.GetAttr().GetNumTimeSamples() == st.GetIndicesAttr().GetNumTimeSamples() == 0


def test_the_root_says_what_it_is(tmp_path: Path):
    write(tmp_path / "my creature.v2.usd", sheet(up_axis="Z", metres_per_unit=0.1), range(1001, 1005), fps=30)
    stage = Usd.Stage.Open(str(tmp_path / "my creature.v2.usd"))
    root = stage.GetDefaultPrim()
    assert root.GetPath() == "/my_creature_v2"
    assert root.GetTypeName() == "Xform"
    assert Usd.ModelAPI(root).GetKind() == Kind.Tokens.component
    assert Usd.ModelAPI(root).GetAssetName() == "my creature.v2"
    assert UsdGeom.GetStageUpAxis(stage) == "Z"
    assert UsdGeom.GetStageMetersPerUnit(stage) == 0.1
    assert (stage.GetTimeCodesPerSecond(), stage.GetFramesPerSecond()) == (30, 30)
    assert (stage.GetStartTimeCode(), stage.GetEndTimeCode()) == (1001, 1004)
    assert stage.GetRootLayer().customLayerData["lim"]["version"] == VERSION


def _diffuse_source(stage: Usd.Stage, mesh: str) -> UsdShade.Shader:
    material, _ = UsdShade.MaterialBindingAPI(stage.GetPrimAtPath(mesh)).ComputeBoundMaterial()
    surface, _, _ = material.ComputeSurfaceSource()
    assert surface.GetShaderId() == "UsdPreviewSurface"
    (attribute,) = UsdShade.Utils.GetValueProducingAttributes(surface.GetInput("diffuseColor"))
    return UsdShade.Shader(attribute.GetPrim())


def test_the_texture_lies_beside_the_asset_and_is_read_at_st(tmp_path: Path):
    image = png()
    written = write(tmp_path / "a.usd", sheet(texture=image), flat=True)
    stage = Usd.Stage.Open(str(tmp_path / "a.usd"))
    texture = _diffuse_source(stage, "/a/geo/mesh")
    file = texture.GetInput("file").Get()
    assert file.path.startswith("./maps/a_color_")
    assert Path(file.resolvedPath).read_bytes() == image
    assert written.files == [tmp_path / "a.usd", tmp_path / file.path]
    assert texture.GetInput("sourceColorSpace").Get() == "sRGB"
    reader = UsdShade.Shader(texture.GetInput("st").GetConnectedSources()[0][0].source.GetPrim())
    assert reader.GetInput("varname").Get() == "st"


def test_without_a_texture_the_colours_are_shown(tmp_path: Path):
    write(tmp_path / "a.usd", sheet())
    stage = Usd.Stage.Open(str(tmp_path / "a.usd"))
    reader = _diffuse_source(stage, "/a/geo/mesh")
    assert reader.GetShaderId() == "UsdPrimvarReader_float3"
    assert reader.GetInput("varname").Get() == "displayColor"


def test_every_srgb_colour_survives_being_linear(tmp_path: Path):
    source = sheet(side=16)
    ramp = np.arange(256, dtype=np.uint8)
    colors = np.stack([ramp, ramp[::-1], np.roll(ramp, 100)], 1)
    source = replace(source, mesh=replace(source.mesh, colors=colors))
    write(tmp_path / "a.usd", source)
    assert np.array_equal(read_usd(tmp_path / "a.usd").mesh.colors, colors)


def test_an_earlier_asset_keeps_its_texture_when_a_new_one_is_written(tmp_path: Path):
    first, second = png(1), png(2)
    write(tmp_path / "a.usd", sheet(texture=first), flat=True)
    shutil.copy(tmp_path / "a.usd", tmp_path / "approved.usd")
    write(tmp_path / "a.usd", sheet(texture=second), flat=True)
    for name, image in [("approved.usd", first), ("a.usd", second)]:
        assert read_usd(tmp_path / name).texture.data == image


def test_parts_are_subsets_of_one_mesh(tmp_path: Path):
    source = sheet()
    write(tmp_path / "a.usd", source)
    stage = Usd.Stage.Open(str(tmp_path / "a.usd"))
    assert [prim.GetName() for prim in stage.Traverse() if UsdGeom.Mesh(prim)] == ["mesh"]
    mesh = UsdGeom.Imageable(stage.GetPrimAtPath("/a/geo/mesh"))
    subsets = UsdGeom.Subset.GetAllGeomSubsets(mesh)
    assert [subset.GetPrim().GetName() for subset in subsets] == ["left_wing", "right_wing"]
    faces = np.concatenate([subset.GetIndicesAttr().Get() for subset in subsets])
    assert np.array_equal(faces, np.arange(len(source.mesh.face_counts)))


def test_split_parts_are_meshes_of_the_same_shape(tmp_path: Path):
    source = sheet(texture=png())
    write(tmp_path / "whole.usd", source, velocities=True)
    write(tmp_path / "split.usd", source, velocities=True, split_parts=True)
    whole, split = read_usd(tmp_path / "whole.usd", 3), read_usd(tmp_path / "split.usd", 3)
    assert [part.faces for part in split.parts] == [part.faces for part in whole.parts]
    assert np.array_equal(split.mesh.face_counts, whole.mesh.face_counts)
    for values, indices in [("points", "face_indices"), ("st", "st_indices"), ("colors", "face_indices")]:
        corners = [getattr(each.mesh, values)[getattr(each.mesh, indices)] for each in (split, whole)]
        assert np.array_equal(*corners), values


@pytest.mark.parametrize("split", [False, True])
def test_the_quality_of_every_key_is_on_record(tmp_path: Path, split: bool):
    source = sheet()
    write(tmp_path / "a.usd", source, range(1, 10), split_parts=split)
    expected = {frame.time: frame.quality for frame in frames(source, range(1, 10)) if frame.quality}
    assert read_quality(tmp_path / "a.usd") == expected
    stage = Usd.Stage.Open(str(tmp_path / "a.usd"))
    (measured,) = {tuple(p.GetAttribute("lim:track:frame:residualMax").GetTimeSamples()) for p in _meshes(stage)}
    assert measured == (4, 8)
    assert {p.GetAttribute("lim:track:frame:residualMax").Get(8) for p in _meshes(stage)} == {expected[8].residual_max}
    assert list(expected) == [4, 8]


def _meshes(stage: Usd.Stage) -> list[Usd.Prim]:
    return [prim for prim in stage.Traverse() if UsdGeom.Mesh(prim)]


def test_frames_that_do_not_belong_are_refused_and_leave_nothing(tmp_path: Path):
    source = sheet()
    one, two, three = frames(source, [1, 2, 3])
    short = replace(three, points=three.points[:-1])
    nan = replace(three, points=three.points.copy())
    nan.points[5, 1] = np.nan
    cases = {
        "write frames in order": [one, three, two],
        "frame 1 should be": [two, three],
        r"\(48, 3\) for points": [one, two, short],
        "frame 3 has points that are not finite": [one, two, nan],
        "ends at 2, but the shot ends at frame 3": [one, two],
        "has no frame": [],
    }
    for words, given in cases.items():
        with (
            pytest.raises(ValueError, match=words),
            AssetWriter(tmp_path / "a.usd", source, fps=24, start=1, end=3) as w,
        ):
            for frame in given:
                w.write(frame)
        assert list(tmp_path.iterdir()) == []


def test_velocities_that_were_asked_for_must_come(tmp_path: Path):
    source = sheet()
    with (
        pytest.raises(ValueError, match="frame 1 has none for velocities"),
        AssetWriter(tmp_path / "a.usd", source, fps=24, start=1, end=1, velocities=True) as writer,
    ):
        writer.write(next(frames(source, [1])))


def test_a_source_must_say_its_axis_and_have_room_for_its_texture(tmp_path: Path):
    for source, words in [
        (sheet(up_axis=None), "up axis"),
        (sheet(metres_per_unit=None), "unit"),
        (replace(plain(sheet()), texture=sheet(texture=png()).texture), "texture coordinates"),
        (sheet(texture=b"GIF89a"), "neither a PNG nor a JPEG"),
    ]:
        with pytest.raises(ValueError, match=words):
            AssetWriter(tmp_path / "a.usd", source, fps=24, start=1, end=1)


MANY_FRAMES = """
import resource, sys
import numpy as np
sys.path.insert(0, sys.argv[2])
from usd_assets import frames, sheet
from lim_usd.asset import AssetWriter
source = sheet(side=71)
frame, = frames(source, [0])
with AssetWriter(sys.argv[1], source, fps=24, start=0, end=2999, flat=True) as writer:
    for time in range(3000):
        frame.points[0, 0] = time
        object.__setattr__(frame, "time", float(time))
        writer.write(frame)
        if time == 0:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


@pytest.mark.slow
def test_memory_stays_flat_over_three_thousand_frames(tmp_path: Path):
    command = [sys.executable, "-c", MANY_FRAMES, tmp_path / "a.usd", Path(__file__).parent]
    grown = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    size = (tmp_path / "a.usd").stat().st_size / 2**20
    assert size > 170  # normals are kept once, being the same in every frame
    assert grown < 50
