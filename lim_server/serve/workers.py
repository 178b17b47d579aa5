"""The worker processes as the front end sees them: started, watched, killed when they hang, started again."""

from __future__ import annotations

import logging
import os
import secrets
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import zmq

from lim_server.serve import link
from lim_server.serve.jobs import Run

START_LIMIT = 180.0
START_TRIES = 3
BACKOFF_MAX = 30.0
log = logging.getLogger(__name__)

# Threads that spin while they wait for each other make a job take four times as long on a machine that has other work.
SLEEP_WHILE_WAITING = {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "0", "OPENBLAS_NUM_THREADS": "1"}


@dataclass(eq=False)
class Worker:
    """One device's process. `name` is its routing id on the link; a restarted worker gets a new one."""

    device: str
    name: bytes = b""
    process: subprocess.Popen[bytes] | None = None
    ready: bool = False
    run: Run | None = None
    stage: str = ""
    heard: float = 0.0
    report: dict[str, Any] = field(default_factory=dict)
    starts: int = 0
    failed_starts: int = 0
    start_at: float = 0.0
    hung: str = ""
    last_words: str = ""


class Pool:
    """All workers. The front end asks it to tick; it answers with the workers that died."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], folder: Path, store: Path, step_limit: float):
        self.endpoint = f"ipc://{folder}/workers-{os.getpid()}.ipc"
        self.store, self.step_limit = store, step_limit
        self.socket = context.socket(zmq.ROUTER)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.setsockopt(zmq.SNDHWM, 0)
        self.socket.setsockopt(zmq.RCVHWM, 0)
        self.socket.bind(self.endpoint)
        self.workers: list[Worker] = []

    def add(self, device: str) -> None:
        """Have a worker for this device from the next tick on."""
        self.workers.append(Worker(device))

    def receive(self) -> list[tuple[Worker, link.Note]]:
        """All notes that have come in from living workers."""
        notes: list[tuple[Worker, link.Note]] = []
        while True:
            try:
                name, data = self.socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return notes
            worker = next((w for w in self.workers if w.name == name), None)
            if worker is not None:
                worker.heard = time.monotonic()
                notes.append((worker, link.unpack(data)))

    def send(self, worker: Worker, kind: str, **fields: Any) -> None:
        """A note to a worker."""
        self.socket.send_multipart([worker.name, link.pack(kind, **fields)])

    def idle(self) -> list[Worker]:
        """Workers that could take a task now."""
        return [w for w in self.workers if w.ready and w.run is None]

    def on_ready(self, worker: Worker, report: dict[str, Any]) -> None:
        """The worker takes tasks; where it chose the first of several GPUs itself, the others get workers too."""
        worker.ready, worker.stage, worker.report = True, "", report
        if worker.device == "auto":
            worker.device = report["device"]
            for i in range(1, report["count"]):
                self.add(f"cuda:{i}")

    def readiness(self) -> tuple[bool, str]:
        """Does a worker take jobs; if not, why not."""
        if any(w.ready for w in self.workers):
            return True, ""
        words = next((w.last_words for w in self.workers if w.failed_starts), "")
        return False, f"no worker starts: {words}" if words else "the worker is starting"

    def hopeless(self) -> bool:
        """Has every worker failed to start, again and again?"""
        return all(w.failed_starts >= START_TRIES for w in self.workers)

    def report(self) -> list[dict[str, Any]]:
        """For status."""
        return [
            {
                "pid": w.process.pid if w.process else None,
                "state": w.stage if w.run or not w.ready else "idle",
                "restarts": max(w.starts - 1, 0),
                "device": w.device,
                **w.report,
            }
            for w in self.workers
        ]

    def tick(self) -> list[Worker]:
        """Kill what hangs, start what is missing; returns the workers that died since, their last words set."""
        now = time.monotonic()
        dead = []
        for worker in self.workers:
            if worker.process is None:
                if now >= worker.start_at:
                    self._start(worker)
                continue
            self._kill_if_hung(worker, now)
            if worker.process.poll() is not None:
                self._bury(worker, now)
                dead.append(worker)
        return dead

    def stop(self) -> None:
        """End all workers; two seconds of grace."""
        for worker in self.workers:
            if worker.process is not None:
                worker.process.terminate()
        for worker in self.workers:
            if worker.process is not None:
                try:
                    worker.process.wait(2)
                except subprocess.TimeoutExpired:
                    worker.process.kill()
                    worker.process.wait()
        self.socket.close(0)
        Path(self.endpoint[len("ipc://") :]).unlink(missing_ok=True)

    def _start(self, worker: Worker) -> None:
        worker.name = secrets.token_bytes(8).replace(b"\0", b"\1")
        worker.ready, worker.run, worker.stage, worker.heard = False, None, "starting", time.monotonic()
        worker.starts, worker.hung = worker.starts + 1, ""
        command = [sys.executable, "-m", "lim_server.serve.worker", self.endpoint, worker.name.hex(), worker.device]
        worker.process = subprocess.Popen(
            [*command, str(self.store), str(os.getpid())],
            stdin=subprocess.DEVNULL,
            env={**SLEEP_WHILE_WAITING, **os.environ},
        )
        log.info("worker %s: started as process %d", worker.device, worker.process.pid)

    def _kill_if_hung(self, worker: Worker, now: float) -> None:
        limit = self.step_limit if worker.ready else START_LIMIT
        if (worker.run is not None or not worker.ready) and now - worker.heard > limit:
            assert worker.process is not None
            worker.hung = f", no sign of life for {limit:.0f} s in '{worker.stage}'"
            worker.process.kill()
            worker.process.wait()

    def _bury(self, worker: Worker, now: float) -> None:
        assert worker.process is not None
        code = worker.process.returncode
        how = f"ended with exit code {code}" if code >= 0 else f"was killed by {signal.Signals(-code).name}"
        worker.last_words = f"worker {worker.device} {how}{worker.hung}"
        log.error("%s%s", worker.last_words, f" over job {worker.run.key.hex()[:12]}" if worker.run else "")
        worker.failed_starts = 0 if worker.ready else worker.failed_starts + 1
        backoff = min(2.0**worker.failed_starts / 2, BACKOFF_MAX) if worker.failed_starts else 0.0
        worker.process, worker.ready, worker.start_at = None, False, now + backoff
