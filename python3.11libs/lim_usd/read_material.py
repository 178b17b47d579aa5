"""The base colour image of the material that a mesh prim is bound to."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

from pxr import Ar, Gf, Sdf, Usd, UsdGeom, UsdShade

from lim_usd.maps import image_suffix
from lim_usd.source import BadSource, Texture


@dataclass(frozen=True)
class DiffuseImage:
    """The image file of a UsdPreviewSurface's diffuse colour, and the primvar it is read at ('' if not said)."""

    file: Sdf.AssetPath
    primvar: str


def diffuse_image(prim: Usd.Prim, time: Usd.TimeCode) -> DiffuseImage | None:
    """The image on a mesh prim: of its own material, or of the first of its subsets' that has one."""
    subsets = [subset.GetPrim() for subset in UsdGeom.Subset.GetAllGeomSubsets(UsdGeom.Imageable(prim))]
    for bound in (prim, *subsets):
        material, _ = UsdShade.MaterialBindingAPI(bound).ComputeBoundMaterial(UsdShade.Tokens.preview)
        if material and (image := material_image(material, time)):
            return image
    return None


def plain_color(material: UsdShade.Material, time: Usd.TimeCode) -> tuple[float, float, float] | None:
    """The diffuse colour of a UsdPreviewSurface, linear, where it is one for the whole surface and said."""
    surface = material.ComputeSurfaceSource()[0]
    color = _value(surface, "diffuseColor", time) if surface else None
    if not isinstance(color, Gf.Vec3f):
        return None
    red, green, blue = (float(channel) for channel in color)  # type: ignore[attr-defined]
    return red, green, blue


def load_image(image: DiffuseImage, label: str) -> Texture | str:
    """The image's file, out of a usdz package too, or in words why it is left out.

    Raises BadSource for a file that says it is PNG or JPEG and is not; `label` is what the message calls the stage.
    """
    name = image.file.path
    if "<UDIM>" in name:
        return f"texture {name} is a set of UDIM tiles and is left out: bake them to one image, or give one"
    try:
        data = _file_bytes(image.file.resolvedPath or name)
    except (OSError, KeyError) as error:
        return f"texture {name} cannot be found and is left out ({error})"
    if image_suffix(data):
        return Texture(name, data)
    if name.lower().endswith((".png", ".jpg", ".jpeg")):
        raise BadSource(f"{label}: texture {name} is neither PNG nor JPEG inside. Save the image again.")
    return f"texture {name} is left out: save it as PNG or JPEG"


def _file_bytes(path: str) -> bytes:
    if not Ar.IsPackageRelativePath(path):
        return Path(path).read_bytes()
    package, packaged = Ar.SplitPackageRelativePathOuter(path)
    with zipfile.ZipFile(package) as archive:
        return archive.read(packaged)


def material_image(material: UsdShade.Material, time: Usd.TimeCode) -> DiffuseImage | None:
    """The image of a UsdPreviewSurface's diffuse colour; None without."""
    surface = material.ComputeSurfaceSource()[0]
    texture = _source(surface, "diffuseColor", "UsdUVTexture") if surface else None
    if not texture:
        return None
    file = _value(texture, "file", time)
    if not isinstance(file, Sdf.AssetPath) or not file.path:
        return None
    reader = _source(texture, "st", "UsdPrimvarReader_float2")
    if not reader and (transform := _source(texture, "st", "UsdTransform2d")):
        reader = _source(transform, "in", "UsdPrimvarReader_float2")
    return DiffuseImage(file, str(_value(reader, "varname", time) or "") if reader else "")


def _source(shader: UsdShade.Shader, name: str, shader_id: str) -> UsdShade.Shader | None:
    """The shader of a kind that feeds an input, through whatever node graphs lie between."""
    for attribute in _producers(shader, name):
        source = UsdShade.Shader(attribute.GetPrim())
        if source and source.GetShaderId() == shader_id:
            return source
    return None


def _value(shader: UsdShade.Shader, name: str, time: Usd.TimeCode) -> object:
    return next((attribute.Get(time) for attribute in _producers(shader, name)), None)


def _producers(shader: UsdShade.Shader, name: str) -> list[Usd.Attribute]:
    given = shader.GetInput(name)
    return list(UsdShade.Utils.GetValueProducingAttributes(given)) if given else []
