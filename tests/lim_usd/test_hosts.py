"""Other versions of OpenUSD, those of the hosts we serve: they read what we write here, and write the same themselves.

Name their interpreters in LIM_USD_PYTHONS (each with usd-core, numpy, msgpack and pillow); without, this one is asked.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from judges import issues

HERE = Path(__file__).parent
PYTHONS = os.environ.get("LIM_USD_PYTHONS", sys.executable).split()


@pytest.mark.parametrize("python", PYTHONS)
def test_all_modes_are_read_and_written(tmp_path: Path, python: str):
    words = [HERE / "host_process.py", tmp_path]
    subprocess.run([sys.executable, *words, "write"], check=True)
    environment = {**os.environ, "PXR_PLUGINPATH_NAME": str(HERE.parents[1] / "usd_schemas")}
    result = subprocess.run([python, *words], env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    told = json.loads(result.stdout.splitlines()[-1])
    assert len(told["issues"]) == 14
    assert {name: found for name, found in told["issues"].items() if found} == {}
    assert {name: found for name, found in told["findings"].items() if found} == {}
    assert told["schema"]
    sums = {name.removeprefix("written "): value for name, value in told["points"].items()}
    for name, value in told["points"].items():
        assert value == sums[name.removeprefix("written ")], "both write the same"
    for path in (tmp_path / "written").glob("*.usd*"):
        assert issues(path) == []
