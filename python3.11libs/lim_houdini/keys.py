"""The keyframes of a node: found, cooked, packed once, and looked at again where they may have changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import hou
import numpy as np

from lim_houdini.errors import Refused
from lim_houdini.geometry import counts, fingerprint, read_mesh, topology
from lim_houdini.settings import KeySettings, listed
from lim_protocol import records
from lim_protocol.types import Mesh

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
    """

    settings: KeySettings
    times: list[float]
    packed: list[bytearray]
    digests: list[bytes]
    prints: list[tuple[int, ...]]
    source: Mesh
    geometry: hou.Geometry
    looked_at: int = field(default=0)

    def names(self) -> list[list[object]]:
        """[time, name] of each, as a job's params have them."""
        return [[time, f"frame {time:g}"] for time in self.times]


def read_keys(node: hou.SopNode, settings: KeySettings, tick: Tick) -> Keys:
    """Cook the inputs at every key frame. Raises Refused, or what `tick` raises."""
    times = key_times(node, settings, tick)
    if len(times) < 2:
        found = ", ".join(f"{time:g}" for time in times) or "none"
        raise Refused(f"{len(times)} keyframes (frames: {found}). Two at least are needed: look at the Keyframes tab.")
    meshes, prints, source = [], [], hou.Geometry()
    for i, time in enumerate(times):
        tick(i / len(times), f"reading keyframe {time:g}")
        geometry = input_at(node, KEYS, time)
        prints.append(fingerprint(geometry))
        if i == 0 and node.input(SOURCE) is not None:
            geometry = input_at(node, SOURCE, time)
            prints.append(fingerprint(geometry))
        meshes.append(read_mesh(geometry, f"keyframe {time:g}", settings.uv if i == 0 else "", settings.colors))
        if i == 0:
            source.copy(geometry)
    if node.input(SOURCE) is not None:
        prints.append(prints.pop(1))
    _without_normals(source)
    packed = [records.pack_mesh(mesh) for mesh in meshes]
    digests = [records.digest(record) for record in packed]
    return Keys(settings, times, packed, digests, prints, meshes[0], source)


def key_times(node: hou.SopNode, settings: KeySettings, tick: Tick) -> list[float]:
    """The key frames, sorted, each once."""
    if settings.mode == "input":
        return _said_by_input(node)
    frames = sorted(set(settings.frames()))
    return _changes(node, frames, tick) if settings.mode == "topology" else frames


def changed(node: hou.SopNode, keys: Keys, every: bool) -> bool:
    """Does the input differ from what the keys were read from? Looks at all of it, or at the next key in turn."""
    own_source = len(keys.prints) > len(keys.times)
    if own_source != (node.input(SOURCE) is not None):
        return True
    places = range(len(keys.prints)) if every else [keys.looked_at % len(keys.prints)]
    keys.looked_at += 1
    for i in places:
        geometry = input_at(node, KEYS, keys.times[i]) if i < len(keys.times) else input_at(node, SOURCE, keys.times[0])
        if fingerprint(geometry) != keys.prints[i]:
            return True
    return False


def input_at(node: hou.SopNode, index: int, time: float) -> hou.Geometry:
    """An input as it is at a frame. Raises Refused where it is not connected or does not cook."""
    geometry = node.inputGeometryAtFrame(time, index) if node.input(index) is not None else None
    if geometry is None:
        raise Refused(f"input {index + 1}: nothing there at frame {time:g}. Connect geometry, and see that it cooks.")
    return geometry


def _said_by_input(node: hou.SopNode) -> list[float]:
    geometry = node.inputGeometry(KEYS)
    if geometry is None or geometry.findGlobalAttrib("limkeys") is None:
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
