"""The Houdini package: what belongs to it, where Houdini looks for it, and the packages it brings along."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lim_houdini
from lim_cli.errors import BadInput

NAME = "lim"
LIBRARIES = ("lim_protocol", "lim_client", "lim_usd", "lim_cli", "lim_houdini")
ASSETS = ("houdini_otls", "usd_schemas", "vendor")
OLDEST, AFTER = (20, 5), (23, 0)
VENDORED = ("pyzmq>=26.4", "msgpack>=1.0.5")  # since 26.4 messages can be received into our own memory
PLATFORMS = {
    "linux-x86_64": ("manylinux2014_x86_64",),
    "windows-x86_64": ("win_amd64",),
    "darwin-arm64": ("macosx_11_0_arm64", "macosx_11_0_universal2", "macosx_10_15_universal2"),
    "darwin-x86_64": ("macosx_10_15_x86_64", "macosx_11_0_universal2", "macosx_10_15_universal2"),
}
PYTHONS = ("3.10", "3.11", "3.13")
"""Houdini 20.5 and 21 have 3.11 (and a variant with 3.10), Houdini 22 has 3.13."""


@dataclass(frozen=True)
class Payload:
    """Where this installation has what Houdini needs: the folder of our Python packages, and that of the assets."""

    libraries: Path
    assets: Path

    @classmethod
    def here(cls) -> Payload:
        """From a checkout, or from inside an installed package."""
        libraries = Path(lim_houdini.__file__).resolve().parents[1]
        inside = libraries / "lim_houdini" / "package"
        return cls(libraries, inside if inside.is_dir() else libraries.parent)

    def package_file(self) -> dict[str, Any]:
        """lim.json as it ships."""
        described: dict[str, Any] = json.loads((self.assets / "lim.json").read_text())
        return described


def preference_folders() -> list[Path]:
    """Every Houdini preference folder of this user, of versions that we serve; newest first."""
    given = os.environ.get("HOUDINI_USER_PREF_DIR", "")
    pattern = Path(given.replace("__HVER__", "*")) if "__HVER__" in given else _usual_place()
    found = [(version, path) for path in pattern.parent.glob(pattern.name) if (version := version_of(path))]
    return [path for version, path in sorted(found, reverse=True) if OLDEST <= version < AFTER]


def version_of(folder: Path) -> tuple[int, int] | None:
    """(20, 5) of houdini20.5."""
    match = re.search(r"(\d+)\.(\d+)$", folder.name)
    return (int(match[1]), int(match[2])) if match else None


def install(payload: Payload, prefs: Path) -> Path:
    """Copy the package into a preference folder; returns its package file. Raises BadInput."""
    if not prefs.is_dir():
        raise BadInput(f"{prefs}: no such folder. Start Houdini once, or name another with --prefs.")
    packages = prefs / "packages"
    packages.mkdir(exist_ok=True)
    fresh = packages / f"{NAME}.new"
    shutil.rmtree(fresh, ignore_errors=True)
    _copy(payload, fresh)
    shutil.rmtree(packages / NAME, ignore_errors=True)
    fresh.rename(packages / NAME)
    described = payload.package_file()
    described["env"][0] = {"LIM_HOUDINI": f"$HOUDINI_PACKAGE_PATH/{NAME}"}
    if importlib.util.find_spec("lim_server") is not None:
        described["env"].append({"LIM_PYTHON": sys.executable})
    file = packages / f"{NAME}.json"
    file.write_bytes((json.dumps(described, indent=4) + "\n").encode("ascii"))
    return file


def uninstall(prefs: Path) -> bool:
    """Remove the package from a preference folder. False where it was not there."""
    folder, file = prefs / "packages" / NAME, prefs / "packages" / f"{NAME}.json"
    there = folder.exists() or file.exists()
    file.unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    return there


def vendor(out: Path, platform: str, python: str) -> Path:
    """Put pyzmq and msgpack for a platform and a Python into their folder below `out`. Raises BadInput."""
    target = out / f"{platform}-py{python.replace('.', '')}"
    shutil.rmtree(target, ignore_errors=True)
    done = subprocess.run(pip_command(target, platform, python), capture_output=True, text=True, check=False)
    if done.returncode:
        raise BadInput(f"{target.name}: pip could not get it:\n{done.stderr[-800:]}")
    shutil.rmtree(target / "bin", ignore_errors=True)
    return target


def pip_command(target: Path, platform: str, python: str) -> list[str]:
    """The one command that gets them: wheels only, and nothing that they would draw in."""
    tags = [word for tag in PLATFORMS[platform] for word in ("--platform", tag)]
    fixed = ["--only-binary=:all:", "--no-deps", "--no-compile", "--quiet", "--disable-pip-version-check"]
    where = ["--target", str(target), "--implementation", "cp", "--python-version", python, *tags]
    return [sys.executable, "-m", "pip", "install", *fixed, *where, *VENDORED]


def _copy(payload: Payload, target: Path) -> None:
    leave = shutil.ignore_patterns("__pycache__", "package")
    for name in LIBRARIES:
        shutil.copytree(payload.libraries / name, target / "python3.11libs" / name, ignore=leave)
    for name in ASSETS:
        if (payload.assets / name).is_dir():
            shutil.copytree(payload.assets / name, target / name, ignore=leave)


def _usual_place() -> Path:
    home = Path.home()
    if sys.platform == "darwin":
        return home / "Library" / "Preferences" / "houdini" / "*"
    return (home / "Documents" if sys.platform == "win32" else home) / "houdini*"
