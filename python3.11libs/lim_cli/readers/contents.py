"""What a reader hands over: a file's polygons as they stand in it, before anything is checked or chosen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lim_cli.errors import BadInput
from lim_protocol.types import Float32, Int32, Mesh
from lim_usd.source import Part, Texture, UpAxis


@dataclass(frozen=True, eq=False)
class Material:
    """What a face is painted with. `color` is sRGB, and shows only where there is no texture."""

    name: str = ""
    texture: Texture | None = None
    color: tuple[int, int, int] | None = None


@dataclass(frozen=True, eq=False)
class Contents:
    """A file's polygons, all its meshes in one.

    mesh             unchecked: indices may point anywhere, points may be NaN, faces may have two corners
    parts            what had a name of its own, in the order of the faces; empty where the format has no names
    materials        what faces may be painted with
    face_materials   int32 [faces], index into `materials`, -1 without; None where no face has one
    up_axis          None where the file does not say
    metres_per_unit  None where the file does not say
    notes            what a person should be told about how the file was taken
    """

    mesh: Mesh
    parts: tuple[Part, ...] = ()
    materials: tuple[Material, ...] = ()
    face_materials: Int32 | None = None
    up_axis: UpAxis | None = None
    metres_per_unit: float | None = None
    notes: tuple[str, ...] = ()

    def only(self, faces: NDArray[np.bool_]) -> Contents:
        """Some of the faces, on all the points."""
        mesh, parts = self.mesh, self.parts
        corners = np.repeat(faces, mesh.face_counts)
        part_of_face = np.repeat(np.arange(len(parts)), [part.faces for part in parts])
        left = np.bincount(part_of_face[faces] if parts else [], minlength=len(parts)).tolist()
        return replace(
            self,
            mesh=replace(
                mesh,
                face_counts=mesh.face_counts[faces],
                face_indices=mesh.face_indices[corners],
                st_indices=None if mesh.st_indices is None else mesh.st_indices[corners],
            ),
            parts=tuple(Part(part.name, count) for part, count in zip(parts, left, strict=True) if count),
            face_materials=None if self.face_materials is None else self.face_materials[faces],
        )

    def part(self, name: str) -> Contents:
        """The part of a name, or of the last word of a path, on the points it uses, in their order.

        Formats without names give all they have. Raises BadInput with the names there are.
        """
        if not self.parts:
            return replace(self, notes=(*self.notes, "the format has no names: taken whole"))
        wanted = {name, name.rsplit("/", 1)[-1]}
        chosen = np.repeat([part.name in wanted for part in self.parts], [part.faces for part in self.parts])
        if not chosen.any():
            names = some(list(dict.fromkeys(part.name for part in self.parts)))
            raise BadInput(f"no part is named {name!r}. Its parts are {names}. Choose one of them with --prim.")
        some_faces = self.only(chosen)
        mesh = some_faces.mesh
        used, face_indices = np.unique(mesh.face_indices, return_inverse=True)
        return replace(
            some_faces,
            mesh=replace(
                mesh,
                points=mesh.points[used],
                face_indices=face_indices.reshape(-1).astype(np.int32),
                colors=None if mesh.colors is None else mesh.colors[used],
            ),
        )


def indexed_st(corners: NDArray[np.floating]) -> tuple[Float32, Int32]:
    """Texture coordinates of every corner, [corners, 2], as distinct ones and an index: st and st_indices."""
    pairs = np.ascontiguousarray(corners, np.float32) + np.float32(0)  # -0 and 0 are one place
    distinct, index = np.unique(pairs.view(np.uint64).ravel(), return_inverse=True)
    return distinct.view(np.float32).reshape(-1, 2), index.astype(np.int32)


def with_blank_st(st: Float32, st_indices: NDArray[np.integer], what: str) -> tuple[Float32, Int32, list[str]]:
    """Corners without a texture coordinate (index -1) get one of their own at (0, 0), and that is told."""
    blank = st_indices < 0
    if not blank.any():
        return st, st_indices.astype(np.int32), []
    filled = np.where(blank, len(st), st_indices).astype(np.int32)
    note = f"{int(blank.sum()):,} {what} have no texture coordinate and get (0, 0)"
    return np.concatenate([st, np.zeros((1, 2), np.float32)]), filled, [note]


def plural(count: int, one: str, many: str | None = None) -> str:
    """`1 face`, `3,000 faces`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def some(names: Sequence[str], most: int = 12) -> str:
    """Names in a row, cut short where there are many."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
