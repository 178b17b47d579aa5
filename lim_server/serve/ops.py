"""What the server can be asked to do: from a task's plain words and blobs to a job that makes records."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, Protocol, TypeVar, runtime_checkable

from lim_protocol import records
from lim_protocol.types import Keyframe, Mesh, TrackOptions
from lim_protocol.views import Views, unpack_views
from lim_protocol.wire import WireError
from lim_server.models.shipped import SHARP, shipped_digest, shipped_lrm, shipped_lrm_digest
from lim_server.models.weights import BadWeights
from lim_server.pipeline import Step, TrackJob
from lim_server.reconstruct import Model, ReconstructJob, ViewedKey
from lim_server.serve.store import Store

METHODS = ("auto", "lim", "geometry")
TEXTURE_MAX = 16384
CELLS_MIN, CELLS_MAX = 16, 384
SHOTS = 2
"""How many shots' motion a worker holds in memory: the one somebody scrubs through, and the one before."""
KEYS = 128
"""How many times it holds what a model makes of one key: one or two megabytes each (micro)."""

T = TypeVar("T")


class TaskError(Exception):
    """The task cannot be done; code, text and retryable are what the client's Error says."""

    def __init__(self, code: str, text: str, retryable: bool = False):
        super().__init__(text)
        self.code, self.retryable = code, retryable


@runtime_checkable
class Job(Protocol):
    """A run in the making."""

    def records(self, first: int) -> Iterator[tuple[int, bytes | bytearray]]:
        """(number, record), from the first that is asked for to the last."""

    def summary(self) -> dict[str, Any]:
        """What to tell when all records were made."""


class Hand:
    """What this process made last and has in memory, by name."""

    def __init__(self, most: int):
        self.most, self.held = most, OrderedDict[bytes, Any]()

    def get(self, name: bytes, make: Callable[[], T]) -> T:
        """What `make` made before, or makes now; nothing is held of what raises."""
        kept: T = self.held.pop(name) if name in self.held else make()
        self.held[name] = kept
        while len(self.held) > self.most:
            self.held.popitem(last=False)
        return kept


class Shelf:
    """The store as the pipeline's memo, and as the place of inputs."""

    def __init__(self, store: Store, shots: Hand, keys: Hand):
        self.store, self.shots, self.keys = store, shots, keys

    def at_hand(self, name: bytes, make: Callable[[], T]) -> T:
        """The shot that is in memory under the name, or made now."""
        return self.shots.get(name, make)

    def key_at_hand(self, name: bytes, make: Callable[[], T]) -> T:
        """The same for what is made of a single key."""
        return self.keys.get(name, make)

    def get(self, name: bytes) -> memoryview | None:
        """What was kept under the name."""
        return self.store.open(name)

    def put(self, name: bytes, content: bytes | bytearray) -> None:
        """Keep it."""
        self.store.put(name, content)

    def blob(self, digest: bytes) -> memoryview:
        """An input. Raises TaskError."""
        view = self.store.blob(digest)
        if view is None:
            text = f"input {digest.hex()[:12]} is not here any more, or is not what its name says"
            raise TaskError("missing-blob", text, retryable=True)
        return view


