"""What a LIM Track node knows between cooks, and how it gets a frame: from memory, or from the server."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

import hou
import numpy as np

from lim_client.connection import Connection
from lim_client.errors import JobFailed, NotReachable, ServerError
from lim_client.job import Job
from lim_houdini import servers
from lim_houdini.ends import Moment
from lim_houdini.errors import Refused
from lim_houdini.frames import FrameCache
from lim_houdini.keys import Keys, Tick, changed, read_keys
from lim_houdini.settings import KeySettings, Settings
from lim_houdini.writing import Told
from lim_protocol import records
from lim_protocol.types import Frame, Surface

NAME = "lim"


@dataclass(eq=False)
class Tracked:
    """A node's memory. It lives with the session and is never saved with the scene.

    keys     the keyframes as they were read last
    cooked   scene frame and parameters of the last cook: the same again means that an input has changed
    frames   what was made
    job      what the server still works on for this node
    last     the geometry and the moment that came out last
    report   how well each key was met, from the last job that was done
    """

    keys: Keys | None = None
    cooked: tuple[float, KeySettings, Settings] | None = None
    frames: FrameCache = field(default_factory=FrameCache)
    job: Job | None = None
    surface: Surface | None = None
    last: tuple[Keys, Surface | None, Frame, Moment] | None = None
    report: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def of(cls, node: hou.OpNode) -> Tracked:
        """The node's own, made when it is first asked for."""
        tracked = node.cachedUserData(NAME)
        if not isinstance(tracked, cls):
            tracked = cls()
            node.setCachedUserData(NAME, tracked)
        return tracked

    def current_keys(self, node: hou.SopNode, settings: Settings, tick: Tick) -> Keys:
        """The keyframes, read anew where they are not what they were.

        A cook at the frame and with the parameters of the last one comes from a change of an input: then all keys are
        looked at. When only time goes on, one key is, in turn: to cook the input at all of them costs more than the
        rest of the cook.
        """
        now = (hou.frame(), KeySettings.of(node), settings)
        again, self.cooked = now == self.cooked, now
        if self.keys is None or self.keys.settings != now[1] or changed(node, self.keys, every=again):
            self.take(read_keys(node, now[1], tick))
        assert self.keys is not None
        return self.keys

    def take(self, keys: Keys) -> None:
        """New keys; what was made of other ones goes."""
        if self.keys is None or keys.digests != self.keys.digests or keys.times != self.keys.times:
            self.frames.clear()
            self.surface, self.report = None, []
        self.keys = keys

    def frame(self, keys: Keys, settings: Settings, moment: Moment, tick: Tick) -> Frame:
        """The frame at a moment within the keys. Raises ServerError, or what `tick` raises."""
        params = job_params(keys, settings, velocities=settings.velocity or moment.beyond != 0)
        name = (moment.time, *(_hashable(value) for value in params.values()))
        frame = self.frames.get(name)
        if frame is None or (params["unwrap"] and self.surface is None):
            frame = self._ask(keys, settings, params, moment.time, tick)
            self.frames.put(name, frame, settings.cache)
        return frame

    def submit(self, connection: Connection, keys: Keys, params: dict[str, Any], times: Sequence[float]) -> Job:
        """Ask the server; what it still does for this node is not wanted any more."""
        old = self.job
        first = 0 if not times or (params["unwrap"] and self.surface is None) else 1
        at = np.array(times, np.float64)
        self.job = connection.submit("track", params, keys.packed, at, old, first=first, digests=keys.digests)
        if old is not None:
            connection.cancel(old)  # also where the server that had it is gone: it must not be sent again
        return self.job

    def _ask(self, keys: Keys, settings: Settings, params: dict[str, Any], time: float, tick: Tick) -> Frame:
        connection = servers.connect(settings.server, settings.patience, tick)
        job = self.submit(connection, keys, params, [time])
        try:
            *surface, last = job.records(Told(tick).watch)
            self.surface = records.unpack_surface(surface[0]) if surface else self.surface
            frame = records.unpack_frame(last)
        finally:
            if job.summary is None:
                connection.cancel(job)
            self.job = None
        assert job.summary is not None
        self.report = job.summary["keys"]
        return frame

    def forget(self) -> None:
        """Start anew."""
        self.keys = self.cooked = self.surface = self.last = None
        self.frames.clear()
        self.report = []


def job_params(keys: Keys, settings: Settings, velocities: bool) -> dict[str, Any]:
    """What the server is told besides the meshes: the same words as `lim track` has for it."""
    if not settings.stiffness > 0:
        raise Refused(f"Stiffness: it is {settings.stiffness:g}. It must be above zero; 1 is usual.")
    return {
        "keys": keys.names(),
        "fps": settings.fps,
        "method": settings.method,
        "velocities": velocities,
        "quality": settings.quality,
        "unwrap": settings.unwrap and keys.source.st is None,
        "texture_size": 1024,
        "stiffness": settings.stiffness,
    }


def is_away(error: ServerError) -> bool:
    """Is it the way to the server that is broken, rather than the job?"""
    return isinstance(error, NotReachable) and not isinstance(error, JobFailed)


def _hashable(value: Any) -> Hashable:
    return tuple(_hashable(item) for item in value) if isinstance(value, list) else value
