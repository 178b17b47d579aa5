"""`lim farm`: a track as a job for many machines."""

from __future__ import annotations

import math
import re
import shlex
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer

from lim_cli import farm_session
from lim_cli.errors import BadInput
from lim_cli.farm_job import CLIPS, HYTHON, LIM, OUT, SCENE, Plan, key_words, values, write_bundle
from lim_cli.farm_queues import opencue, tractor
from lim_cli.frames import parse_frames, shot_frames
from lim_cli.words import resolve

app = typer.Typer(help="A track as a job for many machines.", no_args_is_help=True, rich_markup_mode=None)
FORMATS = ("openjd", "tractor", "opencue")


@dataclass(frozen=True)
class Asked:
    """What the options say of the shot."""

    out: Path
    frames: str | None
    keys: str | None
    chunk: int
    hold: bool
    velocities: bool


@app.command()
def bundle(
    target: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to write the job to.")],
    keyframes: Annotated[
        list[str] | None, typer.Argument(metavar="KEYFRAME...", help="As for lim track; none with --hip.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="OUT.usd", help="The asset to write.")] = Path(
        "asset.usd"
    ),
    hip: Annotated[
        Path | None, typer.Option(metavar="SHOT.hip", help="A Houdini scene, in place of keyframes.")
    ] = None,
    node: Annotated[str | None, typer.Option(help="With --hip: the LIM Track SOP, such as /obj/geo1/track1.")] = None,
    frames: Annotated[str | None, typer.Option(help="As for lim track; needed with --hip.")] = None,
    keys: Annotated[str | None, typer.Option(help="As for lim track.")] = None,
    chunk: Annotated[int, typer.Option(metavar="N", help="Frames per clip file.")] = 24,
    together: Annotated[int, typer.Option(metavar="N", help="Clips per task.")] = 1,
    hold: Annotated[bool, typer.Option("--hold", help="As for lim track.")] = False,
    velocities: Annotated[bool, typer.Option("--velocities", help="As for lim track.")] = False,
    option: Annotated[
        list[str] | None,
        typer.Option(metavar="WORDS", help="More options for lim track, such as '--fps 25'. May be given again."),
    ] = None,
    also: Annotated[
        list[Path] | None,
        typer.Option("--input", help="A file that the scene reads, to travel with it. May be given again."),
    ] = None,
    gpus: Annotated[int, typer.Option(help="GPUs a machine must have; 0 takes any machine.")] = 1,
    timeout: Annotated[int, typer.Option(help="Seconds that a task may take.")] = 6 * 3600,
    form: Annotated[str, typer.Option("--format", help=", ".join(FORMATS))] = "openjd",
) -> None:
    """Write a job that tracks a shot on a farm: a server per session, clips in chunks, then the assembly.

    The openjd bundle runs on AWS Deadline Cloud as it is (deadline bundle submit DIR), and here with `openjd run`.
    What a machine has finished is not written again when a task is run anew.

    \b
    lim farm bundle job 'scan.####.obj' --keys 1001-1049x8 --chunk 24 -o /shots/sh010/asset.usd
    lim farm bundle job --hip shot.hip --node /obj/geo1/track1 --frames 1001-1048 -o /shots/sh010/asset.usd
    """
    _check(form, chunk, together, keyframes, hip)
    asked = Asked(out.absolute(), frames, keys, chunk, hold, velocities)
    more = [word for words in option or () for word in shlex.split(words)]
    plan = _scene(asked, hip, node, more) if hip else _files(asked, keyframes or [], more)
    files = (*plan.files, *(path.absolute() for path in also or ()))
    plan = replace(plan, together=together, gpus=gpus, timeout=timeout, files=files)
    for path in _write(plan, target, form):
        print(f"wrote {path}")
    if form == "openjd":
        words = " ".join(f"-p {name}={shlex.quote(value)}" for name, value in values(plan).items())
        print(f"submit it:  deadline bundle submit {target}")
        print(f"or here:    openjd run {target / 'template.json'} --step Assemble --run-dependencies {words}")


@app.command()
def start(session: Annotated[Path, typer.Argument(metavar="DIR", help="The session's folder.")]) -> None:
    """Start the server of a farm session; its template does this."""
    print(f"openjd_env: LIM_SERVER={farm_session.start(session)}")
    print("openjd_env: LIM_PROGRESS=openjd")
    print("openjd_status: the server is ready")


@app.command()
def stop(session: Annotated[Path, typer.Argument(metavar="DIR", help="The session's folder.")]) -> None:
    """End the server of a farm session; its template does this."""
    farm_session.stop(session)


def _check(form: str, chunk: int, together: int, keyframes: list[str] | None, hip: Path | None) -> None:
    if form not in FORMATS:
        raise BadInput(f"--format: '{form}' is none. Use {', '.join(FORMATS)}.")
    if chunk < 1 or together < 1:
        raise BadInput(f"--chunk {chunk}, --together {together}: use 1 or more of each.")
    if bool(keyframes) == bool(hip):
        raise BadInput("give either keyframes, as for lim track, or --hip with --node.")


def _files(asked: Asked, words: list[str], more: list[str]) -> Plan:
    """The shot from files, without Houdini."""
    found, _ = resolve(words, asked.keys)
    named, folder = key_words(found)
    frames = shot_frames([key.time for key in found], asked.frames, asked.hold)
    files = tuple(dict.fromkeys(key.path.absolute() for key in found))
    return _plan(asked, (LIM, "track", *named), len(frames), files, folder, more)


def _scene(asked: Asked, hip: Path, node: str | None, more: list[str]) -> Plan:
    """The shot from a scene, by hython."""
    if not node or not asked.frames:
        raise BadInput("--hip: goes with --node /obj/geo1/track1 and --frames 1001-1048.")
    if not hip.is_file():
        raise BadInput(f"{hip}: no such file. Check the path.")
    words = (HYTHON, "-m", "lim_houdini.batch", SCENE, "--node", node)
    count = len(parse_frames(asked.frames))
    return _plan(asked, words, count, (hip.absolute(),), hip.absolute().parent, more)


def _plan(
    asked: Asked, words: tuple[str, ...], frames: int, files: tuple[Path, ...], folder: Path, more: list[str]
) -> Plan:
    asset = f"{OUT}/{asked.out.name}"
    given = [word for word, there in (("--hold", asked.hold), ("--velocities", asked.velocities)) if there]
    span = ["--frames", asked.frames] if asked.frames else []
    track = (*words, "-o", asset, *span, *given, *more, "--chunk", str(asked.chunk), "--chunks", CLIPS)
    name = re.sub(r"[^A-Za-z0-9._ -]", "_", f"LIM {asked.out.stem}")
    clips = math.ceil(frames / asked.chunk)
    return Plan(name, track, (LIM, "assemble", asset), clips, 1, files, folder, asked.out.parent, 1, 3600)


def _write(plan: Plan, target: Path, form: str) -> list[Path]:
    if form == "openjd":
        return write_bundle(plan, target)
    target.mkdir(parents=True, exist_ok=True)
    path = target / ("job.alf" if form == "tractor" else "submit_opencue.py")
    path.write_text(tractor(plan) if form == "tractor" else opencue(plan))
    return [path]
