"""Several meshes as one, in order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from lim_protocol.types import Float32, Int32, Mesh, UInt8

T = TypeVar("T", np.float32, np.uint8)
GREY = 118  # sRGB of the 18 % grey that a surface without a colour has in USD


def merged(meshes: Sequence[Mesh]) -> Mesh:
    """One mesh with the points and faces of all, in their order, in the space they share.

    Where only some have texture coordinates, the corners of the others are all at (0, 0); where only some have
    colours, the others are grey; where only some have stiffness or pins, the others are of stiffness 1 and free.
    """
    if len(meshes) == 1:
        return meshes[0]
    st, st_indices = _merged_st(meshes)
    return Mesh(
        np.concatenate([mesh.points for mesh in meshes]),
        np.concatenate([mesh.face_counts for mesh in meshes]),
        _merged_indices([(mesh.face_indices, len(mesh.points)) for mesh in meshes]),
        st,
        st_indices,
        _merged_colors(meshes),
        _merged_weights([(mesh.stiffness, len(mesh.points)) for mesh in meshes], np.float32(1)),
        _merged_weights([(mesh.pinned, len(mesh.points)) for mesh in meshes], np.uint8(0)),
    )


def _merged_st(meshes: Sequence[Mesh]) -> tuple[Float32 | None, Int32 | None]:
    if all(mesh.st is None for mesh in meshes):
        return None, None
    sets = [_st_of(mesh) for mesh in meshes]
    return np.concatenate([st for st, _ in sets]), _merged_indices([(indices, len(st)) for st, indices in sets])


def _st_of(mesh: Mesh) -> tuple[Float32, Int32]:
    if mesh.st is None or mesh.st_indices is None:
        return np.zeros((1, 2), np.float32), np.zeros(len(mesh.face_indices), np.int32)
    return mesh.st, mesh.st_indices


def _merged_colors(meshes: Sequence[Mesh]) -> UInt8 | None:
    if all(mesh.colors is None for mesh in meshes):
        return None
    return np.concatenate(
        [np.full((len(m.points), 3), GREY, np.uint8) if m.colors is None else m.colors for m in meshes]
    )


def _merged_weights(each: Sequence[tuple[NDArray[T] | None, int]], otherwise: T) -> NDArray[T] | None:
    if all(weights is None for weights, _ in each):
        return None
    return np.concatenate([np.full(n, otherwise) if weights is None else weights for weights, n in each])


def _merged_indices(indexed: Sequence[tuple[Int32, int]]) -> Int32:
    starts = np.cumsum([0, *(count for _, count in indexed)])
    return np.concatenate([indices + np.int32(start) for (indices, _), start in zip(indexed, starts)])
