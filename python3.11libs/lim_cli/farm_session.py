"""The server of one farm session: started before its first task, ended after its last."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from lim_client import launch
from lim_client.connection import Connection
from lim_client.errors import NotReachable, ServerError

RECORD = "lim-server.json"
READY = 240.0
END = 20.0


def start(session: Path) -> str:
    """Start a server for a session, wait until it takes jobs, and note in the session's folder where it is.

    Returns its endpoint. Its sockets are in a folder of their own: a session's is too deep for their names. Raises
    ServerError where it does not come up.
    """
    folder = Path(tempfile.mkdtemp(prefix="lim-"))
    (session / RECORD).write_text(json.dumps({"folder": str(folder)}))
    with _runtime(folder), Connection(client="lim farm", patience=30) as connection:
        deadline = time.monotonic() + READY
        while not connection.status()["ready"]:
            if time.monotonic() > deadline:
                raise NotReachable(f"the server does not get ready:\n{_log_end()}")
            time.sleep(0.1)
        return str(connection.endpoint)


def stop(session: Path) -> None:
    """End a session's server, by force where it does not listen, and remove its folder."""
    record = session / RECORD
    if not record.exists():
        return
    folder = Path(json.loads(record.read_text())["folder"])
    with _runtime(folder):
        if launch.running():
            _end()
        shutil.rmtree(folder, ignore_errors=True)
    record.unlink()


def _end() -> None:
    with contextlib.suppress(ServerError), Connection(client="lim farm", patience=5, start=False) as connection:
        connection.stop()
    deadline = time.monotonic() + END
    while launch.running() and time.monotonic() < deadline:
        time.sleep(0.05)
    if launch.running():
        pid = int((launch.runtime_dir() / "server.ipc.lock").read_text())
        os.kill(pid, signal.SIGKILL)


@contextlib.contextmanager
def _runtime(folder: Path) -> Iterator[None]:
    """The user's own server is the one in this folder meanwhile."""
    before = os.environ.get("LIM_RUNTIME_DIR")
    os.environ["LIM_RUNTIME_DIR"] = str(folder)
    try:
        yield
    finally:
        if before is None:
            del os.environ["LIM_RUNTIME_DIR"]
        else:
            os.environ["LIM_RUNTIME_DIR"] = before


def _log_end() -> str:
    return "\n".join(launch.log_path().read_text(errors="replace").splitlines()[-8:])
