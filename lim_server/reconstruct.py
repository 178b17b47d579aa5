"""The story of a job that makes meshes of posed pictures.

    pictures of every key  ->  surface   LRM, opacity to mesh, colours from the pictures   stages/surface.py

Record 0 says which model; record i + 1 is the mesh of key i, in the box that its pictures were taken of. Tracking them
is another job, the same as for meshes that somebody else made (pipeline.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from lim_protocol import records
from lim_protocol.views import Views
from lim_server.geometry.isosurface import NoSurface
from lim_server.models.lrm import Lrm
from lim_server.pipeline import Memo, Seconds, Step
from lim_server.stages.surface import PIECE, Found, surface_of


@dataclass(frozen=True, eq=False)
class ViewedKey:
    """A key as its pictures; `digest` names them."""

    time: float
    name: str
    views: Views
    digest: bytes


@dataclass(frozen=True, eq=False)
class Model:
    """The LRM to use: opened when it is needed, named by the digest of its weights."""

    name: str
    sha256: str
    open: Callable[[], Lrm]


class ReconstructJob:
    """One job of op 'reconstruct'."""

    def __init__(
        self, keys: Sequence[ViewedKey], cells: int, *, model: Model, code: bytes, memo: Memo, step: Step
    ) -> None:
        self.keys, self.cells, self.model = keys, cells, model
        self.code, self.memo, self.step = code, memo, step
        self.seconds, self.told = Seconds(), dict[int, dict[str, Any]]()

    def records(self, first: int) -> Iterator[tuple[int, bytes | bytearray]]:
        """(number, record) from the first that is asked for. Raises NoSurface naming the key."""
        if first == 0:
            yield 0, records.pack({}, {"model": self.model.name, "weights_sha256": self.model.sha256})
        for i in range(max(first - 1, 0), len(self.keys)):
            self.step("views to triplane", i, len(self.keys))
            yield i + 1, self._mesh(i)

    def summary(self) -> dict[str, Any]:
        """What became of each key, and seconds."""
        for i in set(range(len(self.keys))) - self.told.keys():
            self._mesh(i)
        keys = [{"time": key.time, "name": key.name, **self.told[i]} for i, key in enumerate(self.keys)]
        less = min(told["piece"] for told in self.told.values())
        notes = [f"the device was out of memory: the field was asked at {less} places a time"] if less < PIECE else []
        return {"keys": keys, "notes": notes, "seconds": dict(self.seconds.spent), "model": self.model.name}

    def _mesh(self, i: int) -> bytes | bytearray:
        """The record of a key's mesh, from the memo where a former job made it."""
        key = self.keys[i]
        named = f"reconstructed {self.model.sha256} {self.cells}".encode()
        name = hashlib.sha256(self.code + named + key.digest).digest()
        kept = self.memo.get(name)
        record = self._made(key) if kept is None else bytes(kept)
        if kept is None:
            self.memo.put(name, record)
        arrays, told = records.unpack(record)
        self.told[i] = {**told, "points": len(arrays["points"]), "faces": len(arrays["face_counts"])}
        return record

    def _made(self, key: ViewedKey) -> bytearray:
        with self.seconds.of("reconstruct"):
            found = self._found(key)
        told = {"views": len(key.views.images), "crumbs": found.crumbs, "piece": found.piece}
        return records.pack(vars(found.mesh), told)

    def _found(self, key: ViewedKey) -> Found:
        try:
            return surface_of(self.model.open(), key.views, self.cells, self.step)
        except NoSurface as error:
            text = f"key {key.name}: {self.model.name} sees no surface in these {len(key.views.images)} views. {error}"
            raise NoSurface(f"{text} Check masks and matrices, and that the views stand around the thing.") from error
