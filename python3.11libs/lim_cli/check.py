"""The door that every keyframe comes through, whatever its format: refused, mended, or let in with a word."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from lim_cli.errors import BadInput
from lim_cli.readers.contents import Contents, plural
from lim_protocol.types import Float32, Mesh, fan
from lim_usd.check import check_faces, check_mesh
from lim_usd.source import BadSource

_FLAT = 1e-12  # of the diagonal squared: below it the area of a face is rounding


def sound(contents: Contents) -> Contents:
    """The contents, known to have points and faces, and faces whose points are there. Raises BadInput otherwise."""
    mesh = contents.mesh
    bad = np.flatnonzero((mesh.face_indices < 0) | (mesh.face_indices >= len(mesh.points)))
    if len(mesh.points) and len(bad):
        face = int(np.searchsorted(np.cumsum(mesh.face_counts), bad[0], side="right"))
        raise BadInput(
            f"face {face} uses point {mesh.face_indices[bad[0]]}, but there are {plural(len(mesh.points), 'point')}, "
            "counted from 0. The file is damaged: export it again."
        )
    with _in_our_words():
        check_faces(mesh, "mesh")
    return contents


def checked(contents: Contents) -> Contents:
    """Sound contents with faces of fewer than three corners left out, and notes on whatever else is odd but can
    be tracked: those faces stay, as the source's faces come back as they are.

    Raises BadInput for points or texture coordinates that are not finite, and points that are all in one place.
    """
    contents, notes = _without_slivers(contents)
    with _in_our_words():
        check_mesh(contents.mesh, "mesh")
    if diagonal(contents.mesh.points) == 0:
        raise BadInput(f"all {plural(len(contents.mesh.points), 'point')} are in one place. Export it again.")
    return replace(contents, notes=(*contents.notes, *notes, *_oddities(contents.mesh)))


def diagonal(points: Float32) -> float:
    """The diagonal of the points' bounding box."""
    return float(np.linalg.norm(points.max(axis=0).astype(np.float64) - points.min(axis=0)))


@contextmanager
def _in_our_words() -> Iterator[None]:
    try:
        yield
    except BadSource as error:
        raise BadInput(str(error).removeprefix("mesh: ")) from error


def _without_slivers(contents: Contents) -> tuple[Contents, list[str]]:
    mesh = contents.mesh
    kept = mesh.face_counts >= 3
    if kept.all():
        return contents, []
    left_out = int((~kept).sum())
    note = f"{plural(left_out, 'face')} with fewer than 3 corners left out, the first is face {int(np.argmin(kept))}"
    return contents.only(kept), [note]


def _oddities(mesh: Mesh) -> Iterator[str]:
    """What is told: repeated, flat and non-manifold faces, loose points, coordinates too large for their size."""
    repeated = _repeated_faces(mesh)
    if repeated:
        yield f"{plural(repeated, 'face')} repeated, kept"
    flat = int((_areas(mesh) <= _FLAT * diagonal(mesh.points) ** 2).sum())
    if flat:
        yield f"{plural(flat, 'face')} without area, kept"
    crowded = _crowded_edges(mesh)
    if crowded:
        yield f"{plural(crowded, 'edge')} with more than two faces (non-manifold), kept"
    loose = len(mesh.points) - int(np.count_nonzero(np.bincount(mesh.face_indices, minlength=len(mesh.points))))
    if loose:
        yield f"{plural(loose, 'point')} of no face, kept"
    far, size = float(np.abs(mesh.points).max()), diagonal(mesh.points)
    if far * np.finfo(np.float32).eps > 1e-5 * size:
        yield (
            f"{far / size:,.0f} times its own size away from the origin, where single precision is coarse: "
            "move it there if its shape suffers"
        )


def _repeated_faces(mesh: Mesh) -> int:
    """Faces with the same points as an earlier one, in any order."""
    starts = np.cumsum(mesh.face_counts) - mesh.face_counts
    repeated = 0
    for count in np.unique(mesh.face_counts).tolist():
        rows = starts[mesh.face_counts == count]
        faces = np.sort(mesh.face_indices[rows[:, None] + np.arange(count)], axis=1)
        order = np.lexsort(faces.T)
        repeated += int((faces[order][1:] == faces[order][:-1]).all(axis=1).sum())
    return repeated


def _areas(mesh: Mesh) -> NDArray[np.float64]:
    """The area that each face shows along its own normal, [faces]."""
    a, b, c = mesh.points.astype(np.float64)[fan(mesh.face_counts, mesh.face_indices)].transpose(1, 0, 2)
    starts = np.cumsum(mesh.face_counts - 2) - (mesh.face_counts - 2)
    vectors = np.add.reduceat(np.cross(b - a, c - a), starts, axis=0)
    areas: NDArray[np.float64] = np.linalg.norm(vectors, axis=1) / 2
    return areas


def _crowded_edges(mesh: Mesh) -> int:
    """Edges that more than two faces share."""
    ends = np.cumsum(mesh.face_counts)
    following = np.arange(1, len(mesh.face_indices) + 1)
    following[ends - 1] = ends - mesh.face_counts
    one, other = mesh.face_indices.astype(np.int64), mesh.face_indices[following].astype(np.int64)
    edges = np.sort(np.minimum(one, other) * len(mesh.points) + np.maximum(one, other))
    return int((np.unique(edges, return_counts=True)[1] > 2).sum())
