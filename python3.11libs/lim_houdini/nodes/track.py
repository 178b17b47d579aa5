"""LIM Track (SOP): the source at any frame, and the buttons on its Server tab."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import hou
import numpy as np

from lim_cli.summary import is_doubtful, key_table
from lim_client.errors import ServerError
from lim_houdini import background, servers
from lim_houdini.ends import Moment, moment
from lim_houdini.errors import told
from lim_houdini.geometry import put, put_uv
from lim_houdini.keys import Keys, Tick, read_keys
from lim_houdini.settings import KeySettings, Settings
from lim_houdini.tracking import Tracked, is_away, job_params
from lim_protocol import records
from lim_protocol.types import Frame, Surface


def cook(node: hou.SopNode) -> None:
    """Make the frame the node is at. A server that is away leaves what came out last, with a warning."""
    tracked = Tracked.of(node)
    with told():
        settings = Settings.of(node)
        try:
            with interruptable("LIM Track", brief=bool(tracked.report)) as tick:
                keys = tracked.current_keys(node, settings, tick)
                at = moment(settings.frame, keys.times[0], keys.times[-1], settings.before, settings.after)
                frame = tracked.frame(keys, settings, at, tick)
            tracked.last = (keys, tracked.surface, frame, at)
        except ServerError as error:
            if tracked.last is None or not is_away(error):
                raise
            node.addWarning(f"Still as at frame {tracked.last[2].time:g}: {error}")
    assert tracked.last is not None
    show(node, settings, *tracked.last)
    for key in tracked.report:
        if is_doubtful(key):
            node.addWarning(f"keyframe {key['time']:g} was not met well: {_figures(key)}")


def show(node: hou.SopNode, settings: Settings, keys: Keys, surface: Surface | None, frame: Frame, at: Moment) -> None:
    """The source's geometry with the frame's points and attributes as the node's."""
    geometry = node.geometry()
    assert geometry is not None
    geometry.copy(keys.geometry, clone_data_ids=True)
    points = frame.points
    if at.beyond and frame.velocities is not None:
        points = points + frame.velocities * np.float32(at.beyond / settings.fps)
    put(geometry, "P", points)
    if settings.normals:
        put(geometry, "N", frame.normals)
    if settings.velocity and frame.velocities is not None:
        put(geometry, "v", frame.velocities if at.pace == 1 else frame.velocities * np.float32(at.pace))
    if frame.residuals is not None and frame.confidence is not None:
        put(geometry, "limresidual", frame.residuals)
        put(geometry, "limconfidence", frame.confidence)
    if surface is not None and surface.st is not None and surface.st_indices is not None:
        put_uv(geometry, "uv", surface.st, surface.st_indices, keys.source.face_counts)


@contextmanager
def interruptable(name: str, brief: bool = False) -> Iterator[Tick]:
    """Inside, `tick` shows progress and raises hou.OperationInterrupted where the user pressed Esc.

    brief  for what is over in a moment: no dialog, only the status line, which does not show what is being done
    """
    dialog = hou.isUIAvailable() and not brief
    with hou.InterruptableOperation(name, long_operation_name=name, open_interrupt_dialog=dialog) as operation:

        def tick(fraction: float, doing: str) -> None:
            operation.updateLongProgress(fraction, f"LIM: {doing}")
            operation.updateProgress(fraction)

        yield tick


def start(kwargs: dict[str, Any]) -> None:
    """Button: start the user's own server."""
    with told(), interruptable("LIM server") as tick:
        servers.start_own(tick)
    kwargs["node"].cook(force=True)


def send(kwargs: dict[str, Any]) -> None:
    """Button: read the keyframes now, and let the server track them while the user goes on."""
    node = kwargs["node"]
    tracked, settings = Tracked.of(node), Settings.of(node)
    with told(), interruptable("LIM Track") as tick:
        keys = read_keys(node, KeySettings.of(node), tick)
        connection = servers.connect(settings.server, settings.patience, tick)
        tracked.take(keys)
        params = job_params(keys, settings, velocities=settings.velocity)
        job = tracked.submit(connection, keys, params, [])

    def done(result: list[memoryview]) -> None:
        tracked.surface, tracked.job = records.unpack_surface(result[0]), None

    background.watch(node.name(), job, lambda: tracked.job is job, done)


def cancel(kwargs: dict[str, Any]) -> None:
    """Button: the server may stop working for this node."""
    node = kwargs["node"]
    tracked = Tracked.of(node)
    if tracked.job is not None:
        with told(), interruptable("LIM Track") as tick:
            servers.connect(Settings.of(node).server, Settings.of(node).patience, tick).cancel(tracked.job)
        tracked.job = None


def report(kwargs: dict[str, Any]) -> None:
    """Button: how well each keyframe was met."""
    rows = key_table(Tracked.of(kwargs["node"]).report)
    background.say("How well each keyframe was met", "\n".join(rows) if rows else "Nothing was tracked yet.")


def forget(kwargs: dict[str, Any]) -> None:
    """Button: forget keys and frames, and cook."""
    Tracked.of(kwargs["node"]).forget()
    kwargs["node"].cook(force=True)


def _figures(key: dict[str, Any]) -> str:
    return (
        f"{100 * key['residual_mean']:.2f} % of the diagonal off its surface in the mean, "
        f"confidence {key['confidence']:.2f}. See Open Report."
    )
