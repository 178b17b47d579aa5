"""What stands between a user and a LIM node that cooks: each finding with how to mend it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lim_cli.houdini_package import LIBRARIES, NAME, Payload, version_of
from lim_client import launch
from lim_client.endpoint import Endpoint
from lim_client.errors import ServerError
from lim_houdini.hda.library import find_libraries
from lim_houdini.hda.rules import check_library

VENDOR = "lim houdini vendor, then lim houdini install"
INSTALL = "lim houdini install"
PYTHON_OF = {(20, 5): "py311", (21, 0): "py311", (22, 0): "py313"}


@dataclass(frozen=True)
class Finding:
    """Something looked at; `mend` is empty where it is as it should be."""

    what: str
    found: str
    mend: str = ""


def examine(prefs: list[Path]) -> Iterator[Finding]:
    """Look at preference folders, assets, Python and server."""
    if not prefs:
        yield Finding("Houdini", "no preference folder of Houdini 20.5 to 22", "start Houdini once, or name --prefs")
    for folder in prefs:
        yield from _package(folder)
    yield from _assets(Payload.here())
    yield from _python()
    yield _server()
    yield _hython()


def _package(prefs: Path) -> Iterator[Finding]:
    file = prefs / "packages" / f"{NAME}.json"
    if not file.exists():
        yield Finding(str(prefs), "the package is not installed", f"{INSTALL} --prefs {prefs}")
        return
    data = file.read_bytes()
    if data.startswith(b"\xef\xbb\xbf"):
        yield Finding(str(file), "begins with a byte order mark: Houdini skips such files without a word", INSTALL)
    try:
        described = json.loads(data.decode("utf-8-sig"))
    except ValueError as error:
        yield Finding(str(file), f"is no JSON: {error}", INSTALL)
        return
    folder = prefs / "packages" / NAME
    lost = [name for name in LIBRARIES if not (folder / "python3.11libs" / name).is_dir()]
    if lost or not list(find_libraries(folder)):
        yield Finding(str(folder), f"lacks {', '.join(lost) or 'the digital assets'}", INSTALL)
        return
    yield Finding(str(prefs), f"package {described.get('version')} is installed")
    yield from _vendored(prefs, folder)


def _vendored(prefs: Path, folder: Path) -> Iterator[Finding]:
    version = version_of(prefs)
    there = sorted(path.name for path in (folder / "vendor").glob("*-py*"))
    wanted = PYTHON_OF.get(version) if version else None
    fitting = [name for name in there if wanted is None or name.endswith(wanted)]
    if fitting:
        yield Finding("pyzmq, msgpack", ", ".join(fitting))
    else:
        found = f"none vendored for {prefs.name}" + (f" (there are {', '.join(there)})" if there else "")
        yield Finding("pyzmq, msgpack", found, VENDOR)


def _assets(payload: Payload) -> Iterator[Finding]:
    libraries = list(find_libraries(payload.assets / "houdini_otls"))
    problems = [text for path in libraries for text in check_library(path, strict=True)]
    for text in problems:
        yield Finding("digital assets", text, "put the file back as it shipped")
    if not problems:
        yield Finding("digital assets", f"{len(libraries)} keep every rule of the format")


def _python() -> Iterator[Finding]:
    python = os.environ.get("LIM_PYTHON") or sys.executable
    show = "import lim_server, torch; print(torch.__version__, torch.cuda.is_available())"
    try:
        done = subprocess.run([python, "-c", show], capture_output=True, text=True, check=False)
        why = "" if done.returncode == 0 else done.stderr.strip().splitlines()[-1]
    except OSError as error:
        why = str(error.strerror)
    if why:
        mend = "pip install 'lim[server]' into some Python, and set LIM_PYTHON to it"
        yield Finding("server's Python", f"{python}: {why}", mend)
        return
    torch, gpu = done.stdout.split()
    yield Finding("server's Python", f"{python}, torch {torch}, {'a GPU' if gpu == 'True' else 'no GPU'}")


def _server() -> Finding:
    named = os.environ.get("LIM_SERVER", "")
    if named:
        try:
            Endpoint.parse(named)
        except ValueError as error:
            return Finding("LIM_SERVER", str(error), "set it to an endpoint, or unset it")
        return Finding("server", f"{named} (LIM_SERVER); 'lim status' asks it")
    try:
        running = launch.running()
    except ServerError as error:
        return Finding("server", str(error), "see the message")
    if running:
        return Finding("server", f"yours is running at {launch.own_endpoint()}")
    return Finding("server", "yours is not running", "lim serve, or press Start Server on a LIM Track node")


def _hython() -> Finding:
    hython = shutil.which("hython") or shutil.which("hython", path=str(Path(os.environ.get("HFS", "/none")) / "bin"))
    if hython is None:
        return Finding("hython", "not on the path: only batch work needs it")
    return Finding("hython", hython)
