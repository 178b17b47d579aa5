"""What a person sees while they wait: a bar on a terminal, plain lines elsewhere, nothing with --json."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from lim_cli.frames import frame_text
from lim_client.job import Job

LINE_EVERY = 5.0


class Reporter(Protocol):
    """Told what is going on; all output goes to stderr."""

    def stage(self, name: str) -> None:
        """Something else is being done now."""

    def note(self, text: str) -> None:
        """Something to know about the input."""

    def frame(self, at: float, done: int, total: int) -> None:
        """A frame was written."""

    def watch(self, job: Job) -> None:
        """Called often while the server works."""


class Silence:
    """For --json."""

    def stage(self, name: str) -> None:
        """Nothing."""

    note = stage

    def frame(self, at: float, done: int, total: int) -> None:
        """Nothing."""

    def watch(self, job: Job) -> None:
        """Nothing."""


class Lines:
    """A line per stage, and one every five seconds within a stage."""

    def __init__(self) -> None:
        self.shown, self.at, self.first = "", 0.0, 0.0

    def stage(self, name: str) -> None:
        """A line, when the stage is another."""
        if name != self.shown:
            self._line(name)
            self.shown = name

    def note(self, text: str) -> None:
        """A line."""
        self._line(f"note: {text}")

    def frame(self, at: float, done: int, total: int) -> None:
        """A line now and then, and for the last frame."""
        now = time.monotonic()
        self.first = self.first or now
        if done == total or now - self.at > LINE_EVERY:
            rate = (done - 1) / (now - self.first) if now > self.first else 0.0
            left = f", {(total - done) / rate:.0f} s left" if rate and done < total else ""
            self._line(f"frame {frame_text(at)} ({done} of {total}), {rate:.1f} frames/s{left}")
            self.shown = "frames"

    def watch(self, job: Job) -> None:
        """The server's stage."""
        if self.shown != "frames":
            self.stage(job.progress.stage if job.progress else job.state)

    def _line(self, text: str) -> None:
        self.at = time.monotonic()
        print(f"lim: {text}", file=sys.stderr, flush=True)


class Session(Lines):
    """Lines, and what a farm's session reads from standard output (Open Job Description)."""

    def stage(self, name: str) -> None:
        """Also the session's status."""
        if name != self.shown:
            print(f"openjd_status: {name}", flush=True)
        super().stage(name)

    def frame(self, at: float, done: int, total: int) -> None:
        """Also the session's progress."""
        print(f"openjd_progress: {100 * done / total:.1f}", flush=True)
        super().frame(at, done, total)


class Bar:
    """A live bar: stage, count, rate, time left."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
        )
        self.progress = Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True)
        self.task = self.progress.add_task("", total=None, rate="")
        self.first, self.writing = 0.0, False

    def stage(self, name: str) -> None:
        """The bar's words."""
        self.progress.update(self.task, description=name)

    def note(self, text: str) -> None:
        """Above the bar."""
        self.progress.console.print(f"note: {text}", markup=False, highlight=False)

    def frame(self, at: float, done: int, total: int) -> None:
        """The bar counts frames."""
        now = time.monotonic()
        self.first, self.writing = self.first or now, True
        rate = f"{(done - 1) / (now - self.first):.1f} frames/s" if now > self.first else ""
        self.progress.update(self.task, description=f"frame {frame_text(at)}", completed=done, total=total, rate=rate)

    def watch(self, job: Job) -> None:
        """The bar counts the server's steps."""
        if self.writing:
            return
        if job.progress is None:
            self.stage(job.state)
        else:
            p = job.progress
            self.progress.update(self.task, description=p.stage, completed=p.done, total=p.total or None)


@contextmanager
def reporter(quiet: bool) -> Iterator[Reporter]:
    """The right one for where stderr goes."""
    if quiet:
        yield Silence()
    elif os.environ.get("LIM_PROGRESS") == "openjd":
        yield Session()
    elif sys.stderr.isatty():
        bar = Bar()
        with bar.progress:
            yield bar
    else:
        yield Lines()
