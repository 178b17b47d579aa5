"""The command in a test's folder, and keyframes in there."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import tube
from tests.lim_cli.mesh_files import write_obj
from tests.lim_cli.tracking import COMMAND, Lim


@pytest.fixture
def lim(lim_home: dict[str, str], tmp_path: Path) -> Lim:
    """Runs the command in the test's folder."""

    def run(*words: str | Path, **more: Any) -> subprocess.CompletedProcess[str]:
        command = [*COMMAND, *map(str, words)]
        return subprocess.run(
            command, cwd=tmp_path, env=lim_home, capture_output=True, text=True, timeout=300, check=False, **more
        )

    return run


@pytest.fixture
def keys(tmp_path: Path) -> list[str]:
    """Three keyframes, each of another topology."""
    meshes = [tube(), tube(15, 12, bend=0.4, shift=0.1), tube(10, 14, bend=0.8)]
    for frame, mesh in zip((1001, 1005, 1009), meshes):
        write_obj(tmp_path / f"scan.{frame}.obj", mesh)
    return ["scan.1001.obj", "scan.1005.obj", "scan.1009.obj"]
