"""LIM USD Out (ROP): the asset of a LIM Track node, written while the user goes on.

A ROP made of Python has no render of its own, so what writes is a button; on the farm it is lim_houdini.batch.
"""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import hou

from lim_cli.frames import shot_frames
from lim_client.connection import Connection
from lim_houdini import background, servers
from lim_houdini.errors import Refused, is_expected, told
from lim_houdini.keys import read_keys
from lim_houdini.nodes.track import interruptable
from lim_houdini.settings import KeySettings, Settings, number, numbers, text
from lim_houdini.tracking import Tracked, job_params
from lim_houdini.writing import Shot, Tick, Told, write_shot
from lim_usd.source import UpAxis

TRACK = "lim::track"
NAME = "lim_writing"


class Stopped(Exception):
    """The user does not want the asset any more."""


class Writing(threading.Thread):
    """A shot being written. `said` is how far it is, `error` why it failed."""

    def __init__(self, name: str, shot: Shot, connection: Connection):
        super().__init__(name=f"lim {name}", daemon=True)
        self.node, self.shot, self.connection = name, shot, connection
        self.stop, self.said, self.error = threading.Event(), "", ""
        self.result: dict[str, Any] = {}

    def run(self) -> None:
        """Until it is written, stopped, or has failed."""

        def tick(_fraction: float, doing: str) -> None:
            self.said = doing
            if self.stop.is_set():
                raise Stopped("stopped; nothing of it stays")

        try:
            self.result = write_shot(self.shot, lambda: self.connection, Told(tick))
        except Exception as error:
            plain = isinstance(error, Stopped) or is_expected(error)
            self.error = str(error) if plain else f"{type(error).__name__}: {error}"

    def look(self) -> bool:
        """Tell how far it is; True when it is over."""
        if self.is_alive():
            background.status(f"{self.node}: {self.said}")
            self.join(0 if hou.isUIAvailable() else 0.2)
            return False
        background.status(f"{self.node}: {self.error or 'wrote ' + str(self.shot.out)}")
        return True


def execute(kwargs: dict[str, Any]) -> None:
    """Button: read the keyframes, then write in the background."""
    node = kwargs["node"]
    before = node.cachedUserData(NAME)
    with told():
        if isinstance(before, Writing) and before.is_alive():
            raise Refused(f"{before.shot.out} is being written. Wait for it, or press Cancel.")
        with interruptable("LIM USD Out") as tick:
            shot, settings = shot_of(node, tick)
            writing = Writing(node.name(), shot, servers.connect(settings.server, settings.patience, tick))
    node.setCachedUserData(NAME, writing)
    writing.start()
    background.poll(writing.look)


def write(kwargs: dict[str, Any]) -> None:
    """Button: write, and wait for it."""
    with told(), interruptable("LIM USD Out") as tick:
        shot, settings = shot_of(kwargs["node"], tick)
        write_shot(shot, lambda: servers.connect(settings.server, settings.patience, tick), Told(tick))
    background.status(f"{kwargs['node'].name()}: wrote {shot.out}")


def cancel(kwargs: dict[str, Any]) -> None:
    """Button: stop writing."""
    writing = kwargs["node"].cachedUserData(NAME)
    if isinstance(writing, Writing):
        writing.stop.set()


def shot_of(node: hou.RopNode, tick: Tick) -> tuple[Shot, Settings]:
    """What the node's parameters ask for. Raises Refused."""
    track = hou.node(text(node, "soppath"))
    if not isinstance(track, hou.SopNode) or not track.type().name().startswith(TRACK):
        raise Refused(f"LIM Track Node: {text(node, 'soppath')!r} is none. Choose a LIM Track SOP.")
    frames = frame_range(*numbers(node, "f")) if text(node, "trange") == "range" else None
    switches = {name: number(node, name) != 0 for name in ("velocities", "quality", "unwrap")}
    shot, settings = track_shot(track, Path(text(node, "file")), frames, switches, tick)
    shot.out.parent.mkdir(parents=True, exist_ok=True)  # as Houdini's own writers do
    axis: UpAxis = "Z" if text(node, "upaxis") == "z" else "Y"
    chunk = int(number(node, "chunk"))
    return replace(shot, up_axis=axis, unit=number(node, "metersperunit"), chunk=chunk), settings


def track_shot(
    track: hou.SopNode, out: Path, frames: tuple[float, ...] | None, switches: dict[str, bool], tick: Tick
) -> tuple[Shot, Settings]:
    """The shot of a LIM Track node, Y up and in metres. Without `frames` every whole frame and key. Raises Refused."""
    tracked, settings = Tracked.of(track), Settings.of(track)
    keys = read_keys(track, KeySettings.of(track), tick)
    tracked.take(keys)
    params = job_params(keys, settings, velocities=switches["velocities"])
    params |= {"unwrap": switches["unwrap"] and keys.source.st is None, "quality": switches["quality"]}
    asked = frames or shot_frames(keys.times, None, hold=True)
    return Shot(keys.source, keys.times, keys.packed, params, asked, out, "Y", 1.0), settings


def frame_range(start: float, end: float, step: float) -> tuple[float, ...]:
    """Frames from start to end. Raises Refused."""
    if step <= 0 or end < start:
        raise Refused(f"Start/End/Inc: {start:g} to {end:g} by {step:g} is no range.")
    return tuple(start + i * step for i in range(int((end - start) / step + 1e-9) + 1))
