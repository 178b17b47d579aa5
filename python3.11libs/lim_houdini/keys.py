"""The keyframes of a node: found, cooked, packed once, and looked at again where they may have changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import hou
import numpy as np

from lim_cli.landmarks import read_landmarks
from lim_houdini.errors import Refused
from lim_houdini.geometry import counts, fingerprint, read_ids, read_mesh, topology
from lim_houdini.settings import KeySettings, listed
from lim_protocol import records
from lim_protocol.types import Int32, Mesh

Tick = Callable[[float, str], None]
"""Called with how far it is, 0 to 1, and what is being done; raises where the user interrupts."""
KEYS, SOURCE = 0, 1


@dataclass(eq=False)
class Keys:
    """The keyframes as the server gets them, and the geometry that comes out.

    times     frames, sorted
    packed    a record per keyframe, the source's first; `digests` their names
    prints    fingerprints of the inputs they were read from; the source input's last, where there is one
    source    the mesh that is moved
    geometry  the same as Houdini has it, with its attributes and groups
    matched   of each key whether its points are the source's, by their ids
    """

    settings: KeySettings
    times: list[float]
    packed: list[bytearray]
    digests: list[bytes]
    prints: list[tuple[int, ...]]
    source: Mesh
    geometry: hou.Geometry
    matched: list[bool]
    looked_at: int = field(default=0)

    def names(self) -> list[list[object]]:
        """[time, name] of each, as a job's params have them; with a third word where its points are matched by id."""
        named: list[list[object]] = [[time, f"frame {time:g}"] for time in self.times]
        return [[*each, True] if matched else each for each, matched in zip(named, self.matched)]


def read_keys(node: hou.SopNode, settings: KeySettings, tick: Tick) -> Keys:
    """Cook the inputs at every key frame. Raises Refused, BadInput for landmarks, or what `tick` raises."""
    times = key_times(node, settings, tick)
    if len(times) < 2:
        found = ", ".join(f"{time:g}" for time in times) or "none"
        raise Refused(f"{len(times)} keyframes (frames: {found}). Two at least are needed: look at the Keyframes tab.")
    meshes, prints, matched = list[Mesh](), list[tuple[int, ...]](), list[bool]()
    ids, source = None, hou.Geometry()
    for i, time in enumerate(times):
        tick(i / len(times), f"reading keyframe {time:g}")
        geometry = input_at(node, KEYS, time)
        own_source = node.input(SOURCE) is not None
        prints.append(fingerprint(geometry, settings.holding if i == 0 and not own_source else None))
        if i == 0 and own_source:
            geometry = input_at(node, SOURCE, time)
            prints.append(fingerprint(geometry, settings.holding))
        uv, holding = (settings.uv, settings.holding) if i == 0 else ("", None)
        mesh = read_mesh(geometry, f"keyframe {time:g}", uv, settings.colors, holding)
        if i == 0:
            source.copy(geometry)
            ids = read_ids(geometry, settings.ids)
        in_order = _by_id(meshes[0], ids, mesh, read_ids(geometry, settings.ids)) if i else None
        meshes.append(in_order or mesh)
        matched.append(in_order is not None)
    if node.input(SOURCE) is not None:
        prints.append(prints.pop(1))
    _without_normals(source)
    if settings.landmarks.path:
        meshes = read_landmarks(Path(settings.landmarks.path), times, meshes)
    packed = [records.pack_mesh(mesh) for mesh in meshes]
    digests = [records.digest(record) for record in packed]
    return Keys(settings, times, packed, digests, prints, meshes[0], source, matched)


def key_times(node: hou.SopNode, settings: KeySettings, tick: Tick) -> list[float]:
    """The key frames, sorted, each once."""
    if settings.mode == "input" or (settings.mode == "auto" and _says(node)):
        return _said_by_input(node)
    frames = sorted(set(settings.frames()))
    return _changes(node, frames, tick) if settings.mode == "topology" else frames


def changed(node: hou.SopNode, keys: Keys, every: bool) -> bool:
    """Does the input differ from what the keys were read from? Looks at all of it, or at the next key in turn."""
    if keys.settings.mode in ("auto", "input") and _says(node) and _said_by_input(node) != keys.times:
        return True
    own_source = len(keys.prints) > len(keys.times)
    if own_source != (node.input(SOURCE) is not None):
        return True
    places = range(len(keys.prints)) if every else [keys.looked_at % len(keys.prints)]
    keys.looked_at += 1
    for i in places:
        geometry = input_at(node, KEYS, keys.times[i]) if i < len(keys.times) else input_at(node, SOURCE, keys.times[0])
        is_source = i == (len(keys.times) if own_source else 0)
        if fingerprint(geometry, keys.settings.holding if is_source else None) != keys.prints[i]:
            return True
    return False


def input_at(node: hou.SopNode, index: int, time: float) -> hou.Geometry:
    """An input as it is at a frame. Raises Refused where it is not connected or does not cook."""
    geometry = node.inputGeometryAtFrame(time, index) if node.input(index) is not None else None
    if geometry is None:
        raise Refused(f"input {index + 1}: nothing there at frame {time:g}. Connect geometry, and see that it cooks.")
    return geometry


def _by_id(source: Mesh, ids: Int32 | None, mesh: Mesh, others: Int32 | None) -> Mesh | None:
    """The source's faces on a key's points in the source's order; None where their ids are not the same set."""
    if ids is None or others is None or len(ids) != len(source.points) or len(others) != len(mesh.points):
        return None
    order = np.argsort(others, kind="stable")
    if len(ids) != len(others) or not np.array_equal(np.sort(ids), others[order]):
        return None
    points = mesh.points[order[np.searchsorted(others[order], ids)]]
    return replace(source, points=points, stiffness=None, pinned=None)


def _says(node: hou.SopNode) -> bool:
    geometry = node.inputGeometry(KEYS)
    return geometry is not None and geometry.findGlobalAttrib("limkeys") is not None


def _said_by_input(node: hou.SopNode) -> list[float]:
    geometry = node.inputGeometry(KEYS)
    if geometry is None or not _says(node):
        raise Refused("input 1 does not say its keyframes: it has no detail attribute 'limkeys' (LIM Keys makes it).")
    return listed(str(geometry.attribValue("limkeys")))


def _changes(node: hou.SopNode, frames: Sequence[float], tick: Tick) -> list[float]:
    """The first frame of every run of frames with one topology."""
    found, before = [], None
    for i, time in enumerate(frames):
        tick(i / len(frames), f"looking at frame {time:g}")
        geometry = input_at(node, KEYS, time)
        _, prims, vertices = counts(geometry)
        face_counts, table = topology(geometry, prims, vertices)
        now = (counts(geometry), records.digest(np.concatenate([face_counts, table]).tobytes()))
        if now != before:
            found.append(time)
        before = now
    return found


def _without_normals(geometry: hou.Geometry) -> None:
    """Normals of the source's pose are wrong in every other."""
    for attrib in (geometry.findPointAttrib("N"), geometry.findVertexAttrib("N")):
        if attrib is not None:
            attrib.destroy()
