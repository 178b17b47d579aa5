"""`lim verify`: whether a USD asset is what a pipeline takes it for."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lim_cli.errors import BadInput
from lim_cli.server import JsonOption

if TYPE_CHECKING:
    from lim_usd.verify.run import Report

FOUND = 1
LINE_EVERY = 5.0


def verify(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A USD file of any flavour, ours or not.")],
    html: Annotated[
        Path | None, typer.Option(metavar="PAGE.html", help="Also write a page with plots over time and pictures.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Check every frame of every mesh of a USD asset, whoever wrote it.

    Looks for what makes shots fail and validators let pass: points that are not finite, jumps, frozen and missing
    frames, surfaces and normals inside out, texture coordinates and shaders that do not meet, extents and velocities
    that are wrong, files that are gone. Then tells of each mesh whether its topology is consistent.

    Exit code 0 when nothing is wrong, 1 when something is, 2 when the file cannot be read.
    """
    from lim_usd.source import BadSource
    from lim_usd.verify.run import verify as check

    started = time.perf_counter()
    try:
        report = check(file, _Lines() if not as_json else lambda *_: None)
    except BadSource as error:
        raise BadInput(str(error)) from error
    seconds = time.perf_counter() - started
    if html is not None:
        from lim_cli.verify_page import page

        _write(html, page(report))
    print(json.dumps(_told(report, seconds), indent=1) if as_json else _text(report, seconds))
    if report.findings:
        raise typer.Exit(FOUND)


class _Lines:
    """A line on stderr now and then, for files that take long."""

    def __init__(self) -> None:
        self.at = time.monotonic()

    def __call__(self, prim: str, done: int, total: int) -> None:
        if time.monotonic() - self.at > LINE_EVERY:
            self.at = time.monotonic()
            print(f"lim: {prim}: {done} of {total} frames", file=sys.stderr, flush=True)


def _text(report: Report, seconds: float) -> str:
    count = len(report.findings)
    verdict = "nothing is wrong" if not count else f"{count} thing{'s are' if count > 1 else ' is'} wrong"
    return "\n".join(
        [
            *map(str, report.findings),
            *(["", "topology"] if report.findings else ["topology"]),
            *(f"  {each}" for each in report.topology),
            "",
            f"{report.path}: {verdict}; {report.frames} frames of {len(report.topology)} meshes in {seconds:.2f} s",
        ]
    )


def _told(report: Report, seconds: float) -> dict[str, Any]:
    return {
        "file": str(report.path),
        "clean": not report.findings,
        "findings": [asdict(each) for each in report.findings],
        "topology": [asdict(each) for each in report.topology],
        "frames": report.frames,
        "seconds": round(seconds, 3),
    }


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text)
    except OSError as error:
        raise BadInput(f"--html: {path} cannot be written ({error.strerror}). Choose another place.") from error
