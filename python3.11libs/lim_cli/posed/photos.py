"""Photographs and their masks, from files to pixels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lim_cli.errors import BadInput

if TYPE_CHECKING:
    from PIL.Image import Image

ALPHA = {"RGBA", "LA", "PA", "La", "RGBa"}
NO_MASK = "Give images with an alpha channel that is 0 beside the thing, or a mask_path per frame"


def opened(path: Path, label: str) -> Image:
    """The image, not yet decoded. Raises BadInput naming it where it is missing or no image."""
    from PIL import Image as image
    from PIL import UnidentifiedImageError

    try:
        return image.open(path)
    except FileNotFoundError:
        raise BadInput(f"{label}: no such file as {path}. Check file_path; it counts from the folder.") from None
    except UnidentifiedImageError:
        raise BadInput(f"{label}: {path.name} is not an image that can be read. Save it as PNG or JPEG.") from None
    except (OSError, image.DecompressionBombError) as error:
        raise BadInput(f"{label}: {path.name} cannot be read ({error}). Save it again as PNG or JPEG.") from error


def decoded(path: Path, mask: Path | None, label: str) -> Image:
    """The photograph as RGBA, its alpha the mask. Raises BadInput where there is none, or it does not decode."""
    try:
        photo = opened(path, label)
        has_alpha = photo.mode in ALPHA or "transparency" in photo.info
        if mask is None and not has_alpha:
            raise BadInput(f"{label}: {path.name} has no mask, its mode is {photo.mode}. {NO_MASK}.")
        whole = photo.convert("RGBA")
        if mask is not None:
            whole.putalpha(_mask(mask, label, whole.size))
    except (OSError, SyntaxError, ValueError) as error:  # decoders raise what they like on bytes cut short
        raise BadInput(f"{label}: {path.name} cannot be read ({error}). Save it again as PNG or JPEG.") from error
    return whole


def _mask(path: Path, label: str, size: tuple[int, int]) -> Image:
    mask = opened(path, label)
    if mask.size != size:
        found, wanted = (f"{w} x {h}" for w, h in (mask.size, size))
        raise BadInput(f"{label}: its mask {path.name} is {found} pixels, the image {wanted}. Make them alike.")
    return mask.getchannel("A") if mask.mode in ALPHA else mask.convert("L")


def silhouette(photo: Image, most: int, label: str) -> NDArray[np.bool_]:
    """Where the thing is, [height, width], scaled down until no side is longer than `most`.

    Raises BadInput for masks that are empty, or full, which says as little.
    """
    alpha = photo.getchannel("A")
    covered = np.asarray(alpha.reduce(max(1, -(-max(alpha.size) // most)))) > 127
    if not covered.any():
        raise BadInput(f"{label}: its mask is empty, no pixel is half covered. Leave this view out, or mend its mask.")
    if covered.all():
        raise BadInput(f"{label}: its mask is full, nothing in the picture is beside the thing. {NO_MASK}.")
    return covered


def premultiplied(photo: Image, reduced: int) -> NDArray[np.float32]:
    """Pixels [height, width, 4] from 0 to 1, colours times alpha, means over blocks of `reduced` x `reduced`."""
    return np.asarray(photo.convert("RGBa").reduce(reduced), np.float32) / np.float32(255)
