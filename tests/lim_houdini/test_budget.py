"""What a node drags into Houdini's process: of other packages only pyzmq and msgpack, and numpy, which is there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SHOW = """
import sys
from lim_houdini import batch
from lim_houdini.nodes import asset, keys, track, usd_out
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""
ALLOWED = {"numpy", "msgpack", "zmq", "hou", "hou_geometry", "hou_nodes", "hou_scene", "lim", "cython_runtime"}


def test_without_pyzmq_it_is_said_what_to_do() -> None:
    libraries = str(Path(__file__).parents[2] / "python3.11libs")
    command = [sys.executable, "-S", "-c", "import lim_houdini.nodes.track"]
    done = subprocess.run(command, env={"PYTHONPATH": libraries}, capture_output=True, text=True, check=False)
    said = done.stderr.strip().splitlines()[-1]
    assert said.startswith("ImportError: LIM: no zmq and msgpack for this Python (looked for linux-")
    assert "lim houdini vendor" in said


def test_a_node_drags_in_only_its_budget() -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).with_name("stand_in"))}
    done = subprocess.run([sys.executable, "-c", SHOW], env=environment, capture_output=True, text=True, check=True)
    foreign = set(done.stdout.split()) - sys.stdlib_module_names - ALLOWED
    assert {name for name in foreign if not name.startswith(("lim_", "_", "site", "user"))} == set()
