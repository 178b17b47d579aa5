"""Work that goes on while the user does, looked at between Houdini's own events: only its own thread touches hou."""

from __future__ import annotations

from collections.abc import Callable

import hou

from lim_client.errors import ServerError
from lim_client.job import Job


def poll(step: Callable[[], bool]) -> None:
    """Call `step` between events until it returns True. Without a user interface, until it does, at once."""
    if not hou.isUIAvailable():
        while not step():
            pass
        return

    def once() -> None:
        done = True
        try:
            done = step()
        finally:
            if done:
                hou.ui.removeEventLoopCallback(once)

    hou.ui.addEventLoopCallback(once)


def watch(name: str, job: Job, wanted: Callable[[], bool], done: Callable[[list[memoryview]], None]) -> None:
    """Show a job's progress in the status line, as long as it is wanted; `done` gets its records."""
    taken: list[memoryview] = []

    def step() -> bool:
        if not wanted():
            return True
        try:
            record = job.poll(0.0 if hou.isUIAvailable() else 0.05)
        except ServerError as error:
            status(f"{name}: {error}")
            return True
        if record is not None:
            taken.append(record)
        elif job.summary is not None:
            done(taken)
            status(f"{name}: keyframes are tracked")
            return True
        elif job.progress is not None:
            status(f"{name}: {job.progress.stage} ({job.progress.done} of {job.progress.total})")
        return False

    poll(step)


def status(text: str) -> None:
    """Into the status line; without one, on standard output."""
    if hou.isUIAvailable():
        hou.ui.setStatusMessage(text)
    else:
        print(text, flush=True)


def say(title: str, text: str) -> None:
    """A window with a text; without windows, on standard output."""
    if hou.isUIAvailable():
        hou.ui.displayMessage(title, details=text, details_expanded=True, title="LIM")
    else:
        print(f"{title}\n{text}", flush=True)
