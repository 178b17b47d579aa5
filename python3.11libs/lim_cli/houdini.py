"""`lim houdini`: the package in Houdini's preferences, and what may be wrong with it."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from lim_cli import houdini_package as package
from lim_cli.errors import BadInput
from lim_cli.server import JsonOption

app = typer.Typer(help="The nodes in Houdini 20.5 to 22.", no_args_is_help=True, rich_markup_mode=None)
PrefsOption = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="A Houdini preference folder, such as ~/houdini21.0. Without it, all there are."),
]
MISSING = 1


@app.command()
def install(prefs: PrefsOption = None) -> None:
    """Copy nodes and client into Houdini's preferences, with a package file. Nothing is put into Houdini's Python."""
    payload = package.Payload.here()
    for folder in _folders(prefs):
        print(f"installed {package.install(payload, folder)}")
    if not any((payload.assets / "vendor").glob("*-py*")):
        print("pyzmq and msgpack are not vendored yet: run 'lim houdini vendor', and install again")


@app.command()
def uninstall(prefs: PrefsOption = None) -> None:
    """Take the package out of Houdini's preferences."""
    for folder in _folders(prefs):
        print(f"{'removed from' if package.uninstall(folder) else 'was not in'} {folder}")


@app.command()
def vendor(
    platform: Annotated[
        list[str] | None, typer.Option(help=f"{', '.join(package.PLATFORMS)}. Without it, all of them.")
    ] = None,
    python: Annotated[list[str] | None, typer.Option(help="3.10, 3.11, 3.13; without it, all.")] = None,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Where to; without it, beside the nodes.")] = None,
) -> None:
    """Get pyzmq and msgpack as Houdini's Python needs them: never numpy, never OpenUSD. Done once per release."""
    for name in platform or ():
        if name not in package.PLATFORMS:
            raise BadInput(f"--platform: '{name}' is none. Use {', '.join(package.PLATFORMS)}.")
    for name in platform or package.PLATFORMS:
        for version in python or package.PYTHONS:
            target = package.vendor(out or package.Payload.here().assets / "vendor", name, version)
            size = sum(file.stat().st_size for file in target.rglob("*") if file.is_file())
            print(f"{target} {size / 1e6:.1f} MB")


@app.command()
def doctor(prefs: PrefsOption = None, as_json: JsonOption = False) -> None:
    """Say what is missing, and how to mend it. Exit code 0 when nothing is, 1 otherwise."""
    from lim_cli.houdini_doctor import examine

    findings = list(examine([prefs] if prefs else package.preference_folders()))
    if as_json:
        print(json.dumps([asdict(finding) for finding in findings], indent=1))
    else:
        for finding in findings:
            mark = "mend" if finding.mend else "ok"
            print(f"{mark:<5} {finding.what}: {finding.found}" + (f"\n      -> {finding.mend}" if finding.mend else ""))
    if any(finding.mend for finding in findings):
        raise typer.Exit(MISSING)


@app.command()
def check(libraries: Annotated[list[Path], typer.Argument(metavar="DIR...", help="Expanded .hda folders.")]) -> None:
    """Hold expanded digital assets, anybody's, against the format. Exit code 1 where a rule is broken."""
    from lim_houdini.hda.library import find_libraries
    from lim_houdini.hda.rules import check_library

    found = [path for folder in libraries for path in find_libraries(folder)]
    problems = [text for path in found for text in check_library(path)]
    print("\n".join([*problems, f"{len(found)} libraries, {len(problems)} problems"]))
    if problems or not found:
        raise typer.Exit(MISSING)


def _folders(prefs: Path | None) -> list[Path]:
    folders = [prefs] if prefs else package.preference_folders()
    if not folders:
        raise BadInput("no preference folder of Houdini 20.5 to 22 found. Start Houdini once, or name it with --prefs.")
    return folders
