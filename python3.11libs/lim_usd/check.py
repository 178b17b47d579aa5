"""The doors that meshes and frames come through, whatever they were in: what is wrong with one, in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lim_protocol.records import FRAME_SCALARS
from lim_protocol.types import Float32, Frame, Mesh, UInt8
from lim_usd.source import BadSource


def check_mesh(mesh: Mesh, name: str) -> None:
    """Raise BadSource for a mesh that cannot be tracked. `name` is what the message calls it: a file, a prim."""
    check_faces(mesh, name)
    if (mesh.face_counts < 3).any():
        face = int(np.argmax(mesh.face_counts < 3))
        raise BadSource(f"{name}: face {face} has {mesh.face_counts[face]} corners. Remove faces with less than 3.")
    _check_finite(f"{name}: point", mesh.points)
    if mesh.st is not None and mesh.st_indices is not None:
        if len(mesh.st_indices) != len(mesh.face_indices):
            raise BadSource(
                f"{name}: {len(mesh.st_indices)} texture coordinates for {len(mesh.face_indices)} corners. {_AGAIN}"
            )
        _check_indices(f"{name}: texture coordinate index", mesh.st_indices, len(mesh.st), "texture coordinates")
        _check_finite(f"{name}: texture coordinate", mesh.st)


def checked_weights(values: NDArray[Any], points: int, name: str) -> NDArray[np.float64]:
    """A number of 0 or more for every point, float64 [points]; raise BadSource for anything else.

    `name` is what the message calls them: a file or prim, and the attribute.
    """
    if values.shape != (points,):
        raise BadSource(f"{name} has {values.size} values for {points} points. Make one for each point.")
    weights = values.astype(np.float64)
    bad = ~(np.isfinite(weights) & (weights >= 0))
    if bad.any():
        point = int(np.argmax(bad))
        raise BadSource(
            f"{name} is {weights[point]:g} at point {point}, one of {int(bad.sum())} that are negative or not finite. "
            "Use numbers from 0 up, or remove the attribute."
        )
    return weights


def stiffness_of(values: NDArray[Any], points: int, name: str) -> Float32:
    """Stiffness as a Mesh has it, float32 [points]. Raises BadSource as `checked_weights` does."""
    largest = float(np.finfo(np.float32).max)
    return np.minimum(checked_weights(values, points, name), largest).astype(np.float32)


def pinned_of(values: NDArray[Any], points: int, name: str) -> UInt8:
    """Pins as a Mesh has them, uint8 [points]: 1 for all above 0. Raises BadSource as `checked_weights` does."""
    return (checked_weights(values, points, name) > 0).astype(np.uint8)


def check_faces(mesh: Mesh, name: str) -> None:
    """Raise BadSource where there is no mesh, or its faces name corners or points that are not there."""
    points, faces, corners = len(mesh.points), len(mesh.face_counts), len(mesh.face_indices)
    if points == 0:
        raise BadSource(f"{name}: the mesh is empty. Export it with its polygons.")
    if faces == 0:
        raise BadSource(f"{name}: {points} points and no faces. Export polygons, not points.")
    if mesh.face_counts.min() < 0 or int(mesh.face_counts.sum()) != corners:
        needed = int(mesh.face_counts.sum())
        raise BadSource(f"{name}: its faces have {needed} corners, but {corners} corners name points. {_AGAIN}")
    _check_indices(f"{name}: face index", mesh.face_indices, points, "points")


_AGAIN = "The file is damaged: export it again."


def check_frame(frame: Frame, points: int, arrays: Sequence[str]) -> None:
    """Raise ValueError for a frame that lacks one of its `arrays`, or has one of another count or not finite."""
    for name in arrays:
        values, shape = getattr(frame, name), (points,) if name in FRAME_SCALARS else (points, 3)
        if values is None or values.shape != shape:
            found = "none" if values is None else f"an array of {values.shape}"
            raise ValueError(f"frame {frame.time:g} has {found} for {name}, not {shape}")
        if not np.isfinite(values).all():
            raise ValueError(f"frame {frame.time:g} has {name} that are not finite (NaN or infinite)")


def _check_indices(what: str, indices: NDArray[Any], count: int, things: str) -> None:
    bad = (indices < 0) | (indices >= count)
    if bad.any():
        corner = int(np.argmax(bad))
        raise BadSource(f"{what} {int(indices[corner])} at corner {corner}, but there are {count} {things}. {_AGAIN}")


def _check_finite(what: str, values: NDArray[Any]) -> None:
    bad = ~np.isfinite(values).all(axis=1)
    if bad.any():
        raise BadSource(
            f"{what} {int(np.argmax(bad))} is not finite (NaN or infinite), one of {int(bad.sum())} such. "
            "Clean the mesh and export it again."
        )
