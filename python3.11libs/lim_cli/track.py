"""`lim track`: keyframes in, one tracked USD asset out."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lim_cli.errors import BadInput
from lim_cli.frames import shot_frames
from lim_cli.keyframes import Loaded, load_keyframes
from lim_cli.output import Shot, output
from lim_cli.progress import reporter
from lim_cli.server import JsonOption, ServerOption, endpoint_of
from lim_cli.summary import summary_text
from lim_cli.tracking import Clock, Tracking
from lim_client.connection import Connection

if TYPE_CHECKING:
    from lim_usd.source import Source


def track(
    keyframes: Annotated[
        list[str],
        typer.Argument(
            metavar="KEYFRAME...",
            help="FRAME=PATH words, files with a frame number in their names, a pattern (scan.####.obj, scan.%04d.obj, "
            "'scan.$F4.obj'), or one USD stage with time samples. OBJ, PLY, STL, GLB, glTF, USD.",
        ),
    ],
    out: Annotated[
        Path,
        typer.Option("--out", "-o", metavar="OUT.usd", help="The asset to write: .usd, .usdc, or .usdz for a package."),
    ],
    frames: Annotated[
        str | None, typer.Option(help="1001-1024, 1001-1024x0.5, 1001,1003. Without it, every whole frame and key.")
    ] = None,
    keys: Annotated[
        str | None, typer.Option(help="The key frames of a pattern or a USD stage: 1001,1009 or 1001-1033x8.")
    ] = None,
    fps: Annotated[float, typer.Option(help="Frames per second.")] = 24.0,
    method: Annotated[str, typer.Option(help="auto, lim, or geometry: by shape and colour alone.")] = "auto",
    texture: Annotated[
        Path | None, typer.Option(metavar="IMAGE", help="Base colour, in place of the source's own.")
    ] = None,
    hold: Annotated[bool, typer.Option("--hold", help="Hold the end poses on frames outside the keyframes.")] = False,
    velocities: Annotated[bool, typer.Option("--velocities", help="Write velocities and accelerations.")] = False,
    quality: Annotated[
        bool, typer.Option("--quality", help="Write each point's distance to the keys, and confidence, over time.")
    ] = False,
    prim: Annotated[
        str | None, typer.Option(help="The mesh to take from each file, by name or path. Without it, all as one.")
    ] = None,
    split: Annotated[
        bool, typer.Option("--split", help="One mesh prim per part of the source, not one in all.")
    ] = False,
    flat: Annotated[
        bool, typer.Option("--flat", help="One file for all but the texture, in place of a root with layers beside it.")
    ] = False,
    chunk: Annotated[
        int | None,
        typer.Option(metavar="N", help="A clip file for every N frames, which machines may share."),
    ] = None,
    chunks: Annotated[
        str | None, typer.Option(help="Which of them to write here, counted from 1: 1-4,9. Without it, all missing.")
    ] = None,
    up_axis: Annotated[
        str | None, typer.Option(help="Y or Z: the files' up axis, whatever they say; or per key 1001=Y,1009=Z.")
    ] = None,
    units: Annotated[
        str | None,
        typer.Option(help="m, cm, mm, in, ft: the files' unit, whatever they say; or 1001=m,1009=cm."),
    ] = None,
    texture_size: Annotated[int, typer.Option(help="Pixels, where a texture is baked.")] = 1024,
    stiffness: Annotated[
        float,
        typer.Option(help="Above 1 keeps the source's form, below 1 gives way; times its primvars:lim:stiffness."),
    ] = 1.0,
    landmarks: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.json",
            help='Places seen on the source and on a key, where the eye must help: {"1009": [[12, 340], '
            "[[0.1, 1.6, 0], 77]]}, each a point's number or x, y, z.",
        ),
    ] = None,
    server: ServerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Track the first keyframe's mesh through all others.

    The asset has the first keyframe's points, faces and texture coordinates at every frame; its points move, nothing
    else changes. The work is done by a server, which is started where none is running and left running: the next
    track begins at once, and what was computed before is not computed again.

    \b
    lim track 1001=a.obj 1009=b.ply 1017=c.glb -o asset.usd
    lim track 'scan.####.obj' --keys 1001-1033x8 --frames 1001-1033x0.5 -o asset.usd
    lim track sim.usd -o asset.usd --chunk 48 --chunks 1-10      on one machine, 11-20 on another
    """
    clock = Clock()
    with reporter(quiet=as_json) as report:
        with clock.of("read"):
            report.stage("reading keyframes")
            loaded = load_keyframes(keyframes, keys, prim, up_axis, units, landmarks)
            asked = shot_frames([k.time for k in loaded.keyframes], frames, hold)
            params = job_params(loaded, fps, method, velocities, texture_size)
            params |= {"quality": quality, "stiffness": checked_stiffness(stiffness)}
            source = said(textured(loaded.source, texture), loaded.notes)
            for note in loaded.notes:
                report.note(note)
        target = output(out, split, flat, chunk, chunks, report.note)
        shot = Shot(asked, fps, velocities, quality)
        tracker = Tracking(loaded.keyframes, source, shot, params, clock, report, loaded.notes)
        tracker.run(target, lambda: Connection(endpoint_of(server), client="lim track"))
    result = tracker.result(out)
    print(json.dumps(result, indent=1) if as_json else summary_text(result))


def job_params(loaded: Loaded, fps: float, method: str, velocities: bool, texture_size: int) -> dict[str, Any]:
    """What the server is told besides the meshes. Raises BadInput."""
    if method not in ("auto", "lim", "geometry"):
        raise BadInput(f"--method: '{method}' is none. Use auto, lim or geometry.")
    if not (math.isfinite(fps) and fps > 0):
        raise BadInput(f"--fps: {fps} is no rate. Use a number above zero.")
    if not 16 <= texture_size <= 16384:
        raise BadInput(f"--texture-size: {texture_size} pixels. Use 16 to 16384.")
    return {
        "keys": [[k.time, k.name] for k in loaded.keyframes],
        "fps": fps,
        "method": method,
        "velocities": velocities,
        "unwrap": loaded.source.mesh.st is None,
        "texture_size": texture_size,
    }


def checked_stiffness(stiffness: float) -> float:
    """What --stiffness says. Raises BadInput."""
    if not (math.isfinite(stiffness) and stiffness > 0):
        raise BadInput(f"--stiffness: {stiffness} is none. Use a number above zero; 1 is usual, 10 ten times stiffer.")
    return stiffness


def textured(source: Source, image: Path | None) -> Source:
    """The source with the image of --texture. Raises BadInput."""
    if image is None:
        return source
    if source.mesh.st is None:
        raise BadInput(
            f"--texture: the source has no texture coordinates for {image} to lie on. Unwrap it, or leave it."
        )
    from lim_cli.textures import read_texture

    return replace(source, texture=read_texture(image))


def said(source: Source, notes: list[str]) -> Source:
    """The source with an up axis and a unit, which an asset must have; noted where they are only assumed."""
    if source.up_axis is None:
        notes.append("no file says which axis is up: taken as Y. Say another with --up-axis.")
    if source.metres_per_unit is None:
        notes.append("no file says its unit: taken as metres. Say another with --units.")
    return replace(source, up_axis=source.up_axis or "Y", metres_per_unit=source.metres_per_unit or 1.0)
