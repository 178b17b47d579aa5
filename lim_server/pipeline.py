"""The story of a job, and the only place that wires stages together.

    keyframes  ->  track     every keyframe gets the source's points            stages/track.py
               ->  quality   how far off each point is                          stages/quality.py
               ->  texture   uv and texture, where the source has none          stages/texture.py
               ->  motion    points at every asked time                         stages/motion.py

Records stream out as they are made: the Surface first, then a Frame per time.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from lim_protocol import records
from lim_protocol.types import Frame, Keyframe, Mesh, Quality, TrackOptions
from lim_server.geometry.normals import VertexNormals
from lim_server.models.shipped import shipped, shipped_digest
from lim_server.stages.canonical import Canonical
from lim_server.stages.motion import Motion
from lim_server.stages.quality import point_residuals
from lim_server.stages.texture import surface_of
from lim_server.stages.track import Hints, TrackedKey, track_keys

Step = Callable[[str, int, int], None]
"""Called with (what is being done, done, total) at least a few times a second; raises where the job is cancelled."""


T = TypeVar("T")


@runtime_checkable
class Memo(Protocol):
    """What earlier attempts at this or a like job left behind, by name."""

    def get(self, name: bytes) -> bytes | memoryview | None:
        """The content kept under the name, None where there is none."""

    def put(self, name: bytes, content: bytes | bytearray) -> None:
        """Keep it."""

    def at_hand(self, name: bytes, make: Callable[[], T]) -> T:
        """The shot that `make` made under this name before, where this process still has it in memory."""

    def key_at_hand(self, name: bytes, make: Callable[[], T]) -> T:
        """The same for what is made of a single key."""


class Seconds:
    """Time spent per stage, for the summary."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = {}

    @contextmanager
    def of(self, stage: str) -> Iterator[None]:
        """Count what is done inside as this stage's."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.spent[stage] = self.spent.get(stage, 0.0) + time.perf_counter() - start


@dataclass(eq=False)
class Prepared:
    """What every frame of a shot is made from. Who scrubs asks for frame after frame, each in a job of its own."""

    tracked: dict[int, TrackedKey]
    motion: Motion
    normals: VertexNormals
    residuals: dict[int, NDArray[np.float32]] = field(default_factory=dict)


class TrackJob:
    """One job of op 'track'. `records` streams from any record on; `summary` is whole once all were made."""

    def __init__(
        self, keyframes: Sequence[Keyframe], options: TrackOptions, *, device: str, code: bytes, memo: Memo, step: Step
    ):
        self.keyframes, self.options, self.device = _stiffened(keyframes, options.stiffness), options, device
        self.code, self.memo, self.step = code, memo, step
        self.seconds, self.tracked = Seconds(), dict[int, TrackedKey]()

    def records(self, first: int) -> Iterator[tuple[int, bytes | bytearray]]:
        """(number, record) from the first that is asked for."""
        shot = self.memo.at_hand(self._key_names[-1], self._prepare)
        self.tracked = shot.tracked
        if first == 0:
            with self.seconds.of("texture"):
                surface = self._surface()
            yield 0, surface
        for seq in range(max(first, 1), len(self.options.times) + 1):
            self.step("in-betweens", seq - 1, len(self.options.times))
            with self.seconds.of("motion"):
                frame = self._frame(shot, self.options.times[seq - 1])
            yield seq, records.pack_frame(frame)

    def _prepare(self) -> Prepared:
        self._track()
        with self.seconds.of("motion"):
            times = [k.time for k in self.keyframes]
            points = [self.tracked[i].points for i in range(len(times))]
            source = self.keyframes[0].mesh
            normals = VertexNormals(source.triangles(), len(source.points))
            return Prepared(self.tracked, Motion(source, times, points), normals)

    def summary(self) -> dict[str, Any]:
        """Seconds per stage and how well each keyframe was met."""
        keys = [
            {"time": k.time, "name": k.name, "method": self.tracked[i].method, **asdict(self.tracked[i].quality)}
            for i, k in enumerate(self.keyframes)
        ]
        led = sum(self.tracked[i].method == "lim" for i in range(1, len(self.keyframes)))
        return {"seconds": dict(self.seconds.spent), "keys": keys, "method": "lim" if led else "geometry"}

    def _surface(self) -> bytes | bytearray:
        """The record of what the source's surface gains; it is the same whatever frames are asked for."""
        options = f"surface {self.options.unwrap} {self.options.texture_size}".encode()
        name = hashlib.sha256(self._key_names[-1] + options).digest()
        kept = self.memo.get(name)
        if kept is not None:
            return bytes(kept)
        coloured = [(k.mesh, self.tracked[i].points) for i, k in enumerate(self.keyframes)]
        surface = records.pack_surface(surface_of(self.keyframes[0].mesh, self.options, coloured, step=self.step))
        self.memo.put(name, surface)
        return surface

    def _track(self) -> None:
        """Every keyframe, from the memo where a former attempt got so far."""
        names = self._key_names
        known = {i: key for i, name in enumerate(names) if (key := _unpack_key(self.memo.get(name))) is not None}
        known |= {i: _matched(k, self.keyframes[0].mesh) for i, k in enumerate(self.keyframes) if k.matched}
        with self.seconds.of("track"):
            hints, trusted = self._hints(), self.options.method == "lim"
            for i, key in track_keys(
                self.keyframes, device=self.device, step=self.step, known=known, hints=hints, trusted=trusted
            ):
                self.tracked[i] = key
                if i not in known:
                    self.memo.put(names[i], _pack_key(key))

    def _hints(self) -> Hints | None:
        """What LIM tells of the keys, unless geometry alone is wanted or there are no weights."""
        models = None if self.options.method == "geometry" else shipped(self.device)
        return None if models is None else Canonical(models, self.keyframes, self.device, self.memo.key_at_hand).told

    @cached_property
    def _key_names(self) -> list[bytes]:
        """A tracked key depends on all keyframes and their times, and on nothing else of the job."""
        led = "" if self.options.method == "geometry" else self.options.method + shipped_digest()
        whole = hashlib.sha256(self.code + b"tracked" + led.encode())
        for key in self.keyframes:
            digest = records.digest(records.pack_mesh(key.mesh))
            whole.update(np.float64(key.time).tobytes() + digest + bytes([key.matched]))
        return [hashlib.sha256(whole.digest() + bytes([i >> 8, i & 255])).digest() for i in range(len(self.keyframes))]

    def _frame(self, shot: Prepared, at: float) -> Frame:
        points = shot.motion.at(at)
        velocities = accelerations = None
        if self.options.velocities:
            rate = np.float32(self.options.fps)
            velocities, accelerations = shot.motion.derivatives(at)
            velocities, accelerations = velocities * rate, accelerations * (rate * rate)
        residuals, confidence = self._point_quality(shot, at) if self.options.quality else (None, None)
        quality = self._quality(at)
        return Frame(at, points, shot.normals(points), velocities, accelerations, residuals, confidence, quality)

    def _point_quality(self, shot: Prepared, at: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Residuals and confidence per point, blended between the keys before and after."""
        times = [k.time for k in self.keyframes]
        k = int(np.clip(np.searchsorted(times, at, side="right") - 1, 0, len(times) - 2))
        for i in {k, k + 1} - shot.residuals.keys():
            shot.residuals[i] = point_residuals(self.keyframes[i].mesh, self.tracked[i].points)
        s = (at - times[k]) / (times[k + 1] - times[k])
        near = [(shot.residuals[i], self.tracked[i].confidence) for i in (k, k + 1)]
        residuals, confidence = ((1 - s) * a + s * b for a, b in zip(*near, strict=True))
        return residuals.astype(np.float32), confidence.astype(np.float32)

    def _quality(self, at: float) -> Quality | None:
        return next((self.tracked[i].quality for i, k in enumerate(self.keyframes) if k.time == at), None)


def _stiffened(keyframes: Sequence[Keyframe], times: float) -> Sequence[Keyframe]:
    """The keyframes with a source that is so many times stiffer."""
    if times == 1:
        return keyframes
    mesh = keyframes[0].mesh
    stiffness = np.full(len(mesh.points), times) if mesh.stiffness is None else times * mesh.stiffness.astype(float)
    within = np.clip(stiffness, 0, np.finfo(np.float32).max).astype(np.float32)
    return [replace(keyframes[0], mesh=replace(mesh, stiffness=within)), *keyframes[1:]]


def _matched(key: Keyframe, source: Mesh) -> TrackedKey:
    """A key whose points are the source's: as they are but for the pinned ones, and certain."""
    points = np.array(key.mesh.points)
    if source.pinned is not None:
        points[source.pinned > 0] = source.points[source.pinned > 0]
    return TrackedKey(points, np.ones(len(points), np.float32), Quality(0.0, 0.0, 0.0, 0.0, 1.0))


def _pack_key(key: TrackedKey) -> bytearray:
    arrays = {"points": key.points, "confidence": key.confidence}
    return records.pack(arrays, {**asdict(key.quality), "method": key.method})


def _unpack_key(record: bytes | memoryview | None) -> TrackedKey | None:
    if record is None:
        return None
    arrays: Mapping[str, NDArray[Any]]
    arrays, values = records.unpack(record)
    method = values.pop("method")
    return TrackedKey(arrays["points"].copy(), arrays["confidence"].copy(), Quality(**values), method)
