"""Texture images beside an asset, in `maps/`, each under a name made of its content."""

from __future__ import annotations

import hashlib
from pathlib import Path

from lim_usd.layout import MAPS
from lim_usd.source import Texture


def image_suffix(data: bytes) -> str | None:
    """`.png` or `.jpg` by the first bytes of an encoded image; None for anything else."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return ".png"
    return ".jpg" if data.startswith(b"\xff\xd8\xff") else None


def map_path(asset: Path, texture: Texture) -> Path:
    """Where an asset's base colour goes, such as `maps/creature_color_1f0c9a2e.png` beside the asset.

    The name holds a hash of the image, so a new version of an asset never changes the texture of an earlier one.
    Raises ValueError for an image that is neither PNG nor JPEG.
    """
    suffix = image_suffix(texture.data)
    if suffix is None:
        raise ValueError(f"texture {texture.name}: is neither a PNG nor a JPEG file")
    name = f"{asset.stem}_color_{hashlib.sha256(texture.data).hexdigest()[:8]}{suffix}"
    return asset.parent / MAPS / name


def is_there(target: Path, data: bytes) -> bool:
    """Whether the image need not be written again."""
    return target.is_file() and target.stat().st_size == len(data) and target.read_bytes() == data
