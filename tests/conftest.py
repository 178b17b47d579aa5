"""Real servers for the tests: each in folders of its own, none left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest

from lim_client.connection import Connection
from lim_client.endpoint import Endpoint
from lim_protocol import records
from lim_protocol.types import Mesh


class Server:
    """A server process in folders of its own. `start` may be called again after `kill`."""

    def __init__(self, folder: Path, options: list[str] | None = None, endpoint: str | None = None):
        self.folder, self.options = folder, options or []
        self.endpoint = Endpoint.parse(endpoint or f"ipc://{folder}/s.ipc")
        self.cache, self.keys = folder / "cache", folder / "keys"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        places = ["--folder", self.folder, "--cache", self.cache, "--keys", self.keys]
        command = [sys.executable, "-m", "lim_server.serve", "--bind", self.endpoint.address, *places, *self.options]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen([str(word) for word in command], stdout=log, stderr=log)

    def send(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self, number: int = signal.SIGKILL) -> None:
        assert self.process is not None
        self.process.send_signal(number)
        self.process.wait(10)

    def connect(self, patience: float = 60.0) -> Connection:
        return Connection(self.endpoint, client="test", patience=patience)

    def log(self) -> str:
        return (self.folder / "log").read_text()

    def worker_pid(self) -> int:
        with self.connect() as connection:
            wait_for(lambda: connection.status()["ready"], 60)
            return int(connection.status()["workers"][0]["pid"])


@pytest.fixture
def short_tmp() -> Iterator[Path]:
    """A folder whose sockets' paths are short enough."""
    with TemporaryDirectory(prefix="lim") as folder:
        yield Path(folder)


@pytest.fixture
def new_server(short_tmp: Path) -> Iterator[Callable[..., Server]]:
    """Starts servers that end with the test."""
    servers: list[Server] = []

    def start(*options: str, endpoint: str | None = None) -> Server:
        folder = short_tmp / f"s{len(servers)}"
        folder.mkdir(mode=0o700)
        servers.append(Server(folder, list(options), endpoint))
        servers[-1].start()
        return servers[-1]

    yield start
    for server in servers:
        if server.process is not None and server.process.poll() is None:
            server.process.send_signal(signal.SIGCONT)
            server.process.kill()
            server.process.wait()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """One server for all tests of a module that do it no harm."""
    with TemporaryDirectory(prefix="lim") as folder:
        one = Server(Path(folder))
        one.start()
        yield one
        one.kill(signal.SIGTERM)


@pytest.fixture(scope="session")
def lim_home() -> Iterator[dict[str, str]]:
    """An environment in which `lim` has a runtime folder, a cache and a server of its own, stopped at the end."""
    with TemporaryDirectory(prefix="lim") as folder:
        places = {
            name: f"{folder}/{name[4:7].lower()}" for name in ("LIM_RUNTIME_DIR", "LIM_CACHE_DIR", "LIM_KEYS_DIR")
        }
        environment = {**os.environ, **places}
        yield environment
        subprocess.run([sys.executable, "-m", "lim_cli", "stop"], env=environment, capture_output=True, check=False)


def wait_for(true: Callable[[], bool], seconds: float = 20.0) -> None:
    """Until it is; fails the test when it is not in time."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def tube(rings: int = 12, around: int = 10, bend: float = 0.0, shift: float = 0.0) -> Mesh:
    """A closed, tapering tube of quads and two caps, bent by `bend` radians over its length of 2, and moved up."""
    t = np.linspace(0, 2 * np.pi, around, endpoint=False)
    s = np.linspace(0, 2, rings)
    radius = (0.35 - 0.1 * s)[:, None]
    across, depth, along = radius * np.cos(t), radius * 1.3 * np.sin(t), np.broadcast_to(s[:, None], (rings, around))
    angle = bend * s[:, None] / 2
    spine = np.stack([np.cumsum(np.sin(angle), 0) * s[1], np.cumsum(np.cos(angle), 0) * s[1]], -1)
    x = spine[..., 0] + across * np.cos(angle)
    z = spine[..., 1] - across * np.sin(angle) + shift
    points = np.stack([x, depth, z], -1).reshape(-1, 3).astype(np.float32)
    ring = np.arange(rings * around).reshape(rings, around)
    next_ = np.roll(ring, -1, axis=1)
    quads = np.stack([ring[:-1], next_[:-1], next_[1:], ring[1:]], -1).reshape(-1)
    caps = [ring[0][::-1], ring[-1]]
    counts = np.concatenate([np.full((rings - 1) * around, 4), [around, around]]).astype(np.int32)
    colors = np.stack([along * 127, 127 + 120 * np.cos(t) * np.ones_like(along), 255 - along * 100], -1)
    return Mesh(
        points, counts, np.concatenate([quads, *caps]).astype(np.int32), colors=colors.reshape(-1, 3).astype(np.uint8)
    )


def tube_job(frames: int, rings: int = 12) -> tuple[dict[str, object], list[bytearray], np.ndarray]:
    """Params, inputs and times of a small track: three keys, each of another topology."""
    meshes = [tube(rings), tube(rings + 3, 12, bend=0.5, shift=0.1), tube(rings - 2, 14, bend=1.0)]
    params = {"keys": [[1.0, "a"], [9.0, "b"], [17.0, "c"]], "fps": 24.0}
    return params, [records.pack_mesh(mesh) for mesh in meshes], np.linspace(1, 17, frames)
