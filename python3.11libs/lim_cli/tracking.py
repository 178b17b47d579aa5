"""One run of a track, whoever asked for it: keyframes up, frames down, an asset out."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lim_cli.output import Chunked, Shot, Whole
from lim_client.connection import Connection
from lim_client.job import Job
from lim_protocol import records
from lim_protocol.types import Frame, Keyframe, Surface

if TYPE_CHECKING:
    from lim_cli.progress import Reporter
    from lim_usd.provenance import Provenance
    from lim_usd.source import Source


@dataclass
class Clock:
    """Seconds on this side of the wire, by what they were spent on."""

    started: float = field(default_factory=time.perf_counter)
    spent: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        """Count what is done inside."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.spent[name] = self.spent.get(name, 0.0) + time.perf_counter() - start

    def mark(self, name: str) -> None:
        """Note when something happened first, since the start."""
        self.spent.setdefault(name, time.perf_counter() - self.started)


@dataclass(frozen=True)
class MadeBy:
    """The model that made the keyframes, and the digest of its weights; nothing where they are somebody's meshes."""

    model: str = ""
    weights_sha256: str = ""


class Tracking:
    """From keyframes to a written asset.

    keyframes  sorted by time
    source     the first one with its surroundings: what the asset is made of
    params     the job's
    notes      what the result tells besides
    made_by    what the keyframes are from
    """

    def __init__(
        self,
        keyframes: Sequence[Keyframe],
        source: Source,
        shot: Shot,
        params: dict[str, Any],
        clock: Clock,
        report: Reporter,
        notes: Sequence[str] = (),
        made_by: MadeBy = MadeBy(),
    ):
        self.keyframes, self.source, self.shot, self.params = keyframes, source, shot, params
        self.clock, self.report, self.notes, self.made_by = clock, report, notes, made_by
        self.server, self.files, self.wanted = "", list[Path](), shot.times
        self.summary: dict[str, Any] = {"method": "", "keys": [], "seconds": {}}

    def run(self, out: Whole | Chunked, connect: Callable[[], AbstractContextManager[Connection]]) -> None:
        """Submit, receive, write. Raises BadInput, ServerError, OutputError, DiskError."""
        with self.clock.of("pack"):
            inputs = [records.pack_mesh(k.mesh) for k in self.keyframes]
        self.wanted = out.wanted(self.source, self.shot, lambda: self._request(out, map(records.digest, inputs)))
        if not self.wanted:
            self.report.note("there is nothing left to write")
            return
        self.report.stage("connecting")
        with self.clock.of("connect"):
            opened = connect()
        with opened as connection:
            self.server = str(connection.endpoint)
            job = connection.submit("track", self.params, inputs, np.array(self._times()))
            try:
                # The server works while OpenUSD is loaded.
                from lim_usd.asset import check_output

                check_output(out.path)
                self._write(out, job)
            finally:
                if job.summary is None:
                    connection.cancel(job)

    def _times(self) -> list[float]:
        """The frames to ask the server for: those outside the keyframes hold an end pose."""
        first, last = self.keyframes[0].time, self.keyframes[-1].time
        return sorted({min(max(time, first), last) for time in self.wanted})

    def _write(self, out: Whole | Chunked, job: Job) -> None:
        stream = job.records(self.report.watch)
        surface = records.unpack_surface(next(stream))
        self.clock.mark("until the surface")
        source = with_surface(self.source, surface)

        def made_from() -> Provenance:
            return self._provenance(out, job)

        out.write(source, self.shot, self._frames(stream), made_from, lambda: self.clock.of("write"))
        self.files = out.files
        assert job.summary is not None
        self.summary = job.summary

    def _frames(self, stream: Iterator[memoryview]) -> Iterator[Frame]:
        done = 0
        for record in stream:
            self.clock.mark("until the first frame")
            for frame in self._held(records.unpack_frame(record)):
                yield frame
                done += 1
                self.report.frame(frame.time, done, len(self.wanted))

    def _held(self, frame: Frame) -> Iterator[Frame]:
        """The frame, as often as it was asked for: an end pose also stands for frames outside the keyframes."""
        first, last = self.keyframes[0].time, self.keyframes[-1].time
        for asked in self.wanted:
            if asked == frame.time:
                yield frame
            elif min(max(asked, first), last) == frame.time:
                still = None if frame.velocities is None else np.zeros_like(frame.velocities)
                yield replace(frame, time=asked, velocities=still, accelerations=still, quality=None)

    def _request(self, out: Whole | Chunked, digests: Iterable[bytes]) -> str:
        """The sha256 of all that the asset depends on; the same on every machine that writes a part of it."""
        image, parts = self.source.texture, [[part.name, part.faces] for part in self.source.parts]
        whole = [
            self.params,
            self.shot.times,
            [digest.hex() for digest in digests],
            [hashlib.sha256(image.data).hexdigest() if image else None, parts if out.split else None],
            [self.source.up_axis, self.source.metres_per_unit],
            out.size if isinstance(out, Chunked) else None,
        ]
        return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()

    def _provenance(self, out: Whole | Chunked, job: Job) -> Provenance:
        from lim_usd.provenance import Provenance

        digests, summary = job.request.digests, job.summary or {}
        return Provenance(
            method=summary.get("method", ""),
            model=summary.get("model") or self.made_by.model,
            weights_sha256=summary.get("weights_sha256") or self.made_by.weights_sha256,
            request_sha256=self._request(out, digests),
            inputs=[(key.name, key.time, digest.hex()) for key, digest in zip(self.keyframes, digests)],
        )

    def result(self, out: Path) -> dict[str, Any]:
        """What --json prints."""
        self.clock.spent["total"] = time.perf_counter() - self.clock.started
        return {
            "output": str(out),
            "files": [str(path) for path in self.files],
            "frames": {"first": self.shot.times[0], "last": self.shot.times[-1], "count": len(self.shot.times)},
            "points": len(self.source.mesh.points),
            "faces": len(self.source.mesh.face_counts),
            "method": self.summary["method"],
            "keys": self.summary["keys"],
            "seconds": {"client": self.clock.spent, "server": self.summary["seconds"]},
            "from_cache": bool(self.summary.get("cached")),
            "server": self.server,
            "notes": list(self.notes),
        }


def with_surface(source: Source, surface: Surface) -> Source:
    """The source with the texture coordinates and the texture that the server made."""
    if surface.st is not None:
        source = replace(source, mesh=replace(source.mesh, st=surface.st, st_indices=surface.st_indices))
    if surface.texture is not None and source.texture is None:
        from lim_protocol.png import png
        from lim_usd.source import Texture

        source = replace(source, texture=Texture("baked.png", png(surface.texture)))
    return source
