"""The parameters of a LIM Track node, read once per cook."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import hou

from lim_cli.frames import listed_frames
from lim_houdini.errors import Refused
from lim_houdini.geometry import Holding

MOST_KEYS = 1000


@dataclass(frozen=True)
class Landmarks:
    """A landmarks file, none where the path is empty. `changed` differs once it was written again."""

    path: str
    changed: int

    @classmethod
    def of(cls, path: str) -> Landmarks:
        """As it is now."""
        return cls(path, Path(path).stat().st_mtime_ns if path and Path(path).exists() else 0)


@dataclass(frozen=True)
class KeySettings:
    """What decides which keyframes there are. Frames are in the scene's own count."""

    mode: str
    start: float
    end: float
    step: float
    listed: str
    uv: str
    colors: bool
    ids: str
    holding: Holding
    landmarks: Landmarks

    @classmethod
    def of(cls, node: hou.SopNode) -> KeySettings:
        """As the node's parameters have it now."""
        start, end, step = numbers(node, "keyrange")
        mode, listed, uv, ids = (text(node, name) for name in ("keymode", "keylist", "uvattr", "ptidattr"))
        holding = Holding(*(text(node, name).strip() for name in ("stiffnessattr", "pinattr", "pingroup")))
        landmarks = Landmarks.of(text(node, "landmarks").strip())
        return cls(mode, start, end, step, listed, uv, number(node, "usecolor") != 0, ids, holding, landmarks)

    def frames(self) -> list[float]:
        """The frames of a range or a list. Raises Refused."""
        if self.mode == "list":
            return listed(self.listed)
        if not self.step > 0:
            raise Refused(f"Start/End/Step: the step is {self.step:g}. It must be above zero.")
        count = int((self.end - self.start) / self.step + 1e-9) + 1
        if count > MOST_KEYS:
            raise Refused(f"Start/End/Step: {count} keyframes. Take a larger step, {MOST_KEYS} are the most.")
        return [self.start + i * self.step for i in range(max(count, 0))]


@dataclass(frozen=True)
class Settings:
    """Everything else. `patience` in seconds, `cache` in bytes."""

    frame: float
    before: str
    after: str
    normals: bool
    velocity: bool
    quality: bool
    unwrap: bool
    server: str
    patience: float
    method: str
    stiffness: float
    cache: int
    fps: float

    @classmethod
    def of(cls, node: hou.SopNode) -> Settings:
        """As the node's parameters have it now."""
        return cls(
            frame=number(node, "frame"),
            before=text(node, "preextend"),
            after=text(node, "postextend"),
            normals=number(node, "computen") != 0,
            velocity=number(node, "computev") != 0,
            quality=number(node, "computequality") != 0,
            unwrap=number(node, "unwrap") != 0,
            server=text(node, "server") or os.environ.get("LIM_SERVER", ""),
            patience=number(node, "patience"),
            method=text(node, "method"),
            stiffness=number(node, "stiffness"),
            cache=int(number(node, "cachesize")) << 20,
            fps=hou.fps(),
        )


def listed(words: str) -> list[float]:
    """Frames as people list them, with commas or spaces between. Raises BadInput."""
    return sorted(set(listed_frames(",".join(words.replace(",", " ").split()), "Frames")))


def text(node: hou.OpNode, name: str) -> str:
    """A string, or the token of a menu."""
    parm = node.parm(name)
    assert parm is not None, name
    return str(parm.evalAsString())


def number(node: hou.OpNode, name: str) -> float:
    """A number, a toggle, or the place in a menu."""
    parm = node.parm(name)
    assert parm is not None, name
    return float(parm.evalAsFloat())


def numbers(node: hou.OpNode, name: str) -> tuple[float, ...]:
    """All components of a parameter."""
    tuple_ = node.parmTuple(name)
    assert tuple_ is not None, name
    return tuple(float(parm.evalAsFloat()) for parm in tuple_)
