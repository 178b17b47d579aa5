"""A merged mesh taken apart again into its named parts, each with its own points."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from lim_protocol.types import Mesh
from lim_usd.source import Part


def part_faces(parts: Sequence[Part]) -> Iterator[slice]:
    """The faces of each part, in order."""
    first = 0
    for part in parts:
        yield slice(first, first + part.faces)
        first += part.faces


def split(mesh: Mesh, parts: Sequence[Part]) -> Iterator[tuple[Mesh, NDArray[np.integer]]]:
    """Each part as a mesh of its own, and which points of the whole it has. Points of no face are left out."""
    corner_ends = np.concatenate([[0], np.cumsum(mesh.face_counts)])
    for faces in part_faces(parts):
        corners = slice(corner_ends[faces.start], corner_ends[faces.stop])
        points, face_indices = np.unique(mesh.face_indices[corners], return_inverse=True)
        st, st_indices = None, None
        if mesh.st is not None and mesh.st_indices is not None:
            used, inverse = np.unique(mesh.st_indices[corners], return_inverse=True)
            st, st_indices = mesh.st[used], inverse.astype(np.int32)
        piece = Mesh(
            mesh.points[points],
            mesh.face_counts[faces],
            face_indices.astype(np.int32),
            st,
            st_indices,
            None if mesh.colors is None else mesh.colors[points],
            None if mesh.stiffness is None else mesh.stiffness[points],
            None if mesh.pinned is None else mesh.pinned[points],
        )
        yield piece, points
