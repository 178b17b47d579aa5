"""Animated stages: the meshes as they are at the first frame, what paints them, and their points at any other."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from pxr import Usd, UsdGeom, UsdShade, UsdUtils

from lim_protocol.types import Float32, Int32, Mesh
from lim_usd.read import opened, sampled_at
from lim_usd.read_material import DiffuseImage, load_image, material_image, plain_color
from lim_usd.read_mesh import PrimMesh, read_mesh, world_points
from lim_usd.read_prims import Note, find_meshes, shown, told
from lim_usd.read_skel import Skeletons
from lim_usd.source import BadSource, Texture, turned


@dataclass(frozen=True, eq=False)
class Look:
    """What a material paints with: an image, or one colour, linear."""

    texture: Texture | None
    color: tuple[float, float, float] | None


@dataclass(frozen=True, eq=False)
class MovingPrim:
    """A mesh at the first frame, and the look of each of its faces: int32 [faces], -1 without."""

    mesh: Mesh
    face_looks: Int32


class MovingStage:
    """The meshes of a stage that a final render would show at its first sampled frame, and what moves them.

    prims   in stage order
    looks   what their faces are painted with
    frames  the first and the last that is sampled; None where nothing is
    rate    frames per second
    notes   what a person should be told

    Raises BadSource, naming file and prim, as `read_usd` does.
    """

    def __init__(self, path: str | Path) -> None:
        self._label, self._stage = str(path), opened(path)
        notes, meshes = find_meshes(self._stage, self._label)
        self._skeletons = Skeletons(self._stage)
        times = sampled_at(meshes, self._skeletons)
        self.frames = (times[0], times[-1]) if times else None
        self.rate = float(self._stage.GetTimeCodesPerSecond())
        first = Usd.TimeCode(times[0]) if times else Usd.TimeCode.Default()
        hidden, meshes = shown(meshes, first, self._label)
        self._looks = _Looks(self._label, first)
        self._read = [(UsdGeom.Mesh(prim), self._prim(prim, first)) for prim in meshes if _has_faces(prim, first)]
        if not self._read:
            raise BadSource(f"{self._label}: none of its {len(meshes)} meshes has a face. Export polygons, not points.")
        self.prims = [prim for _, prim in self._read]
        self.looks = self._looks.found
        self.notes = told([*notes, *hidden, *self._looks.notes, *self._unit_note()])

    def points(self, frame: float) -> Float32:
        """The points of all prims, in order, at a frame: float32 [points, 3], world space, metres, Y up.

        Raises BadSource for a prim whose points or faces are not those of the first frame.
        """
        time = Usd.TimeCode(frame)
        points = np.concatenate([self._points(geom, prim.mesh, time) for geom, prim in self._read])
        if UsdGeom.GetStageUpAxis(self._stage) == UsdGeom.Tokens.z:
            points = turned(points, "Y")
        return (points * UsdGeom.GetStageMetersPerUnit(self._stage)).astype(np.float32)

    def _points(self, geom: UsdGeom.Mesh, first: Mesh, time: Usd.TimeCode) -> Float32:
        label = f"{self._label}: {geom.GetPath()}"
        points, _ = world_points(geom, time, self._skeletons, label)
        if len(points) != len(first.points) or _changes(geom, time):
            raise BadSource(
                f"{label}: its topology at frame {time} is not that of the first frame. Only meshes that keep their "
                "points and faces can be taken: export one that deforms."
            )
        return points

    def _prim(self, prim: Usd.Prim, time: Usd.TimeCode) -> MovingPrim:
        face_looks, primvar = self._looks.of(prim, time)
        read: PrimMesh = read_mesh(prim, time, self._skeletons, primvar, f"{self._label}: {prim.GetPath()}")
        return MovingPrim(read.mesh, face_looks[read.kept])

    def _unit_note(self) -> list[Note]:
        said = UsdGeom.StageHasAuthoredMetersPerUnit(self._stage)
        return [] if said else [("no unit is stated: taken as centimetres, as OpenUSD does", "")]


@dataclass
class _Looks:
    """The looks of a stage, each once."""

    label: str
    time: Usd.TimeCode
    found: list[Look] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    _known: dict[str, tuple[int, str]] = field(default_factory=dict)

    def of(self, prim: Usd.Prim, time: Usd.TimeCode) -> tuple[Int32, str]:
        """The look of each face of a prim, and the primvar that its image is read at, '' if not said."""
        whole, primvar = self._bound(prim)
        faces = np.full(len(UsdGeom.Mesh(prim).GetFaceVertexCountsAttr().Get(time)), whole, np.int32)
        for subset in UsdShade.MaterialBindingAPI(prim).GetMaterialBindSubsets():
            look, other = self._bound(subset.GetPrim())
            indices = np.asarray(subset.GetIndicesAttr().Get(time) or [], np.int64)
            faces[indices[(indices >= 0) & (indices < len(faces))]] = look
            primvar = primvar or other
        return faces, primvar

    def _bound(self, prim: Usd.Prim) -> tuple[int, str]:
        material, _ = UsdShade.MaterialBindingAPI(prim).ComputeBoundMaterial(UsdShade.Tokens.preview)
        if not material:
            return -1, ""
        path = str(material.GetPath())
        if path not in self._known:
            self._known[path] = self._look(material, path)
        return self._known[path]

    def _look(self, material: UsdShade.Material, path: str) -> tuple[int, str]:
        image = material_image(material, self.time)
        texture, color = self._image(image, path) if image else None, plain_color(material, self.time)
        if texture is None and color is None:
            return -1, ""
        self.found.append(Look(texture, None if texture else color))
        return len(self.found) - 1, image.primvar if image else ""

    def _image(self, image: DiffuseImage, path: str) -> Texture | None:
        loaded = load_image(image, self.label)
        if isinstance(loaded, Texture):
            return loaded
        self.notes.append((loaded, path))
        return None


def layers_under(path: Path) -> set[Path]:
    """The files of layers that a stage is made of, its own left out; none where it cannot be opened."""
    try:
        layers, _, _ = UsdUtils.ComputeAllDependencies(str(path))
    except Exception:  # what is wrong with it is told when it is read
        return set()
    return {Path(layer.realPath) for layer in layers if layer.realPath} - {path.resolve()}


def _has_faces(prim: Usd.Prim, time: Usd.TimeCode) -> bool:
    return bool(UsdGeom.Mesh(prim).GetFaceVertexCountsAttr().Get(time))


def _changes(geom: UsdGeom.Mesh, time: Usd.TimeCode) -> bool:
    """Whether the faces are not those of the first sample."""
    attributes = (geom.GetFaceVertexCountsAttr(), geom.GetFaceVertexIndicesAttr())
    moving = [attribute for attribute in attributes if attribute.ValueMightBeTimeVarying()]
    return any(attribute.Get(time) != attribute.Get(Usd.TimeCode.EarliestTime()) for attribute in moving)
