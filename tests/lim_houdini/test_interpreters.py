"""The light side under the Pythons that Houdinis have: a cook there is a cook here, bit for bit.

`make .venv-light-3.10 .venv-light-3.13` makes the interpreters: the oldest with numpy 1.24, the newest with the newest.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

import hou
import pytest

from tests.conftest import Server
from tests.lim_houdini.conftest import positions

ROOT = Path(__file__).parents[2]
PYTHONS = ("3.10", "3.13")
COOK = """
import hashlib, sys
import hou, numpy
hou.hipFile.load(sys.argv[1])
node = hou.node("/obj/geo1/track1")
for frame in (1.0, 4.5, 9.0):
    hou.setFrame(frame)
    geometry = node.geometry()
    arrays = [geometry.pointFloatAttribValuesAsString(name) for name in ("P", "N", "v")]
    print(hashlib.sha256(b"".join(arrays)).hexdigest())
import lim_houdini.batch, lim_houdini.nodes.keys, lim_houdini.nodes.usd_out
"""


@pytest.mark.parametrize("version", PYTHONS)
def test_a_cook_is_the_same_in_every_python(version: str, track: hou.SopNode, server: Server, tmp_path: Path) -> None:
    python = ROOT / f".venv-light-{version}" / "bin" / "python"
    if not python.exists():
        pytest.skip(f"make .venv-light-{version}")
    here = []
    for frame in (1.0, 4.5, 9.0):
        hou.setFrame(frame)
        arrays = [positions(track.geometry(), name).tobytes() for name in ("P", "N", "v")]
        here.append(hashlib.sha256(b"".join(arrays)).hexdigest())
    hou.hipFile.save(str(tmp_path / "shot.hip"))
    path = f"{ROOT / 'python3.11libs'}:{Path(__file__).with_name('stand_in')}"
    command = [str(python), "-c", COOK, str(tmp_path / "shot.hip")]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == here
