"""glTF animations: keyframes of nodes' places and morph weights, and what lies between them (3.11, appendix C)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lim_cli.errors import BadInput
from lim_cli.readers.gltf_file import GltfFile

Values = NDArray[np.float64]
_WIDTHS = {"translation": 3, "rotation": 4, "scale": 3}


@dataclass(frozen=True, eq=False)
class Channel:
    """What one property of one node does.

    times    float64 [keys], seconds, increasing
    values   float64 [keys, width]; rotations as xyzw
    tangents float64 [keys, 2, width], into and out of each key, per second; None but for CUBICSPLINE
    """

    node: int
    path: str
    times: Values
    values: Values
    tangents: Values | None
    stepped: bool

    def at(self, seconds: float) -> Values:
        """The value at a time, [width]; before the first key and after the last it stays."""
        after = int(np.searchsorted(self.times, seconds, side="right"))
        if after == 0 or after == len(self.times) or self.stepped:
            held: Values = self.values[max(after - 1, 0)]
            return held
        k, length = after - 1, self.times[after] - self.times[after - 1]
        u = (seconds - self.times[k]) / length
        if self.tangents is not None:
            value = _spline(u, length, self.values[k : k + 2], self.tangents[k, 1], self.tangents[k + 1, 0])
            return value / np.linalg.norm(value) if self.path == "rotation" else value
        if self.path == "rotation":
            return _slerp(self.values[k], self.values[k + 1], u)
        between: Values = (1 - u) * self.values[k] + u * self.values[k + 1]
        return between


@dataclass(frozen=True, eq=False)
class Animation:
    """The channels that play together."""

    name: str
    channels: tuple[Channel, ...]

    @property
    def span(self) -> tuple[float, float]:
        """Seconds of the first key and of the last."""
        return min(c.times[0] for c in self.channels), max(c.times[-1] for c in self.channels)

    def posed_nodes(self, nodes: Sequence[dict[str, Any]], seconds: float) -> list[dict[str, Any]]:
        """The nodes as they stand at a time. What no channel moves stays as it is in the file."""
        posed = [dict(node) for node in nodes]
        for channel in self.channels:
            posed[channel.node][channel.path] = channel.at(seconds)
        return posed


def read_animations(file: GltfFile) -> list[Animation]:
    """Those that have a channel for a node. Raises BadInput, naming the animation, for keys that cannot be played."""
    found = []
    for i, animation in enumerate(file.tree.get("animations", [])):
        name = str(animation.get("name") or f"animation{i}")
        try:
            # A channel without a node, or for what an extension can move, is left to those who know it (3.11).
            known = [c for c in animation["channels"] if "node" in c["target"] and c["target"]["path"] in _PATHS]
            channels = tuple(_channel(file, animation["samplers"], channel) for channel in known)
        except BadInput as error:
            raise BadInput(f"animation {name}: {error}") from error
        if channels:
            found.append(Animation(name, channels))
    return found


_PATHS = (*_WIDTHS, "weights")


def _channel(file: GltfFile, samplers: Sequence[dict[str, Any]], channel: dict[str, Any]) -> Channel:
    target, sampler = channel["target"], samplers[channel["sampler"]]
    node, path = target["node"], target["path"]
    if not 0 <= node < len(file.tree.get("nodes", [])):
        raise BadInput(f"moves node {node}, which is not there. The file is damaged: export it again.")
    if path != "weights" and "matrix" in file.tree["nodes"][node]:
        raise BadInput(f"moves the {path} of node {node}, which has a matrix instead. Export it again.")
    times = file.array(sampler["input"])[:, 0].astype(np.float64)
    if not len(times) or not np.isfinite(times).all() or (np.diff(times) <= 0).any():
        raise BadInput(f"the times of the {path} of node {node} do not increase. Export it again.")
    splined, kind = sampler.get("interpolation") == "CUBICSPLINE", sampler.get("interpolation", "LINEAR")
    if kind not in ("LINEAR", "STEP", "CUBICSPLINE"):
        raise BadInput(f"interpolation {str(kind)[:40]!r} is not known. Use LINEAR, STEP or CUBICSPLINE.")
    width = _WIDTHS.get(path) or _targets(file, node)
    values = file.array(sampler["output"]).astype(np.float64)
    if values.size != len(times) * width * (3 if splined else 1) or (path in _WIDTHS and values.shape[1] != width):
        raise BadInput(
            f"{values.size} numbers for the {path} of node {node} at {len(times)} times. The file is damaged: "
            "export it again."
        )
    if not splined:
        return Channel(node, path, times, values.reshape(len(times), width), None, kind == "STEP")
    rows = values.reshape(len(times), 3, width)  # into the key, the key, out of it
    return Channel(node, path, times, rows[:, 1], rows[:, ::2], False)


def _targets(file: GltfFile, node: int) -> int:
    """How many morph targets a node's mesh has."""
    holder = file.tree["nodes"][node]
    if "mesh" not in holder:
        raise BadInput(f"moves morph weights of node {node}, which has no mesh. Export it again.")
    return max(len(p.get("targets", [])) for p in file.tree["meshes"][holder["mesh"]]["primitives"])


def _spline(u: float, length: float, values: Values, leaving: Values, entering: Values) -> Values:
    """Hermite's cubic between two keys, [width] (appendix C.5)."""
    u2, u3 = u * u, u * u * u
    across: Values = (2 * u3 - 3 * u2 + 1) * values[0] + (3 * u2 - 2 * u3) * values[1]
    along: Values = length * ((u3 - 2 * u2 + u) * leaving + (u3 - u2) * entering)
    return across + along


def _slerp(start: Values, end: Values, u: float) -> Values:
    """Along the shorter arc between two quaternions, at a steady pace, [4] (appendix C.4)."""
    start, end = start / np.linalg.norm(start), end / np.linalg.norm(end)
    cosine = float(start @ end)
    if cosine < 0:
        end, cosine = -end, -cosine
    angle = np.arccos(min(cosine, 1.0))
    if angle < 1e-6:
        return start
    between: Values = (np.sin((1 - u) * angle) * start + np.sin(u * angle) * end) / np.sin(angle)
    return between