def track(task: dict[str, Any], shelf: Shelf, device: str, code: bytes, step: Step) -> Job:
    """The job of op 'track'. Raises TaskError 'bad-input' where the words do not fit."""
    params = dict(task["params"])
    keys = params.pop("keys", None)
    options = _options(params, task["times"])
    if not isinstance(keys, list) or len(keys) != len(task["inputs"]) or len(keys) < 2:
        raise TaskError("bad-input", "keys are not [[time, name], ...], one per input and at least two")
    keyframes = []
    for key, digest in zip(keys, task["inputs"]):
        match key:
            case [int() | float() as time, str() as name]:
                keyframes.append(Keyframe(float(time), _mesh(shelf, digest, name), name))
            case [int() | float() as time, str() as name, bool() as matched]:
                keyframes.append(Keyframe(float(time), _mesh(shelf, digest, name), name, matched))
            case _:
                raise TaskError("bad-input", "a key is neither [time, name] nor [time, name, matched]")
    for k in keyframes:
        if k.matched and len(k.mesh.points) != len(keyframes[0].mesh.points):
            text = f"{k.name}: {len(k.mesh.points)} points are not the source's {len(keyframes[0].mesh.points)}"
            raise TaskError("bad-input", text)
    for k in keyframes[1:]:
        marks, points = k.mesh.landmarks, len(keyframes[0].mesh.points)
        if marks is not None and marks.size and not 0 <= marks[:, 0].min() <= marks[:, 0].max() < points:
            raise TaskError("bad-input", f"{k.name}: a landmark is on none of the source's {points} points")
    times = [k.time for k in keyframes]
    if any(b <= a for a, b in pairwise(times)):
        raise TaskError("bad-input", f"keyframes are not in order of time: {times}")
    if options.times and not times[0] <= min(options.times) <= max(options.times) <= times[-1]:
        raise TaskError("bad-input", f"frames outside the keyframes {times[0]:g} to {times[-1]:g}")
    return TrackJob(keyframes, options, device=device, code=code, memo=shelf, step=step)


def reconstruct(task: dict[str, Any], shelf: Shelf, device: str, code: bytes, step: Step) -> Job:
    """The job of op 'reconstruct'. Raises TaskError 'bad-input' where the words do not fit, 'no-model' without one."""
    keys, cells = task["params"].get("keys"), task["params"].get("cells")
    if not isinstance(keys, list) or not len(keys) == len(task["inputs"]) == len(task["times"]) > 0:
        raise TaskError("bad-input", "keys are not [[time, name], ...], one per input and per time")
    if not isinstance(cells, int) or not CELLS_MIN <= cells <= CELLS_MAX:
        raise TaskError("bad-input", f"cells is {cells!r}, not {CELLS_MIN} to {CELLS_MAX}")
    viewed = []
    for key, digest in zip(keys, task["inputs"]):
        match key:
            case [int() | float() as time, str() as name]:
                viewed.append(ViewedKey(float(time), name, _views(shelf, digest, name), digest))
            case _:
                raise TaskError("bad-input", "a key is not [time, name]")
    try:
        model = Model(f"{SHARP}-lrm", shipped_lrm_digest(), lambda: shipped_lrm(device))
    except BadWeights as error:
        raise TaskError("no-model", str(error)) from None
    return ReconstructJob(viewed, cells, model=model, code=code, memo=shelf, step=step)


OPS: dict[str, Callable[[dict[str, Any], Shelf, str, bytes, Step], Job]] = {"track": track, "reconstruct": reconstruct}


def _views(shelf: Shelf, digest: bytes, name: str) -> Views:
    try:
        return unpack_views(shelf.blob(digest))
    except WireError as error:
        raise TaskError("bad-input", f"key {name}: {error}") from None


def _mesh(shelf: Shelf, digest: bytes, name: str) -> Mesh:
    try:
        mesh = records.unpack_mesh(shelf.blob(digest))
    except WireError as error:
        raise TaskError("bad-input", f"keyframe {name}: {error}") from None
    if len(mesh.face_counts) == 0:
        raise TaskError("bad-input", f"keyframe {name}: no faces")
    return mesh


def _options(params: dict[str, Any], times: list[float]) -> TrackOptions:
    switches = dict.fromkeys(("velocities", "quality", "unwrap"), bool)
    wanted = {"fps": float, "method": str, "texture_size": int, "stiffness": float, **switches}
    for name, value in params.items():
        if name not in wanted or not isinstance(value, wanted[name]):
            raise TaskError("bad-input", f"option {name}={value!r} is not known here")
    options = TrackOptions(times=tuple(times), **params)
    if options.method == "lim" and shipped_digest() == "":
        raise TaskError("bad-input", "method lim: this server has no weights. Use auto or geometry")
    if options.method not in METHODS or not 16 <= options.texture_size <= TEXTURE_MAX or not options.fps > 0:
        raise TaskError("bad-input", "method, texture_size or fps out of range")
    if not (math.isfinite(options.stiffness) and options.stiffness > 0):
        raise TaskError("bad-input", f"stiffness is {options.stiffness}, not above zero")
    return options
