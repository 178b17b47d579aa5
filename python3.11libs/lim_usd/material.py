"""The look of an asset: one UsdPreviewSurface, coloured by a texture, by the points' colours, or plain."""

from __future__ import annotations

from pxr import Sdf, Usd, UsdShade

ROUGHNESS = 0.7  # scans and sculpts look wet below, chalky above


def define_material(stage: Usd.Stage, path: Sdf.Path, texture: str | None, colored: bool) -> UsdShade.Material:
    """A material at `path`. `texture` is the asset path of an sRGB image, read at `st`; it wins over colours.

    `colored` says that the bound meshes have `primvars:displayColor`.
    """
    material = UsdShade.Material.Define(stage, path)
    surface = _shader(stage, path.AppendChild("surface"), "UsdPreviewSurface")
    surface.CreateInput("roughness", Sdf.ValueTypeNames.Float).Set(ROUGHNESS)
    color = None
    if texture:
        color = _texture(stage, path, texture)
    elif colored:
        color = _primvar(stage, path.AppendChild("color"), "displayColor", "float3")
    if color:  # else it is UsdPreviewSurface's own grey
        surface.CreateInput("diffuseColor", Sdf.ValueTypeNames.Color3f).ConnectToSource(color)
    output = surface.CreateOutput("surface", Sdf.ValueTypeNames.Token)
    material.CreateSurfaceOutput().ConnectToSource(output)
    return material


def _texture(stage: Usd.Stage, material: Sdf.Path, texture: str) -> UsdShade.Output:
    image = _shader(stage, material.AppendChild("texture"), "UsdUVTexture")
    image.CreateInput("file", Sdf.ValueTypeNames.Asset).Set(Sdf.AssetPath(texture))
    image.CreateInput("sourceColorSpace", Sdf.ValueTypeNames.Token).Set("sRGB")
    image.CreateInput("wrapS", Sdf.ValueTypeNames.Token).Set("repeat")
    image.CreateInput("wrapT", Sdf.ValueTypeNames.Token).Set("repeat")
    reader = _primvar(stage, material.AppendChild("st"), "st", "float2")
    image.CreateInput("st", Sdf.ValueTypeNames.Float2).ConnectToSource(reader)
    return image.CreateOutput("rgb", Sdf.ValueTypeNames.Float3)


def _primvar(stage: Usd.Stage, path: Sdf.Path, name: str, kind: str) -> UsdShade.Output:
    reader = _shader(stage, path, f"UsdPrimvarReader_{kind}")
    reader.CreateInput("varname", Sdf.ValueTypeNames.String).Set(name)
    types = {"float2": Sdf.ValueTypeNames.Float2, "float3": Sdf.ValueTypeNames.Float3}
    return reader.CreateOutput("result", types[kind])


def _shader(stage: Usd.Stage, path: Sdf.Path, name: str) -> UsdShade.Shader:
    shader = UsdShade.Shader.Define(stage, path)
    shader.CreateIdAttr(name)
    return shader
