"""Texture images beside an asset, in `maps/`, each under a name made of its content."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from pathlib import Path

from lim_usd.atomic import disk_errors, publish
from lim_usd.source import Texture

FOLDER = "maps"


def image_suffix(data: bytes) -> str | None:
    """`.png` or `.jpg` by the first bytes of an encoded image; None for anything else."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return ".png"
    return ".jpg" if data.startswith(b"\xff\xd8\xff") else None


def map_path(asset: Path, texture: Texture) -> str:
    """Where an asset's base colour goes, from the asset's folder, such as `maps/creature_color_1f0c9a2e.png`.

    The name holds a hash of the image, so a new version of an asset never changes the texture of an earlier one.
    Raises ValueError for an image that is neither PNG nor JPEG.
    """
    suffix = image_suffix(texture.data)
    if suffix is None:
        raise ValueError(f"texture {texture.name}: is neither a PNG nor a JPEG file")
    return f"{FOLDER}/{asset.stem}_color_{hashlib.sha256(texture.data).hexdigest()[:8]}{suffix}"


@contextlib.contextmanager
def image_in_place(data: bytes, target: Path, scratch: Path) -> Iterator[None]:
    """Have the image at `target` while the block runs, and after it unless the block fails."""
    new_folder = not target.parent.exists()
    new_file = not target.exists()
    try:
        if new_file or target.read_bytes() != data:
            with disk_errors(target):
                target.parent.mkdir(exist_ok=True)
                ready = scratch / target.name
                ready.write_bytes(data)
            publish(ready, target)
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            if new_file:
                target.unlink(missing_ok=True)
            if new_folder:
                target.parent.rmdir()
        raise
