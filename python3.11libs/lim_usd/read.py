"""Keyframes out of USD: the meshes of a stage at one time, as one mesh with its texture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from pxr import Tf, Usd, UsdGeom

from lim_usd.merge import merged
from lim_usd.read_material import DiffuseImage, diffuse_image, load_image
from lim_usd.read_mesh import PrimMesh, read_mesh
from lim_usd.read_prims import Note, find_meshes, named_prim, shown, told
from lim_usd.read_skel import Skeletons
from lim_usd.source import BadSource, Source, Texture, UpAxis


def read_usd(path: str | Path, time: float | None = None, prim: str | None = None) -> Source:
    """The meshes of a .usd, .usda, .usdc or .usdz file, in world space, at frame `time`.

    path  a file of any USD flavour, with whatever it refers to
    time  None takes the first sampled time, or the default values where nothing is sampled
    prim  a path, or the end of one, of a single mesh to take, shown or not; None merges every mesh that a final
          render would show (active, visible, purpose default or render, instances included), in stage order

    Skinned meshes come as their skeleton and blend shapes pose them; subdivision surfaces as their cage. Faces are
    counter-clockwise from outside, whatever the prim's orientation or a mirroring transform.

    Raises BadSource, naming file and prim, for what cannot be read or used, and for a frame outside the samples.
    """
    label = str(path)
    stage = opened(path)
    notes, meshes = _chosen(stage, prim, label)
    skeletons = Skeletons(stage)
    at = _time_code(sampled_at(meshes, skeletons), time, label, notes)
    if prim is None:
        hidden, meshes = shown(meshes, at, label)
        notes += hidden
    images = [diffuse_image(mesh, at) for mesh in meshes]
    taken = _read_all(meshes, images, at, skeletons, label, notes)
    return Source(
        merged([each.mesh for each in taken]),
        tuple(part for each in taken for part in each.parts),
        _texture(images, label, notes),
        _up_axis(stage),
        UsdGeom.GetStageMetersPerUnit(stage) if UsdGeom.StageHasAuthoredMetersPerUnit(stage) else None,
        told(notes),
    )


def time_samples(path: str | Path, prim: str | None = None) -> tuple[float, ...]:
    """The frames at which the meshes' points (their skeletons, their transforms) are sampled, in order; empty for
    meshes that do not move. Raises BadSource as `read_usd` does."""
    stage = opened(path)
    _, meshes = _chosen(stage, prim, str(path))
    return sampled_at(meshes, Skeletons(stage))


def opened(path: str | Path) -> Usd.Stage:
    """The stage of a file of any flavour. Raises BadSource naming the file where it is none."""
    if not Path(path).is_file():
        raise BadSource(f"{path}: no such file.")
    try:
        return Usd.Stage.Open(str(path))
    except Tf.ErrorException as error:
        why = " ".join(str(error.args[0].commentary).split())
        raise BadSource(f"{path}: cannot be read as USD ({why}). Export it again.") from error


def _chosen(stage: Usd.Stage, prim: str | None, label: str) -> tuple[list[Note], list[Usd.Prim]]:
    notes, meshes = find_meshes(stage, label)
    return ([], [named_prim(meshes, prim, stage, label)]) if prim else (notes, meshes)


def sampled_at(meshes: Sequence[Usd.Prim], skeletons: Skeletons) -> tuple[float, ...]:
    """The frames at which the meshes' points, skeletons or transforms are sampled, in order."""
    times: set[float] = set()
    for mesh in meshes:
        times.update(UsdGeom.Mesh(mesh).GetPointsAttr().GetTimeSamples(), skeletons.times(mesh))
        times.update(*(xform.GetTimeSamples() for xform in _transforms(mesh)))
    return tuple(sorted(times))


def _transforms(prim: Usd.Prim) -> Iterator[UsdGeom.Xformable]:
    while prim and not prim.IsPseudoRoot():
        if xform := UsdGeom.Xformable(prim):
            yield xform
            if xform.GetResetXformStack():
                return
        prim = prim.GetParent()


def _time_code(times: tuple[float, ...], time: float | None, label: str, notes: list[Note]) -> Usd.TimeCode:
    if time is None:
        if len(times) > 1:
            notes.append((f"of the frames {times[0]:g} to {times[-1]:g}, the first is read", ""))
        return Usd.TimeCode(times[0]) if times else Usd.TimeCode.Default()
    if times and not times[0] <= time <= times[-1]:
        raise BadSource(
            f"{label}: frame {time:g} is outside of its samples, {times[0]:g} to {times[-1]:g}. "
            "Ask for a frame in that range."
        )
    return Usd.TimeCode(time)


def _read_all(
    meshes: Sequence[Usd.Prim],
    images: Sequence[DiffuseImage | None],
    at: Usd.TimeCode,
    skeletons: Skeletons,
    label: str,
    notes: list[Note],
) -> list[PrimMesh]:
    taken = []
    for mesh, image in zip(meshes, images):
        path = str(mesh.GetPath())
        if len(meshes) > 1 and not UsdGeom.Mesh(mesh).GetFaceVertexCountsAttr().Get(at):
            notes.append(("meshes without faces are left out", path))
            continue
        taken.append(read_mesh(mesh, at, skeletons, image.primvar if image else "", f"{label}: {path}"))
        notes += [(note, path) for note in taken[-1].notes]
    if not taken:
        raise BadSource(f"{label}: none of its {len(meshes)} meshes has a face. Export polygons, not points.")
    with_st = sum(each.mesh.st is not None for each in taken)
    if 0 < with_st < len(taken):
        notes.append(("some meshes have no texture coordinates, their corners are all at (0, 0)", ""))
    return taken


def _texture(images: Sequence[DiffuseImage | None], label: str, notes: list[Note]) -> Texture | None:
    files = {image.file.resolvedPath or image.file.path: image for image in images if image}
    loaded = [load_image(image, label) for image in files.values()]
    notes += [(words, "") for words in loaded if isinstance(words, str)]
    textures = [texture for texture in loaded if isinstance(texture, Texture)]
    if len(textures) > 1:
        names = ", ".join(texture.name for texture in textures)
        notes.append((f"of the textures {names}, only the first is kept", ""))
    return textures[0] if textures else None


def _up_axis(stage: Usd.Stage) -> UpAxis | None:
    if not stage.HasAuthoredMetadata(UsdGeom.Tokens.upAxis):
        return None
    return "Z" if UsdGeom.GetStageUpAxis(stage) == UsdGeom.Tokens.z else "Y"
