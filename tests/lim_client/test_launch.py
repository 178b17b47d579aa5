"""This user's own server: found, started once, replaced when it is of another version."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lim_client import connection as connection_module
from lim_client import launch
from lim_client.connection import Connection
from lim_client.errors import NotReachable, ServerError
from tests.conftest import tube_job, wait_for


@pytest.fixture
def home(short_tmp: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for name in ("RUNTIME", "CACHE", "KEYS"):
        monkeypatch.setenv(f"LIM_{name}_DIR", str(short_tmp / name.lower()))
    yield short_tmp
    if (short_tmp / "runtime" / "server.ipc.lock").exists() and launch.running():
        os.kill(server_pid(), signal.SIGKILL)


def server_pid() -> int:
    return int((launch.runtime_dir() / "server.ipc.lock").read_text())


def test_the_folder_is_ones_own(home: Path) -> None:
    folder = launch.runtime_dir()
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(0o750)
    with pytest.raises(NotReachable, match="others can enter"):
        launch.runtime_dir()
    folder.chmod(0o700)
    assert launch.runtime_dir() == folder


def test_a_folder_that_cannot_be_made_is_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIM_RUNTIME_DIR", str(home / "none" / "deep"))
    with pytest.raises(NotReachable, match=r"none/deep.*LIM_RUNTIME_DIR"):
        launch.runtime_dir()


CLIENT = "from lim_client.connection import Connection\nwith Connection(client='test') as c: print(c.status()['pid'])"


def test_clients_that_find_no_server_start_one_between_them(home: Path) -> None:
    clients = [subprocess.Popen([sys.executable, "-c", CLIENT], stdout=subprocess.PIPE) for _ in range(5)]
    pids = {client.communicate(timeout=60)[0] for client in clients}
    assert pids == {f"{server_pid()}\n".encode()}
    assert launch.running()


def test_without_leave_none_is_started(home: Path) -> None:
    with pytest.raises(NotReachable, match="lim serve"):
        Connection(client="test", start=False)
    assert not launch.running()


def test_a_server_that_does_not_come_up_shows_its_log(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = home / "python"
    other.write_text("#!/bin/sh\necho 'No module named lim_server' >&2\nexit 1\n")
    other.chmod(0o755)
    monkeypatch.setenv("LIM_PYTHON", str(other))
    with pytest.raises(NotReachable, match=r"exit code 1(.|\n)*No module named lim_server"):
        Connection(client="test")


def test_another_python_does_not_get_the_path_of_this_one(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "torch.py").write_text("raise SystemExit('a torch that is not the server's')")
    monkeypatch.setenv("LIM_PYTHON", sys.executable)
    monkeypatch.setenv("PYTHONPATH", str(home))
    with Connection(client="test") as connection:
        wait_for(lambda: connection.status()["ready"], 60)


def test_a_server_of_another_version_is_replaced_when_idle(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Connection(client="test"):
        old = server_pid()
    monkeypatch.setattr(connection_module, "SOFTWARE", "99.0")
    with pytest.raises(ServerError, match="still of version"), Connection(client="test"):
        pass  # the new server is of the old version too: here only the client says that it is newer
    assert server_pid() != old


def test_a_server_of_another_version_that_is_busy_is_left_alone(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Connection(client="test") as connection:
        job = connection.submit("track", *tube_job(50_000, rings=200))
        wait_for(lambda: job.progress is not None, 60)
        old = server_pid()
        monkeypatch.setattr(connection_module, "SOFTWARE", "99.0")
        with pytest.raises(ServerError, match=r"version 0.* busy"):
            Connection(client="test")
        assert server_pid() == old
