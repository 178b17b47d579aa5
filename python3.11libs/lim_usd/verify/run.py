"""The whole check: a stage's layers, then mesh after mesh, each frame by frame in flat memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from pxr import Sdf, Tf, Usd, UsdGeom, UsdUtils

from lim_usd.arrays import view
from lim_usd.source import BadSource
from lim_usd.verify.findings import Finding, Findings
from lim_usd.verify.layers import check_clips, check_layers, check_size, is_ours
from lim_usd.verify.look import check_look, has_materials
from lim_usd.verify.motion import MeshMotion, Series, times_of
from lim_usd.verify.normals import check_normals
from lim_usd.verify.primvars import check_primvars, check_st, check_types
from lim_usd.verify.series import check_samples, check_series
from lim_usd.verify.skinning import check_skinning
from lim_usd.verify.surface import check_faces, read_faces
from lim_usd.verify.topology import Topology

# What is read of a mapped file counts as resident until its stage goes: a stage for each run of frames.
_BATCH_BYTES = 128 << 20

Watch = Callable[[str, int, int], None]


@dataclass
class Report:
    """What was found, and what there is.

    findings  everything that is wrong; empty for a clean asset
    topology  a line for every mesh, clean or not
    series    figures of every frame, by mesh; `frames` counts them all
    """

    path: Path
    findings: list[Finding] = field(default_factory=list)
    topology: list[Topology] = field(default_factory=list)
    series: dict[str, Series] = field(default_factory=dict)
    frames: int = 0


@np.errstate(over="ignore", invalid="ignore")  # numbers that are none are findings
def verify(path: str | Path, watch: Watch = lambda *_: None) -> Report:
    """Check a time-sampled mesh asset: .usd, .usda, .usdc or .usdz, written by anyone.

    Reads every sample of every mesh once, and holds some 128 MB of them at most. `watch` is called now and then with
    the mesh's path, and how many of its frames are done.

    Raises BadSource for a file that is not there or cannot be opened.
    """
    report, findings = Report(Path(path)), Findings()
    silence = UsdUtils.CoalescingDiagnosticDelegate()  # what OpenUSD would warn of is found here, with its place
    try:
        for prim in _check_whole(report.path, findings):
            _check_moving(report, prim, findings, watch)
    except Tf.ErrorException as error:
        raise _unreadable(path, error) from error
    finally:
        del silence
    report.findings = findings.all()
    return report


def _check_whole(path: Path, findings: Findings) -> list[Sdf.Path]:
    """All that one look at the stage shows; returns its meshes."""
    stage = _opened(path)
    check_layers(stage, path, findings)
    check_clips(stage, findings)
    meshes = _meshes(stage)
    if not meshes:
        findings.add("no-mesh", path, "holds no mesh", "Export polygons")
    look, ours = has_materials(stage), is_ours(stage)
    for mesh in meshes:
        _check_still(mesh, look, findings)
        check_samples(mesh, stage.GetStartTimeCode(), stage.GetEndTimeCode(), ours, findings)
    return [mesh.GetPath() for mesh in meshes]


def _opened(path: Path) -> Usd.Stage:
    if not path.is_file():
        raise BadSource(f"{path}: no such file.")
    return Usd.Stage.Open(str(path))


def _unreadable(path: str | Path, error: Tf.ErrorException) -> BadSource:
    why = " ".join(str(error.args[0].commentary).split()) if error.args else "OpenUSD gave no reason"
    return BadSource(f"{path}: cannot be read as USD ({why}). Export it again.")


def _meshes(stage: Usd.Stage) -> list[UsdGeom.Mesh]:
    """Every mesh once, however many instances there are of it."""
    found: dict[Sdf.Path, UsdGeom.Mesh] = {}
    for prim in Usd.PrimRange(stage.GetPseudoRoot(), Usd.TraverseInstanceProxies(Usd.PrimDefaultPredicate)):
        if UsdGeom.Mesh(prim):
            shared = prim.GetPrimInPrototype().GetPath() if prim.IsInstanceProxy() else prim.GetPath()
            found.setdefault(shared, UsdGeom.Mesh(prim))
    return list(found.values())


def _check_still(mesh: UsdGeom.Mesh, look: bool, findings: Findings) -> None:
    """All that is the same at every frame."""
    prim, time = mesh.GetPrim(), Usd.TimeCode.EarliestTime()
    check_types(prim, findings)
    points = view(mesh.GetPointsAttr().Get(time) or [], np.float32).reshape(-1, 3)
    materials = check_look(prim, look, findings)
    if not mesh.GetExtentAttr().HasAuthoredValue() and not prim.HasAPI("SkelBindingAPI"):
        findings.add("extent-missing", prim.GetPath(), "has no extent", "Write one for every frame")
    if not len(points):
        if mesh.GetPointsAttr().GetResolveInfo(time).GetSource() != Usd.ResolveInfoSourceValueClips:
            findings.add("no-points", prim.GetPath(), "has no points", "Export it with its points")
        return
    check_normals(mesh, findings)
    check_skinning(prim, len(points), findings)
    faces = read_faces(mesh, time, len(points), findings)
    if faces is None:
        return
    check_primvars(prim, faces, len(points), time, findings)
    check_st(prim, faces, materials, findings)
    if np.isfinite(points).all():
        check_faces(mesh, faces, points, findings)
        world = UsdGeom.Imageable(mesh).ComputeLocalToWorldTransform(time)
        rows = np.array(world)
        if not np.isfinite(rows).all() or abs(np.linalg.det(rows[:3, :3])) < 1e-12:
            words = "has a transform that flattens it, or is not finite"
            findings.add("transform", prim.GetPath(), words, "Mend the transforms above it")
            return
        size = np.linalg.norm(np.ptp(points.astype(np.float64) @ rows[:3, :3], axis=0))
        check_size(float(size), prim.GetStage(), prim.GetPath(), findings)


def _check_moving(report: Report, path: Sdf.Path, findings: Findings, watch: Watch) -> None:
    stage = _opened(report.path)
    mesh = UsdGeom.Mesh.Get(stage, path)
    skinned = mesh.GetPrim().HasAPI("SkelBindingAPI")
    times = times_of(mesh)
    sampled = mesh.GetFaceVertexIndicesAttr().GetNumTimeSamples() > 1
    first = mesh.GetPointsAttr().Get(times[0])
    faces = len(mesh.GetFaceVertexCountsAttr().Get(times[0]) or [])
    _check_record(mesh, first, findings)
    motion = MeshMotion(path, skinned, findings)
    del stage, mesh
    for done, batch in _batches(times, 36 * max(len(first or []), 1)):
        motion.read(_opened(report.path), batch)
        watch(str(path), done, len(times))
    check_series(path, motion.series, findings)
    counts = motion.series.points or [0]
    kind = "varying" if motion.changes else "sampled" if sampled else "static"
    spread = (min(counts), max(counts))
    report.topology.append(
        Topology(str(path), kind, len(times), times[0], times[-1], spread, faces, motion.changes, skinned)
    )
    report.series[str(path)] = motion.series
    report.frames += len(times)


def _batches(times: list[float], frame_bytes: int) -> Iterator[tuple[int, list[float]]]:
    size = max(1, _BATCH_BYTES // frame_bytes)
    for first in range(0, len(times), size):
        batch = times[first : first + size]
        yield first + len(batch), batch


def _check_record(mesh: UsdGeom.Mesh, points: object, findings: Findings) -> None:
    """The size that a tracked mesh had when it was written, against the one it has."""
    prim = mesh.GetPrim()
    if not prim.HasAttribute("lim:track:sourceDiagonal") or not points:
        return
    said = prim.GetAttribute("lim:track:sourceDiagonal").Get()
    time = prim.GetAttribute("lim:track:sourceTime").Get() if prim.HasAttribute("lim:track:sourceTime") else None
    there = mesh.GetPointsAttr().Get(Usd.TimeCode(time)) if time is not None else points
    size = float(np.linalg.norm(np.ptp(view(there, np.float32).astype(np.float64), axis=0)))
    if said and size and not 0.5 < size / said < 2:
        words = f"is {size:.4g} across where its record says {said:.4g}: its points are in another unit than its layer"
        findings.add("scale-mismatch", prim.GetPath(), words, "Write the points in the layer's unit")
