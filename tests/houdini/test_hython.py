"""The checks that need a real Houdini; skipped where there is no hython."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HYTHON = shutil.which("hython") or shutil.which("hython", path=f"{os.environ.get('HFS', '/none')}/bin")


@pytest.mark.skipif(HYTHON is None, reason="no hython here")
def test_everything_that_only_houdini_can_tell(tmp_path: Path, lim_home: dict[str, str]) -> None:
    report = tmp_path / "report.json"
    command = [str(HYTHON), str(Path(__file__).with_name("check.py")), str(report)]
    subprocess.run(command, env={**lim_home, "LIM_PYTHON": sys.executable}, check=False, timeout=900)
    checks = json.loads(report.read_text())["checks"]
    assert {name: result["told"] for name, result in checks.items() if not result["ok"]} == {}
