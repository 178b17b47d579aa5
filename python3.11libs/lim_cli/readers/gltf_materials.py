"""What glTF primitives are painted with: base colours, their texture coordinates, and vertex colours."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lim_cli.errors import BadInput
from lim_cli.readers.contents import Material, some
from lim_cli.readers.gltf_file import GltfFile
from lim_protocol.types import Float32, UInt8
from lim_usd.color import srgb
from lim_usd.source import Texture


def read_materials(file: GltfFile, used: set[int]) -> tuple[Material, ...]:
    """Materials by their index; those that no face uses stay empty, so that their images need not be there."""
    materials = file.tree.get("materials", [])
    return tuple(_material(file, m) if i in used else Material() for i, m in enumerate(materials))


def texture_coordinates(file: GltfFile, primitive: dict[str, Any], points: int) -> Float32 | None:
    """The set that the base colour reads, [points, 2], moved as KHR_texture_transform says, with the origin at
    the lower left. glTF's own is at the upper left.
    """
    info, transform = _base_color_texture(file, primitive)
    name = f"TEXCOORD_{transform.get('texCoord', info.get('texCoord', 0))}"
    if name not in primitive["attributes"]:
        return None
    u, v = file.array(primitive["attributes"][name], points).T.astype(np.float64)
    if transform:
        u, v = _transformed(u, v, transform)
    return np.stack([u, 1 - v], axis=1).astype(np.float32)


def vertex_colors(file: GltfFile, attributes: dict[str, int], points: int) -> UInt8 | None:
    """COLOR_0 as sRGB bytes, [points, 3]; the file has linear light (3.7.2.1)."""
    if "COLOR_0" not in attributes:
        return None
    colors = file.array(attributes["COLOR_0"], points)[:, :3]
    if colors.dtype.kind in "iu":  # integers must be normalised; some writers forget to say so
        colors = colors / np.iinfo(colors.dtype).max
    return srgb(colors)


def _material(file: GltfFile, material: dict[str, Any]) -> Material:
    surface = material.get("pbrMetallicRoughness", {})
    factor = srgb(np.array(surface.get("baseColorFactor", (1, 1, 1, 1))[:3], np.float64))
    texture = _texture(file, surface["baseColorTexture"]) if "baseColorTexture" in surface else None
    red, green, blue = factor.tolist()
    return Material(str(material.get("name", "")), texture, (red, green, blue))


def _texture(file: GltfFile, info: dict[str, Any]) -> Texture:
    texture = file.tree["textures"][info["index"]]
    webp = texture.get("extensions", {}).get("EXT_texture_webp", {})
    source = webp.get("source", texture.get("source"))
    if source is None:
        kinds = some(list(texture.get("extensions", {}))) or "nothing"
        raise BadInput(f"texture {info['index']} is there as {kinds} only. Export it with PNG or JPEG images.")
    return file.image(source)


def _base_color_texture(file: GltfFile, primitive: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    if "material" not in primitive:
        return {}, {}
    surface = file.tree["materials"][primitive["material"]].get("pbrMetallicRoughness", {})
    info = surface.get("baseColorTexture", {})
    return info, info.get("extensions", {}).get("KHR_texture_transform", {})


def _transformed(
    u: NDArray[np.float64], v: NDArray[np.float64], transform: dict[str, Any]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Scale, then turn, then move. The turn goes from u towards -v: the matrix printed in the extension's text
    has the other sign, which no viewer follows.
    """
    scale, offset, angle = transform.get("scale", (1, 1)), transform.get("offset", (0, 0)), transform.get("rotation", 0)
    u, v = u * scale[0], v * scale[1]
    cosine, sine = np.cos(angle), np.sin(angle)
    return cosine * u + sine * v + offset[0], cosine * v - sine * u + offset[1]
