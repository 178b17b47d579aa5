from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lim_server.models.weights import read_card
from tests.lim_server.training.runs import log, tensors

TWO = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "lim_server.training")


def started(folder: Path, *words: str) -> subprocess.Popen[str]:
    """Two processes of one training, on the CPU."""
    command = [sys.executable, *TWO, "smoke-lrm", "--out", str(folder), *words]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)


@pytest.mark.slow
def test_two_processes_stop_together_and_train_alike_each_time(tmp_path: Path) -> None:
    stopped, through = tmp_path / "stopped", tmp_path / "through"
    process = started(stopped, "--steps", "1000000", "--decay", "0")
    while not (stopped / "log.jsonl").exists():
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate()
    steps = read_card(stopped / "smoke-lrm.safetensors")[0].step
    assert process.returncode != 0 and steps >= 20, said

    process = started(through, "--steps", str(steps), "--decay", "0")
    said, _ = process.communicate()
    assert process.returncode == 0, said
    assert log(through)[0] == log(stopped)[0]
    mine, theirs = (tensors(folder / "smoke-lrm.safetensors") for folder in (stopped, through))
    assert mine.keys() == theirs.keys() and all((mine[name] == theirs[name]).all() for name in mine)
