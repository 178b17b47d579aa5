"""How fast frames come from the server and blobs go to it, beside a bare socket moving the same bytes.

    python -m benchmarks.streaming [--frames 240] [--points 100000] [--rounds 7]

Each round measures the bare socket and the server one after the other, so a ratio compares neighbours in time. The
server is a real one; its job was finished before, so that what is timed is the stream and not the tracking.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.page import write_page
from lim_client.connection import Connection
from lim_client.endpoint import Endpoint
from lim_protocol import messages as m
from lim_protocol import records
from lim_protocol.memory import keep_freed_memory
from lim_protocol.types import Frame, Mesh, Surface
from lim_server.serve.jobs import record_name, run_key, summary_name
from lim_server.serve.provenance import code_digest
from lim_server.serve.store import Store

UPLOAD = 64 << 20
HELD = 8
"""Frames a client holds at once: as many as its credit."""


def main() -> None:
    options = _options()
    keep_freed_memory()  # as the command does
    rows = []
    with tempfile.TemporaryDirectory(prefix="lim") as folder:
        record, job = finished_job(Path(folder), options.frames, options.points)
        os.sync()
        for kind in ("tcp", "ipc"):
            with server(Path(folder), kind) as endpoint:
                rows += [stream_row(kind, endpoint, job, len(record), kept, options) for kept in (options.frames, HELD)]
                rows.append(upload_row(kind, endpoint, Store(Path(folder) / "cache", 1 << 40), options))
    head = "| what | MB | bare socket, GB/s | LIM, GB/s | LIM of bare (median, range) |\n|---|---|---|---|---|"
    words = f"--frames {options.frames} --points {options.points} --rounds {options.rounds}"
    size = len(record) / 1e6
    text = (
        f"A stream of {options.frames} frames of {options.points} points with normals ({size:.1f} MB each), and an "
        f"upload of 64 MiB. Medians of {options.rounds} rounds. Nothing waits for the disk: the frames are in its "
        f"cache, and the blobs are removed before they reach it.\n\n" + "\n".join([head, *rows])
    )
    write_page("streaming", "Streaming", text, f"python -m benchmarks.streaming {words}")


def finished_job(folder: Path, frames: int, points: int) -> tuple[bytes, dict[str, Any]]:
    """Put a finished job's records where the server will look for them. Returns one record and how to ask for it."""
    mesh = Mesh(np.zeros((3, 3), np.float32), np.array([3], np.int32), np.arange(3, dtype=np.int32))
    inputs = [records.pack_mesh(mesh)] * 2
    job = {"op": "track", "params": {"keys": [[0.0, "a"], [1.0, "b"]]}, "times": np.linspace(0, 1, frames)}
    submit = m.Submit(bytes(16), job["op"], job["params"], [records.digest(i) for i in inputs], job["times"])
    key, store = run_key(submit, code_digest()), Store(folder / "cache", 1 << 40)
    rng = np.random.default_rng(1)
    store.put(record_name(key, 0), records.pack_surface(Surface()))
    for i, at in enumerate(job["times"]):
        record = records.pack_frame(Frame(at, *rng.random((2, points, 3), np.float32)))
        store.put(record_name(key, i + 1), record)
    store.put(summary_name(key), b"{}")
    return bytes(record), {**job, "inputs": inputs}


@contextmanager
def server(folder: Path, kind: str) -> Iterator[Endpoint]:
    """A server of our own."""
    endpoint = Endpoint(f"ipc://{folder}/s.ipc" if kind == "ipc" else f"tcp://127.0.0.1:{free_port()}")
    places = ["--folder", folder, "--cache", folder / "cache", "--keys", folder / "keys"]
    command = [sys.executable, "-m", "lim_server.serve", "--bind", endpoint.address, *map(str, places)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        with Connection(endpoint, client="benchmark") as connection:
            while not connection.status()["ready"]:
                time.sleep(0.1)
        yield endpoint
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def stream_row(
    kind: str, endpoint: Endpoint, job: dict[str, Any], size: int, kept: int, options: argparse.Namespace
) -> str:
    """The bare socket and the server, in turn; the client keeps the last so many frames."""

    def lim() -> float:
        start = time.perf_counter()
        held: deque[memoryview] = deque(maxlen=kept)
        for each in connection.submit(**job).records():
            held.append(each)
        return time.perf_counter() - start

    words = "every frame kept" if kept == options.frames else f"the last {kept} kept"
    with Connection(endpoint, client="benchmark") as connection:
        floor = partial(bare, kind, size, options.frames, kept)
        return row(f"stream, {kind}, {words}", options.frames * size, floor, lim, options.rounds)


def upload_row(kind: str, endpoint: Endpoint, store: Store, options: argparse.Namespace) -> str:
    """From the first byte sent until the server has acknowledged the last; hashing on either side is not part of it."""

    def lim() -> float:
        blob = records.pack({"content": np.frombuffer(os.urandom(UPLOAD), np.uint8)})
        job = connection.submit("track", {}, [blob], np.zeros(1))
        while job.state != "sending keyframes":
            time.sleep(0.0002)
        start = time.perf_counter()
        while job.to_upload:
            time.sleep(0.0002)
        took = time.perf_counter() - start
        store.remove(records.digest(blob))
        return took

    with Connection(endpoint, client="benchmark") as connection:
        return row(f"upload, {kind}", UPLOAD, partial(bare, kind, UPLOAD, 1, 1), lim, options.rounds)


def row(name: str, size: int, floor: Callable[[], float], lim: Callable[[], float], rounds: int) -> str:
    """A row of the table; one round more than counted, for warmth."""
    pairs = [(floor(), lim()) for _ in range(rounds + 1)][1:]
    ratios = [a / b for a, b in pairs]
    bare_speed, lim_speed = (size / statistics.median(column) / 1e9 for column in zip(*pairs))
    spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
    return f"| {name} | {size / 1e6:.0f} | {bare_speed:.2f} | {lim_speed:.2f} | {spread} |"


def bare(kind: str, size: int, count: int, kept: int) -> float:
    """Another process sends `count` different messages it has in memory; this one keeps the last so many.

    Where that is fewer than there are, their memory is used again, and was touched before.
    """
    family = socket.AF_INET if kind == "tcp" else socket.AF_UNIX
    with tempfile.TemporaryDirectory() as folder, socket.socket(family) as listener:
        address: Any = ("127.0.0.1", 0) if kind == "tcp" else f"{folder}/s"
        listener.bind(address)
        listener.listen(1)
        pid = os.fork()
        if pid == 0:
            send_bare(family, listener.getsockname(), size, count)
        connection, _ = listener.accept()
        warm = [memoryview(bytearray(size)) for _ in range(kept)] if kept < count else []
        frames = []
        with connection:
            connection.recv(1, socket.MSG_PEEK)
            start = time.perf_counter()
            for i in range(count):
                frames.append(warm[i % kept] if warm else np.empty(size, np.uint8).data)
                view = frames[-1]
                while view:
                    view = view[connection.recv_into(view) :]
            took = time.perf_counter() - start
        os.waitpid(pid, 0)
    return took


def send_bare(family: int, address: Any, size: int, count: int) -> None:
    """The child's part of `bare`; does not return."""
    data = [os.urandom(size) for _ in range(count)]
    with socket.socket(family) as sender:
        sender.connect(address)
        for each in data:
            sender.sendall(each)
    os._exit(0)


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=240)
    parser.add_argument("--points", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=7)
    return parser.parse_args()


if __name__ == "__main__":
    main()
