"""Texture images: found on disk, decoded, and read at texture coordinates."""

from __future__ import annotations

import io
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lim_cli.errors import BadInput
from lim_protocol.types import UInt8
from lim_usd.source import Texture

MOST_PIXELS = 16384 * 16384


def read_texture(path: Path) -> Texture:
    """An image file as an asset can have it. Raises BadInput naming it where it does not decode."""
    try:
        texture = Texture(str(path), path.read_bytes())
    except OSError as error:
        raise BadInput(f"texture {path}: {error.strerror or error}. Check the path.") from error
    decoded(texture)
    kept = portable(texture)
    return replace(kept, name=Path(kept.name).name)


def portable(texture: Texture) -> Texture:
    """The image as PNG or JPEG, which every reader of USD knows: untouched where it is one, else as PNG."""
    from PIL import Image

    from lim_usd.maps import image_suffix

    if image_suffix(texture.data) is not None:
        return texture

    encoded = io.BytesIO()
    Image.fromarray(decoded(texture)).save(encoded, "PNG")
    return Texture(f"{Path(texture.name).stem}.png", encoded.getvalue())


def texture_beside(name: str, folder: Path, remedy: str) -> Texture:
    """The image that a mesh file calls `name`, or one of that name beside it: exporters leave paths of the
    machine they ran on. Raises BadInput, ending with `remedy`, where neither is there.
    """
    plain = name.replace("\\", "/")
    for candidate in (folder / name, folder / plain, folder / plain.rsplit("/", 1)[-1]):
        if candidate.is_file():
            return Texture(candidate.name, candidate.read_bytes())
    raise BadInput(f"texture {name}: no such file. {remedy}")


def decoded(texture: Texture) -> UInt8:
    """The pixels, uint8 [height, width, 3], sRGB, first row at the top; alpha is dropped.

    Raises BadInput naming the image where it is no image, cut short, or above 16384 x 16384.
    """
    from PIL import Image, UnidentifiedImageError

    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, MOST_PIXELS
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(texture.data))
            if image.mode.startswith("I;16"):
                return np.repeat((np.asarray(image) >> 8).astype(np.uint8)[:, :, None], 3, axis=2)
            return np.asarray(image.convert("RGB"))
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise BadInput(f"texture {texture.name}: larger than 16384 x 16384 pixels. Scale it down.") from None
    except Exception as error:  # decoders raise what they like on bytes they did not expect
        what = "not an image that can be read" if isinstance(error, UnidentifiedImageError) else str(error)
        raise BadInput(
            f"texture {texture.name}: unreadable, {what} ({len(texture.data):,} bytes). Save it again as PNG or JPEG."
        ) from error
    finally:
        Image.MAX_IMAGE_PIXELS = limit


def sampled(image: UInt8, st: NDArray[np.floating]) -> NDArray[np.float32]:
    """Colours at texture coordinates [n, 2] with the origin at the lower left, 0 to 255, [n, 3]: bilinear
    between the centres of pixels, the image repeated beyond 0 to 1.
    """
    height, width = image.shape[:2]
    x = (st[:, 0].astype(np.float64) % 1) * width - 0.5
    y = (-st[:, 1].astype(np.float64) % 1) * height - 0.5
    left, top = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
    right_weight, lower_weight = (x - left)[:, None], (y - top)[:, None]
    columns, rows = (left % width, (left + 1) % width), (top % height, (top + 1) % height)
    upper = image[rows[0], columns[0]] * (1 - right_weight) + image[rows[0], columns[1]] * right_weight
    lower = image[rows[1], columns[0]] * (1 - right_weight) + image[rows[1], columns[1]] * right_weight
    blended: NDArray[np.float32] = (upper * (1 - lower_weight) + lower * lower_weight).astype(np.float32)
    return blended
