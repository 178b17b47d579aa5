"""One key as posed pictures, as it travels to the server."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lim_protocol import records
from lim_protocol.types import Float32, UInt8
from lim_protocol.wire import WireError

FEWEST = 2
"""Views of a key: one does not say how deep a thing is."""


@dataclass(frozen=True, eq=False)
class Views:
    """Square pictures from pinhole cameras whose axes run through the pictures' middles. Space: the box [-1, 1]^3
    with y up, which the thing in the pictures lies in.

    images  uint8   [views, size, size, 4]  sRGB, not multiplied, and how much of the pixel the thing covers
    world   float32 [views, 3, 4]           camera to box: right, up and back as columns, then the position
    focal   float32 [views]                 where x / -z = 1 lies in the picture, whose edges are at -1 and 1
    """

    images: UInt8
    world: Float32
    focal: Float32


def pack_views(views: Views) -> bytearray:
    """The pictures of a key as a record."""
    return records.pack(vars(views))


def unpack_views(record: bytes | memoryview) -> Views:
    """The pictures in a record. Raises WireError where they are none, fewer than two, or their cameras cannot be."""
    arrays, _ = records.unpack(record)
    try:
        views = Views(**arrays)
    except TypeError as error:
        raise WireError(f"record is no views: {error}") from None
    count = len(views.images)
    size = views.images.shape[1] if views.images.ndim == 4 else 0
    wanted = {"images": ("u1", (count, size, size, 4)), "world": ("f4", (count, 3, 4)), "focal": ("f4", (count,))}
    for name, (dtype, shape) in wanted.items():
        a = arrays[name]
        if a.dtype.str[1:] != dtype or a.shape != shape:
            raise WireError(f"{name} is {a.dtype.str[1:]} {list(a.shape)}, wanted {dtype} {list(shape)}")
    if count < FEWEST or size == 0:
        raise WireError(f"{count} views of {size} pixels, wanted are {FEWEST} or more")
    axes = views.world[..., :3]
    rigid = np.abs(np.swapaxes(axes, 1, 2) @ axes - np.eye(3)).max() < 1e-3 if np.isfinite(views.world).all() else False
    if not rigid or not (np.isfinite(views.focal) & (views.focal > 0)).all():
        raise WireError("a camera is not finite, not rigid, or without a focal length")
    return views
