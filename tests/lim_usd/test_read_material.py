"""Textures of bound materials, wherever the file is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pxr import Sdf, UsdUtils
from stage_files import FACE_VARYING, ST, corners, mesh, stage
from usd_assets import jpeg, png, sheet, write

from lim_usd.read import read_usd
from lim_usd.source import BadSource


def material(file: str, varname: str = "st", prim: str = "look") -> str:
    """A material as DCCs write it: the file name an input of the material, the shaders inside a node graph."""
    return f"""def Material "{prim}" {{
        asset inputs:image = @{file}@
        token outputs:surface.connect = </{prim}/graph/surface.outputs:surface>
        def NodeGraph "graph" {{
            asset inputs:image.connect = </{prim}.inputs:image>
            def Shader "surface" {{
                uniform token info:id = "UsdPreviewSurface"
                color3f inputs:diffuseColor.connect = </{prim}/graph/texture.outputs:rgb>
                token outputs:surface
            }}
            def Shader "texture" {{
                uniform token info:id = "UsdUVTexture"
                asset inputs:file.connect = </{prim}/graph.inputs:image>
                float2 inputs:st.connect = </{prim}/graph/place.outputs:result>
                float3 outputs:rgb
            }}
            def Shader "place" {{
                uniform token info:id = "UsdTransform2d"
                float2 inputs:in.connect = </{prim}/graph/reader.outputs:result>
                float2 outputs:result
            }}
            def Shader "reader" {{
                uniform token info:id = "UsdPrimvarReader_float2"
                string inputs:varname = "{varname}"
                float2 outputs:result
            }}
        }}
    }}
    """


def bound(name: str = "mesh", to: str = "look", extra: str = "") -> str:
    binding = f"rel material:binding = </{to}>\n{extra}"
    return mesh(name, extra=binding).replace(f'"{name}"', f'"{name}" (prepend apiSchemas = ["MaterialBindingAPI"])', 1)


def test_the_texture_of_the_bound_material_comes_with_its_uv_set(tmp_path: Path):
    (tmp_path / "textures").mkdir()
    (tmp_path / "textures" / "skin.png").write_bytes(png())
    sets = f"texCoord2f[] primvars:st = [{ST.replace('0.5', '0.25')}{FACE_VARYING}\n"
    sets += f"texCoord2f[] primvars:baked = [{ST}{FACE_VARYING}"
    path = stage(tmp_path / "a.usda", material("./textures/skin.png", "baked") + bound(extra=sets))
    source = read_usd(path)
    assert source.texture.data == png()
    assert source.texture.name == "./textures/skin.png"
    assert np.allclose(source.mesh.st[source.mesh.st_indices], corners(source)[:, :2] / 2)


def test_a_texture_inside_a_package_is_read(tmp_path: Path):
    write(tmp_path / "a.usd", sheet(texture=png()))
    assert UsdUtils.CreateNewUsdzPackage(Sdf.AssetPath(str(tmp_path / "a.usd")), str(tmp_path / "a.usdz"))
    assert read_usd(tmp_path / "a.usdz", 2).texture.data == png()


def test_the_texture_of_a_referenced_asset_is_found_beside_it(tmp_path: Path):
    (tmp_path / "deep" / "er").mkdir(parents=True)
    write(tmp_path / "deep" / "er" / "part.usd", sheet(texture=jpeg()))
    path = stage(tmp_path / "shot.usda", 'def "hero" (references = @./deep/er/part.usd@) {}')
    assert read_usd(path, 1).texture.data == jpeg()


def test_a_texture_bound_to_a_subset_counts(tmp_path: Path):
    (tmp_path / "a.png").write_bytes(png())
    subset = """def GeomSubset "top" (prepend apiSchemas = ["MaterialBindingAPI"]) {
        uniform token elementType = "face"
        uniform token familyName = "materialBind"
        int[] indices = [0, 1]
        rel material:binding = </look>
    }"""
    assert read_usd(stage(tmp_path / "a.usda", material("a.png") + mesh(extra=subset))).texture.data == png()


def test_of_several_textures_the_first_is_kept_and_told(tmp_path: Path):
    (tmp_path / "a.png").write_bytes(png(1))
    (tmp_path / "b.png").write_bytes(png(2))
    body = material("b.png", prim="two") + material("a.png", prim="one") + bound("m1", "two") + bound("m2", "one")
    source = read_usd(stage(tmp_path / "a.usda", body))
    assert source.texture.data == png(2)
    assert source.notes == ("of the textures b.png, a.png, only the first is kept",)


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("gone.png", None, "texture gone.png cannot be found"),
        ("skin.exr", b"\x76\x2f\x31\x01", "texture skin.exr is left out: save it as PNG or JPEG"),
        ("skin.<UDIM>.png", None, "is a set of UDIM tiles"),
    ],
)
def test_a_texture_that_cannot_be_used_is_left_out_and_told(tmp_path: Path, file: str, content, words: str):
    if content is not None:
        (tmp_path / file).write_bytes(content)
    source = read_usd(stage(tmp_path / "a.usda", material(file) + bound()))
    assert source.texture is None
    assert words in source.notes[0]


def test_a_damaged_texture_is_refused(tmp_path: Path):
    (tmp_path / "skin.png").write_bytes(b"")
    with pytest.raises(BadSource, match=r"a.usda: texture skin.png is neither PNG nor JPEG inside"):
        read_usd(stage(tmp_path / "a.usda", material("skin.png") + bound()))
