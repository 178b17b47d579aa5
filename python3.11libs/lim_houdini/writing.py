"""An asset from keyframes that were read in Houdini: the run of `lim track`, with Houdini's keys. Touches no hou."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lim_cli.output import Chunked, Whole
from lim_cli.output import Shot as Frames
from lim_cli.tracking import Clock, Tracking
from lim_client.connection import Connection
from lim_client.job import Job
from lim_protocol import records
from lim_protocol.types import Keyframe, Mesh
from lim_usd.source import Source, UpAxis

if TYPE_CHECKING:
    from lim_cli.progress import Reporter

Tick = Callable[[float, str], None]


@dataclass(frozen=True, eq=False)
class Shot:
    """What to write.

    source   the mesh that is moved
    times    frames of the keyframes; `packed` their records
    params   the job's, as `lim track` has them
    frames   what to write, sorted; outside the keys the end poses are held
    up_axis  the scene's; `unit` in metres
    chunk    frames per clip file, 0 for one file; `chunks` which of them, as in `lim track --chunks`
    """

    source: Mesh
    times: list[float]
    packed: list[bytearray]
    params: dict[str, Any]
    frames: tuple[float, ...]
    out: Path
    up_axis: UpAxis
    unit: float
    chunk: int = 0
    chunks: str | None = None


def write_shot(shot: Shot, connect: Callable[[], Connection], report: Reporter) -> dict[str, Any]:
    """Track and write. Returns what `lim track --json` prints.

    report  told many times a second how far it is; may raise to give up: then nothing half-written stays

    Raises BadInput, ServerError, OutputError, DiskError, or what `report` raises.
    """
    notes: list[str] = []

    def note(text: str) -> None:
        notes.append(text)
        report.note(text)

    keyframes = [
        Keyframe(time, records.unpack_mesh(memoryview(record)), f"frame {time:g}")
        for time, record in zip(shot.times, shot.packed)
    ]
    source = Source(shot.source, up_axis=shot.up_axis, metres_per_unit=shot.unit)
    frames = Frames(shot.frames, shot.params["fps"], shot.params["velocities"], shot.params["quality"])
    out: Whole | Chunked = Whole(shot.out, split=False, flat=False)
    if shot.chunk:
        out = Chunked(shot.out, False, shot.chunk, shot.chunks, note)
    tracking = Tracking(keyframes, source, frames, shot.params, Clock(), report, notes)
    tracking.run(out, lambda: nullcontext(connect()))
    return tracking.result(shot.out)


class Told:
    """The Reporter of `lim track`, for whoever waits in Houdini."""

    def __init__(self, tick: Tick) -> None:
        self.tick = tick

    def stage(self, name: str) -> None:
        """Something else is being done now."""
        self.tick(-1.0, name)

    def note(self, text: str) -> None:
        """Something to know."""
        self.tick(-1.0, text)

    def frame(self, at: float, done: int, total: int) -> None:
        """A frame was written."""
        self.tick(done / total, f"frame {at:g} ({done} of {total})")

    def watch(self, job: Job) -> None:
        """Called often while the server works."""
        progress = job.progress
        if progress is None:
            self.tick(-1.0, job.state)
        else:
            self.tick(progress.done / progress.total if progress.total else -1.0, progress.stage)
