"""pyzmq and msgpack as `lim houdini vendor` lays them beside the package, one folder per platform and Python."""

from __future__ import annotations

import importlib.util
import platform
import sys
from pathlib import Path

WANTED = ("zmq", "msgpack")


def vendor_name(system: str, machine: str, python: tuple[int, int]) -> str:
    """The folder for a platform and a Python, such as linux-x86_64-py311."""
    known = {"amd64": "x86_64", "aarch64": "arm64"}
    return f"{system.lower()}-{known.get(machine.lower(), machine.lower())}-py{python[0]}{python[1]}"


def vendor_folder() -> Path:
    """Where the packages for this process would be."""
    name = vendor_name(platform.system(), platform.machine(), sys.version_info[:2])
    return Path(__file__).resolve().parents[2] / "vendor" / name


def find_vendored() -> None:
    """Have the vendored packages found, after everything else: what Houdini or the user has of them comes first.

    Raises ImportError, saying what to do, where they are nowhere.
    """
    folder = vendor_folder()
    if missing() and str(folder) not in sys.path:
        sys.path.append(str(folder))
    if missing():
        raise ImportError(
            f"LIM: no {' and '.join(missing())} for this Python (looked for {folder.name}). In a terminal: "
            "lim houdini vendor, then lim houdini install; then start Houdini again."
        )


def missing() -> list[str]:
    """Which of the packages cannot be found."""
    return [name for name in WANTED if importlib.util.find_spec(name) is None]
