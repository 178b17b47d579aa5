"""Indexed primvars with each value once, and no value that nothing uses: what validators ask of them."""

from __future__ import annotations

import numpy as np

from lim_protocol.types import Float32, Int32


def each_once(pairs: Float32, indices: Int32) -> tuple[Float32, Int32]:
    """Values float32 [n, 2] and the one of each corner, int32 [corners], without unused and repeated values."""
    exact = np.ascontiguousarray(pairs, np.float32) + np.float32(0)  # -0 is 0
    used, inverse = np.unique(exact.view(np.uint64).ravel()[indices], return_inverse=True)
    return used.view(np.float32).reshape(-1, 2), inverse.reshape(-1).astype(np.int32)
