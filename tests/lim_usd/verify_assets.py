"""A ball that swells, turns and travels: clean in every respect, to be spoiled in one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
from pxr import Sdf, Usd, UsdGeom
from usd_assets import png

from lim_protocol.types import Frame, Mesh
from lim_usd.arrays import vectors
from lim_usd.asset import AssetWriter
from lim_usd.clips import ClipAsset
from lim_usd.mesh import point_normals
from lim_usd.provenance import Provenance
from lim_usd.source import Part, Source, Texture

TIMES = [float(time) for time in range(1, 13)]
FPS = 24.0
MESH = "/a/geo/mesh"
REQUEST = Provenance("geometry", request_sha256="ab" * 32, inputs=[("rest.obj", 1.0, "00")])


def ball(rings: int = 8, around: int = 12, texture: bool = True, **changes: object) -> Source:
    """A closed ball of quads and triangles, its texture laid around it as a map is around the earth."""
    tilt, turn = np.linspace(-np.pi / 2, np.pi / 2, rings), np.linspace(0, 2 * np.pi, around, endpoint=False)
    up, out = np.sin(tilt)[1:-1, None], np.cos(tilt)[1:-1, None]
    belt = np.stack([out * np.cos(turn), up + 0 * turn, -out * np.sin(turn)], -1).reshape(-1, 3)
    points = np.concatenate([belt, [[0, -1, 0], [0, 1, 0]]]).astype(np.float32)
    faces, uvs = [], []
    for i in range(rings - 1):
        for j in range(around):
            corners = [(i, j), (i, j + 1), (i + 1, j + 1), (i + 1, j)]
            corners = [
                each for k, each in enumerate(corners) if not ((i == 0 and k == 1) or (i == rings - 2 and k == 3))
            ]
            faces.append([_place(ring, spoke % around, rings, around) for ring, spoke in corners])
            uvs.append([(spoke / around, ring / (rings - 1)) for ring, spoke in corners])
    counts = np.array([len(face) for face in faces], np.int32)
    corner_uvs = np.array([uv for face in uvs for uv in face])
    corner_uvs[:, 0] *= 0.98  # the poles' corners are the faces' own, and all lie inside of the image
    st, st_indices = np.unique(corner_uvs.round(6), axis=0, return_inverse=True)
    mesh = Mesh(
        points,
        counts,
        np.array([point for face in faces for point in face], np.int32),
        st.astype(np.float32),
        st_indices.reshape(-1).astype(np.int32),
        np.full((len(points), 3), 120, np.uint8),
    )
    parts = (Part("south", len(counts) // 2), Part("north", len(counts) - len(counts) // 2))
    fields = {"up_axis": "Y", "metres_per_unit": 0.1, "texture": Texture("skin.png", png()) if texture else None}
    return Source(mesh, parts, **{**fields, **changes})


def _place(ring: int, spoke: int, rings: int, around: int) -> int:
    if ring in (0, rings - 1):
        return (rings - 2) * around + (ring > 0)
    return (ring - 1) * around + spoke


def posed(source: Source, time: float) -> np.ndarray:
    rest = source.mesh.points.astype(np.float64)
    swollen = rest * (1 + 0.1 * np.sin(0.5 * time + 3 * rest[:, 1:2]))
    c, s = np.cos(0.1 * time), np.sin(0.1 * time)
    return swollen @ np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]) + [0.05 * time, 0, 0]


def frames(source: Source, times: Iterable[float], velocities: bool = False, quality: bool = False) -> Iterator[Frame]:
    for time in times:
        points = posed(source, time)
        normals = point_normals(Mesh(points.astype(np.float32), source.mesh.face_counts, source.mesh.face_indices))
        before, after = posed(source, time - 0.01), posed(source, time + 0.01)
        rates = [(after - before) / 0.02 * FPS, (after - 2 * points + before) / 0.01**2 * FPS**2] if velocities else []
        given = dict(zip(("velocities", "accelerations"), (rate.astype(np.float32) for rate in rates)))
        if quality:
            given |= {"residuals": np.abs(points[:, 0]).astype(np.float32), "confidence": normals[:, 1] ** 2}
        yield Frame(time, points.astype(np.float32), normals, **given)


def write(path: Path, source: Source, times: Iterable[float] = TIMES, **how: object) -> Path:
    times = list(times)
    arrays = {name: bool(how.get(name)) for name in ("velocities", "quality")}
    how = {"fps": FPS, "provenance": REQUEST, **how}
    with AssetWriter(path, source, start=times[0], end=times[-1], **how) as writer:
        for frame in frames(source, times, **arrays):
            writer.write(frame)
    return path


def write_clips(path: Path, source: Source, times: Iterable[float] = TIMES, **how: object) -> Path:
    from lim_usd.assemble import assemble

    arrays = {name: bool(how.get(name)) for name in ("velocities", "quality")}
    how = {"fps": FPS, "provenance": REQUEST, "chunk": 4, **how}
    asset = ClipAsset(path, source, times=list(times), **how)
    asset.begin()
    for chunk in asset.chunks:
        with asset.writer(chunk) as writer:
            for frame in frames(source, chunk.times, **arrays):
                writer.write(frame)
    assert assemble(path).complete
    return path


class Layer:
    """A layer under the knife; saved when the block ends."""

    def __init__(self, path: Path) -> None:
        self.layer = Sdf.Layer.FindOrOpen(str(path))

    def __enter__(self) -> Layer:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self.layer.Save()

    def spec(self, name: str, prim: str = MESH) -> Sdf.AttributeSpec:
        return self.layer.GetAttributeAtPath(f"{prim}.{name}")

    def prim(self, path: str = MESH) -> Sdf.PrimSpec:
        return self.layer.GetPrimAtPath(path)

    def get(self, name: str, time: float | None = None) -> np.ndarray:
        value = self.spec(name).default if time is None else self.layer.QueryTimeSample(f"{MESH}.{name}", time)
        return np.array(value)

    def set(self, name: str, value: object, time: float | None = None) -> None:
        if time is None:
            self.spec(name).default = value
        else:
            self.layer.SetTimeSample(f"{MESH}.{name}", time, value)

    def change(self, name: str, how: Callable[[np.ndarray], np.ndarray], *times: float) -> None:
        """Float arrays of three, at some times or at all."""
        everywhere = list(self.layer.ListTimeSamplesForPath(f"{MESH}.{name}"))
        everywhere += [None] if self.spec(name).HasDefaultValue() else []
        for time in times or everywhere:
            self.set(name, vectors(how(self.get(name, time))), time)

    def erase(self, name: str, *times: float) -> None:
        for time in times or self.layer.ListTimeSamplesForPath(f"{MESH}.{name}"):
            self.layer.EraseTimeSample(f"{MESH}.{name}", time)

    def remove(self, name: str, prim: str = MESH) -> None:
        owner = self.prim(prim)
        owner.RemoveProperty(owner.properties[name])

    def retype(self, name: str, kind: Sdf.ValueTypeName, cast: Callable[[object], object]) -> None:
        """The same values as another type."""
        old = self.spec(name)
        default, metadata = old.default, {key: old.GetInfo(key) for key in ("interpolation",) if old.HasInfo(key)}
        samples = {t: self.layer.QueryTimeSample(old.path, t) for t in self.layer.ListTimeSamplesForPath(old.path)}
        self.remove(name)
        new = Sdf.AttributeSpec(self.prim(), name, kind)
        for key, value in metadata.items():
            new.SetInfo(key, value)
        new.default = cast(default)
        for time, value in samples.items():
            self.layer.SetTimeSample(new.path, time, cast(value))


def foreign(path: Path, metres: float = 0.1) -> Usd.Stage:
    """A stage as another program would begin it."""
    stage = Usd.Stage.CreateNew(str(path))
    UsdGeom.SetStageUpAxis(stage, "Y")
    UsdGeom.SetStageMetersPerUnit(stage, metres)
    stage.SetStartTimeCode(TIMES[0])
    stage.SetEndTimeCode(TIMES[-1])
    stage.SetTimeCodesPerSecond(FPS)
    stage.SetDefaultPrim(UsdGeom.Xform.Define(stage, "/obj").GetPrim())
    return stage


def put(mesh: UsdGeom.Mesh, source: Source, points: np.ndarray, time: float | None, faces: bool = True) -> None:
    """Points, normals and extent at a time, and faces too where they are sampled."""
    at = Usd.TimeCode.Default() if time is None else Usd.TimeCode(time)
    array = vectors(points)
    mesh.CreatePointsAttr().Set(array, at)
    shape = Mesh(points.astype(np.float32), source.mesh.face_counts, source.mesh.face_indices)
    mesh.CreateNormalsAttr().Set(vectors(point_normals(shape)), at)
    mesh.CreateExtentAttr().Set(UsdGeom.PointBased.ComputeExtent(array), at)
    if faces:
        mesh.CreateFaceVertexCountsAttr().Set(source.mesh.face_counts.tolist(), at)
        mesh.CreateFaceVertexIndicesAttr().Set(source.mesh.face_indices.tolist(), at)
