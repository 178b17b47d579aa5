"""`lim reconstruct`: posed images in, one tracked USD asset out."""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from lim_cli.errors import BadInput
from lim_cli.frames import frame_text, shot_frames
from lim_cli.keyframes import Loaded
from lim_cli.output import Shot, output
from lim_cli.progress import Reporter, reporter
from lim_cli.server import JsonOption, ServerOption, endpoint_of
from lim_cli.summary import summary_text
from lim_cli.track import checked_stiffness, job_params
from lim_cli.tracking import Clock, MadeBy, Tracking
from lim_cli.units import metres_of
from lim_client.connection import Connection
from lim_protocol import records
from lim_protocol.types import Keyframe, Mesh
from lim_protocol.views import pack_views
from lim_usd.source import Source

if TYPE_CHECKING:
    from lim_cli.posed.keys import Posed

CELLS = 96
UNMADE = Mesh(np.zeros((0, 3), np.float32), np.zeros(0, np.int32), np.zeros(0, np.int32))


def reconstruct(
    views: Annotated[
        list[str],
        typer.Argument(
            metavar="VIEWS...",
            help="A folder per key, or FRAME=FOLDER: images of one thing with masks, and cameras.json.",
        ),
    ],
    out: Annotated[
        Path,
        typer.Option("--out", "-o", metavar="OUT.usd", help="The asset to write: .usd, .usdc, or .usdz for a package."),
    ],
    frames: Annotated[
        str | None, typer.Option(help="1001-1024, 1001-1024x0.5, 1001,1003. Without it, every whole frame and key.")
    ] = None,
    fps: Annotated[float | None, typer.Option(help="Frames per second; else what cameras.json says, else 24.")] = None,
    cells: Annotated[
        int, typer.Option(help="Cells along each side of the box that the surface is cut from, 16 to 384.")
    ] = CELLS,
    method: Annotated[str, typer.Option(help="Of the tracker: auto, or geometry: by shape and colour alone.")] = "auto",
    hold: Annotated[bool, typer.Option("--hold", help="Hold the end poses on frames outside the keys.")] = False,
    velocities: Annotated[bool, typer.Option("--velocities", help="Write velocities and accelerations.")] = False,
    quality: Annotated[
        bool, typer.Option("--quality", help="Write each point's distance to the keys, and confidence, over time.")
    ] = False,
    flat: Annotated[
        bool, typer.Option("--flat", help="One file for all but the texture, in place of a root with layers beside it.")
    ] = False,
    chunk: Annotated[int | None, typer.Option(metavar="N", help="A clip file for every N frames.")] = None,
    up_axis: Annotated[
        str | None, typer.Option(help="Y or Z: the cameras' world; else cameras.json, else as they stand upright.")
    ] = None,
    units: Annotated[str, typer.Option(help="m, cm, mm, in, ft: the cameras' unit.")] = "m",
    texture_size: Annotated[int, typer.Option(help="Pixels of the baked texture.")] = 1024,
    stiffness: Annotated[float, typer.Option(help="Above 1 keeps the first key's form, below 1 gives way.")] = 1.0,
    server: ServerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a mesh of every key's views, then track the first one's through all others.

    A model that comes with the server sees up to six views of each key and says where something is, the surface is cut
    from that and coloured from the images. From there it is `lim track`: one mesh, unwrapped and textured, at every
    frame. docs/reconstruct.md tells the format of cameras.json and how well it works.

    \b
    lim reconstruct shot/1001 shot/1009 shot/1017 -o asset.usd
    lim reconstruct 1=first 9=second -o asset.usd --up-axis Z --units cm
    """
    clock, cells = Clock(), checked_cells(cells)
    with reporter(quiet=as_json) as report:
        with clock.of("read"):
            from lim_cli.posed.keys import load_posed
            from lim_usd.asset import check_output

            report.stage("reading views")
            metres = metres_of("--units", units)
            posed = load_posed(views, up_axis)
            for note in posed.notes:
                report.note(note)
            asked = shot_frames([key.key.time for key in posed.keys], frames, hold)
            rate = (posed.fps or 24.0) if fps is None else fps
            params = job_params(
                _loaded(posed, [UNMADE] * len(posed.keys), metres), rate, method, velocities, texture_size
            )
            params |= {"quality": quality, "stiffness": checked_stiffness(stiffness)}
        target = output(out, False, flat, chunk, None, report.note)
        check_output(out)
        with Connection(endpoint_of(server), client="lim reconstruct") as connection:
            with clock.of("reconstruct"):
                made = _made(posed, cells, connection, report)
            loaded = _loaded(posed, made.meshes, metres)
            tracker = Tracking(
                loaded.keyframes,
                loaded.source,
                Shot(asked, rate, velocities, quality),
                params,
                clock,
                report,
                [*posed.notes, *made.summary["notes"]],
                made.by,
            )
            tracker.run(target, lambda: nullcontext(connection))
    result = {**tracker.result(out), "reconstructed": made.summary}
    print(json.dumps(result, indent=1) if as_json else f"{_told(made.summary)}\n\n{summary_text(result)}")


@dataclass(frozen=True, eq=False)
class Made:
    """What the server made of the views: a mesh per key in the key's box, by which model, and how it went."""

    meshes: list[Mesh]
    by: MadeBy
    summary: dict[str, Any]


def _made(posed: Posed, cells: int, connection: Connection, report: Reporter) -> Made:
    """Have the server make the meshes. Raises ServerError."""
    inputs = [pack_views(key.views) for key in posed.keys]
    params = {"keys": [[key.key.time, key.key.path.name] for key in posed.keys], "cells": cells}
    job = connection.submit("reconstruct", params, inputs, np.array([key.key.time for key in posed.keys]))
    try:
        stream = job.records(report.watch)
        _, model = records.unpack(next(stream))
        meshes = [records.unpack_mesh(record) for record in stream]
    finally:
        if job.summary is None:
            connection.cancel(job)
    assert job.summary is not None
    for note in job.summary["notes"]:
        report.note(note)
    return Made(meshes, MadeBy(f"{model['model']}", f"{model['weights_sha256']}"), job.summary)


def _loaded(posed: Posed, meshes: list[Mesh], metres: float) -> Loaded:
    """The meshes in the cameras' world, as keyframes of a track."""
    placed = [replace(m, points=key.placement.undo(m.points)) for key, m in zip(posed.keys, meshes)]
    keyframes = [Keyframe(key.key.time, mesh, key.key.path.name) for key, mesh in zip(posed.keys, placed)]
    return Loaded(keyframes, Source(placed[0], up_axis=posed.up_axis, metres_per_unit=metres), posed.notes)


def checked_cells(cells: int) -> int:
    """What --cells says. Raises BadInput."""
    if not 16 <= cells <= 384:
        raise BadInput(f"--cells: {cells}. Use 16 to 384; more than {CELLS} finds little that the model does not know.")
    return cells


def _told(summary: dict[str, Any]) -> str:
    """A line per key about what was made of its views."""
    lines = [f"{summary['model']} made, of posed images:"]
    for key in summary["keys"]:
        crumbs = f", {key['crumbs']} loose crumbs left out" if key["crumbs"] else ""
        sizes = f"{key['points']:,} points, {key['faces']:,} faces"
        lines.append(f"  {frame_text(key['time'])}  {sizes} from {key['views']} views{crumbs}  {key['name']}")
    return "\n".join(lines)
