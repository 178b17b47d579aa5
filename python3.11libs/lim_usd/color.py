"""Between the sRGB bytes of images and the linear floats of displayColor (IEC 61966-2-1)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lim_protocol.types import Float32, UInt8


def linear(srgb: UInt8) -> Float32:
    """sRGB bytes, any shape, as linear light from 0 to 1."""
    encoded = np.arange(256) / 255
    light = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    table: Float32 = light.astype(np.float32)
    return table[srgb]


def srgb(light: NDArray[np.floating]) -> UInt8:
    """Linear light, any shape, as sRGB bytes; what lies outside 0 to 1 is clipped."""
    light = np.clip(np.nan_to_num(light), 0, 1)
    encoded = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    result: UInt8 = np.round(encoded * 255).astype(np.uint8)
    return result
