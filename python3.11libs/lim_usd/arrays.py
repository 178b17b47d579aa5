"""numpy arrays as OpenUSD's and back. FromNumpy is the only way in that is not a hundred times slower."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from pxr import Vt

Scalar = TypeVar("Scalar", bound=np.generic)


def ints(values: NDArray[Any]) -> Vt.IntArray:
    """Whole numbers [n] as int[]."""
    array: Vt.IntArray = Vt.IntArray.FromNumpy(_plain(values, np.int32))  # type: ignore[no-untyped-call]
    return array


def floats(values: NDArray[Any]) -> Vt.FloatArray:
    """Numbers [n] as float[]."""
    array: Vt.FloatArray = Vt.FloatArray.FromNumpy(_plain(values, np.float32))  # type: ignore[no-untyped-call]
    return array


def doubles(values: NDArray[Any]) -> Vt.DoubleArray:
    """Numbers [n] as double[]."""
    array: Vt.DoubleArray = Vt.DoubleArray.FromNumpy(_plain(values, np.float64))  # type: ignore[no-untyped-call]
    return array


def pairs(values: NDArray[Any]) -> Vt.Vec2fArray:
    """Numbers [n, 2] as float2[] and its roles."""
    array: Vt.Vec2fArray = Vt.Vec2fArray.FromNumpy(_plain(values, np.float32))  # type: ignore[no-untyped-call]
    return array


def vectors(values: NDArray[Any]) -> Vt.Vec3fArray:
    """Numbers [n, 3] as float3[] and its roles."""
    array: Vt.Vec3fArray = Vt.Vec3fArray.FromNumpy(_plain(values, np.float32))  # type: ignore[no-untyped-call]
    return array


def view(array: Any, kind: type[Scalar]) -> NDArray[Scalar]:
    """An array of OpenUSD's as numpy's. It may lie in a mapped file: copy what is to be kept."""
    return np.asarray(array, kind)


def _plain(values: NDArray[Any], kind: type[np.generic]) -> NDArray[Any]:
    # Arrays that lie where a message was received may start at any byte, and OpenUSD takes aligned ones only.
    return np.require(values, kind, ["C", "A"])
