"""The files that an asset is made of, and what each of them is for."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from judges import issues
from PIL import Image
from pxr import Sdf, Usd, UsdGeom, UsdMedia, UsdShade
from usd_assets import left_overs, plain, png, sheet, write

from lim_usd.atomic import DiskError, publish
from lim_usd.picture import draw
from lim_usd.provenance import SOFTWARE, VERSION, Provenance
from lim_usd.read import read_usd

FILES = ["layers/a_geo.usd", "layers/a_mtl.usd", "layers/a_payload.usd", "maps/a_thumbnail.png"]


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_the_files_lie_in_folders_beside_the_root(tmp_path: Path):
    written = write(tmp_path / "a.usd", sheet())
    assert names(tmp_path) == ["a.usd", *FILES]
    assert sorted(str(path.relative_to(tmp_path)) for path in written.files) == ["a.usd", *FILES]
    assert written.files[0] == tmp_path / "a.usd"


@pytest.mark.parametrize("name", ["geo", "bake", "payload", "root", "light", "samples", "thumbnail", "former 0"])
def test_an_asset_may_have_any_name(tmp_path: Path, name: str):
    from lim_usd.bake import bake

    path = tmp_path / f"{name}.usd"
    write(path, sheet(texture=png()))
    bake(path, 0.01)
    assert len(read_usd(path, 3).mesh.points) == len(sheet().mesh.points)
    assert issues(path) == []


def test_two_assets_share_the_folders_and_nothing_else(tmp_path: Path):
    write(tmp_path / "a.usd", sheet(texture=png(1)))
    before = {name: (tmp_path / name).read_bytes() for name in names(tmp_path)}
    write(tmp_path / "b.usd", sheet(texture=png(2)))
    assert {name: (tmp_path / name).read_bytes() for name in before} == before


def test_an_unloaded_root_has_a_name_a_box_and_a_picture(tmp_path: Path):
    write(tmp_path / "a.usd", sheet(), range(1, 4))
    stage = Usd.Stage.Open(str(tmp_path / "a.usd"), Usd.Stage.LoadNone)
    root = stage.GetDefaultPrim()
    assert [str(prim.GetPath()) for prim in stage.Traverse(Usd.PrimIsDefined & ~Usd.PrimIsAbstract)] == ["/a"]
    assert root.GetAttribute("extentsHint").GetTimeSamples() == [1, 2, 3]
    thumbnail = UsdMedia.AssetPreviewsAPI(root).GetDefaultThumbnails().defaultImage
    assert Image.open(thumbnail.resolvedPath).size == (256, 256)
    assert issues(tmp_path / "a.usd") == []


def test_what_is_authored_is_not_what_would_be_there_anyway(tmp_path: Path):
    write(tmp_path / "a.usd", plain(sheet()))
    stage = Usd.Stage.Open(str(tmp_path / "a.usd"))
    idle = [
        str(attribute.GetPath())
        for prim in stage.Traverse()
        for attribute in prim.GetAttributes()
        if attribute.HasAuthoredValue() and attribute.HasFallbackValue() and attribute.Get() == _fallback(attribute)
    ]
    assert idle == []


def _fallback(attribute: Usd.Attribute) -> object:
    definition = attribute.GetPrim().GetPrimDefinition()
    return definition.GetAttributeFallbackValue(attribute.GetName())


def test_a_shot_can_recolour_every_asset_through_its_class(tmp_path: Path):
    write(tmp_path / "a.usd", sheet())
    shot = Usd.Stage.CreateInMemory()
    for name in ("one", "two"):
        shot.DefinePrim(f"/{name}").GetReferences().AddReference(str(tmp_path / "a.usd"))
    shot.CreateClassPrim("/__class__/a").CreateAttribute("purpose", Sdf.ValueTypeNames.Token).Set("guide")
    assert {UsdGeom.Imageable(shot.GetPrimAtPath(f"/{name}/geo/mesh")).ComputePurpose() for name in ("one", "two")} == {
        "guide"
    }


def test_the_look_can_be_exchanged_without_the_geometry(tmp_path: Path):
    write(tmp_path / "a.usd", sheet(texture=png()))
    look = Usd.Stage.Open(str(tmp_path / "layers/a_mtl.usd"))
    assert [prim.GetTypeName() for prim in look.TraverseAll() if prim.IsA(UsdGeom.Mesh)] == []
    geometry = Usd.Stage.Open(str(tmp_path / "layers/a_geo.usd"))
    assert not any(prim.IsA(UsdShade.Material) for prim in geometry.TraverseAll())
    assert geometry.GetPrimAtPath("/a/geo/mesh").GetAttribute("points").GetNumTimeSamples() == 5
    assert Usd.Stage.Open(str(tmp_path / "a.usd")).GetRootLayer().GetNumTimeSamplesForPath("/a/geo/mesh.points") == 0


@pytest.mark.parametrize("how", [{}, {"flat": True}])
def test_every_layer_says_its_units_and_times(tmp_path: Path, how: dict[str, bool]):
    write(tmp_path / "a.usd", sheet(up_axis="Z", metres_per_unit=0.1), range(1001, 1004), fps=30, **how)
    for name in names(tmp_path):
        if name.endswith(".usd"):
            stage = Usd.Stage.Open(str(tmp_path / name))
            assert (UsdGeom.GetStageUpAxis(stage), UsdGeom.GetStageMetersPerUnit(stage)) == ("Z", 0.1)
            assert (stage.GetTimeCodesPerSecond(), stage.GetStartTimeCode(), stage.GetEndTimeCode()) == (30, 1001, 1003)
            assert stage.GetDefaultPrim().GetPath() == "/a"


def test_flat_is_one_file_and_reads_the_same(tmp_path: Path):
    for name, how in (("a.usd", {}), ("b.usd", {"flat": True}), ("c.usdz", {})):
        write(tmp_path / name, sheet(texture=png()), **how)
    assert not (tmp_path / "layers/b_geo.usd").exists()
    layered, flat, package = (read_usd(tmp_path / name, 3) for name in ("a.usd", "b.usd", "c.usdz"))
    for other in (flat, package):
        for array in ("points", "face_indices", "st", "st_indices", "colors"):
            assert np.array_equal(getattr(layered.mesh, array), getattr(other.mesh, array))
        assert other.texture.data == layered.texture.data


def test_a_package_is_alone_and_uncompressed(tmp_path: Path):
    written = write(tmp_path / "a.usdz", sheet(texture=png()))
    assert names(tmp_path) == ["a.usdz"]
    assert written.files == [tmp_path / "a.usdz"]
    with zipfile.ZipFile(tmp_path / "a.usdz") as archive:
        inside = archive.infolist()
    assert inside[0].filename == "a.usdc"
    assert inside[1].filename.startswith("maps/a_color_")
    assert {each.compress_type for each in inside} == {zipfile.ZIP_STORED}
    assert issues(tmp_path / "a.usdz") == []


def test_the_thumbnail_shows_the_shape_in_its_colours():
    square = np.array([(-1, -1, 0), (1, -1, 0), (1, 1, 0), (-1, 1, 0)], np.float32)
    triangles = np.array([(0, 1, 2), (0, 2, 3)], np.int32)
    colors = np.array([(200, 0, 0)] * 2 + [(0, 0, 200)] * 2, np.uint8)
    image = draw(square, triangles, colors, "Y", 64)
    assert tuple(image[0, 0]) == (40, 40, 40)
    red, blue = image[45, 32], image[18, 32]  # the lower points are red, and the picture's first row is its top
    assert red[0] > 60 > red[2]
    assert blue[2] > 60 > blue[0]
    covered = (image != 40).any(2).mean()
    assert 0.5 < covered < 0.75, "a square seen from 30 degrees aside, over nine tenths of the picture"


def test_who_made_it_from_what(tmp_path: Path):
    inputs = [("rest.obj", 1.0, "ab" * 32), ("end.obj", 4.0, "cd" * 32)]
    provenance = Provenance("geometry", "lim-nano", "ef" * 32, "12" * 32, inputs)
    for name, how in (("a.usd", {}), ("b.usd", {"flat": True})):
        write(tmp_path / name, sheet(), provenance=provenance, **how)
        stage = Usd.Stage.Open(str(tmp_path / name))
        root, mesh = stage.GetDefaultPrim(), stage.GetDefaultPrim().GetPrimAtPath("geo/mesh")
        said = {each.GetName(): each.Get() for each in root.GetAttributes() if "provenance" in each.GetName()}
        assert said == {
            "lim:provenance:software": SOFTWARE,
            "lim:provenance:version": VERSION,
            "lim:provenance:model": "lim-nano",
            "lim:provenance:weightsSha256": "ef" * 32,
            "lim:provenance:requestSha256": "12" * 32,
            "lim:provenance:inputs": ["rest.obj", "end.obj"],
            "lim:provenance:inputsSha256": ["ab" * 32, "cd" * 32],
        }
        assert list(root.GetAttribute("authorship:lim:inputs").Get()) == ["rest.obj", "ab" * 32, "end.obj", "cd" * 32]
        assert mesh.GetAttribute("lim:track:sourceKey").Get() == "rest.obj"
        assert mesh.GetAttribute("lim:track:method").Get() == "geometry"
        assert list(mesh.GetAttribute("lim:track:keys:names").Get()) == ["end.obj"]
        size = np.linalg.norm(np.ptp(sheet().mesh.points, axis=0))
        assert mesh.GetAttribute("lim:track:sourceDiagonal").Get() == pytest.approx(size)
        assert "LimProvenanceAPI" in root.GetMetadata("apiSchemas").GetAppliedItems()
        assert "LimTrackAPI" in mesh.GetMetadata("apiSchemas").GetAppliedItems()


def test_publishing_half_a_set_is_undone(tmp_path: Path):
    (tmp_path / "scratch").mkdir()
    (tmp_path / "old").write_text("old")
    for name in ("first", "second"):
        (tmp_path / "scratch" / name).write_text("new")
    scratch = tmp_path / "scratch"
    moves = [(scratch / "first", tmp_path / "old"), (scratch / "second", tmp_path / "sub/fresh")]
    with pytest.raises(DiskError, match="third: cannot be written"):
        publish([*moves, (scratch / "gone", tmp_path / "third")], scratch)
    assert (tmp_path / "old").read_text() == "old"
    assert not (tmp_path / "sub").exists()
    assert left_overs(tmp_path) == []


def test_a_picture_is_a_png_that_others_read():
    from lim_protocol.png import png as encoded

    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(encoded(pixels)))), pixels)
