"""`lim train` and `lim eval` pass everything on, and say what a Python without the server's packages lacks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = str(Path(sys.executable).with_name("lim"))


def lim(*words: str, python: str = "") -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "LIM_PYTHON": python}
    return subprocess.run([COMMAND, *words], capture_output=True, text=True, check=False, env=environment)


@pytest.mark.parametrize(("command", "option"), [("train", "--minutes"), ("eval", "--lim-nocausal")])
def test_help_is_the_process_s_own(command: str, option: str) -> None:
    done = lim(command, "--help")
    assert done.returncode == 0, done.stderr
    assert option in done.stdout and f"usage: lim {command}" in done.stdout


def test_words_and_exit_code_come_through() -> None:
    done = lim("eval", "--lrm", "nowhere.safetensors", "--out", "out")
    assert done.returncode == 2
    assert "--lrm: nowhere.safetensors: no such file" in done.stderr


def test_a_python_without_the_server(tmp_path: Path) -> None:
    bare = tmp_path / "python"
    bare.write_text(f'#!/bin/sh\nexec "{sys._base_executable}" -I -S "$@"\n')  # type: ignore[attr-defined]
    bare.chmod(0o755)
    for command in ("train", "eval"):
        done = lim(command, python=str(bare))
        assert done.returncode == 2
        assert f"lim {command}: {bare} has no torch" in done.stderr
        assert "pip install 'lim[server]'" in done.stderr
    done = lim("train", python=str(tmp_path / "none"))
    assert done.returncode == 2 and "LIM_PYTHON" in done.stderr
