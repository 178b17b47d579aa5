"""A worker process: owns one device, takes one task at a time, puts every result into the store.

    python -m lim_server.serve.worker LINK NAME DEVICE STORE PARENT_PID

It looks for a cancel at every step of the work, and tells the front end that it is alive at each.
"""

from __future__ import annotations

import ctypes
import json
import logging
import os
import resource
import signal
import sys
import time
import traceback
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import zmq

from lim_protocol.memory import keep_freed_memory
from lim_server.geometry.isosurface import NoSurface
from lim_server.models.shipped import shipped_names
from lim_server.models.weights import BadWeights
from lim_server.serve import link
from lim_server.serve.jobs import record_name, summary_name
from lim_server.serve.ops import KEYS, OPS, SHOTS, Hand, Job, Shelf, TaskError
from lim_server.serve.provenance import code_digest
from lim_server.serve.store import Store

PR_SET_PDEATHSIG = 1
TICK = 0.1
WARM = 2
log = logging.getLogger(__name__)


class Cancelled(Exception):
    """The front end does not want the running task any more."""


@dataclass
class Paused:
    """A job between two slices: its stream goes on at record `next`."""

    job: Job
    stream: Iterator[tuple[int, bytes | bytearray]]
    next: int


class Worker:
    """The process's state: its link, its device, and the jobs it keeps warm between slices."""

    def __init__(self, endpoint: str, name: bytes, device: str, store: Path):
        self.store = Store(store, limit=1 << 62)  # only the front end trims
        self.device, self.code = open_device(device), code_digest()
        self.socket = zmq.Context().socket(zmq.DEALER)
        self.socket.setsockopt(zmq.IDENTITY, name)
        self.socket.setsockopt(zmq.LINGER, 1000)
        self.socket.connect(endpoint)
        self.run, self.stepped = b"", 0.0
        self.shots, self.keys = Hand(SHOTS), Hand(KEYS)
        self.warm: OrderedDict[bytes, Paused] = OrderedDict()

    def serve(self) -> None:
        """Take tasks for ever."""
        self.say("ready", report=device_report(self.device))
        while True:
            note = link.unpack(self.socket.recv())
            if note["kind"] == "task":
                self.do(note)

    def say(self, kind: str, **fields: Any) -> None:
        """A note to the front end, with what it may want to know of this process."""
        rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        self.socket.send(link.pack(kind, run=self.run, rss=rss, **fields))

    def step(self, stage: str, done: int, total: int) -> None:
        """Called by the work, often. Raises Cancelled."""
        now = time.monotonic()
        if now - self.stepped < TICK:
            return
        self.stepped = now
        self.say("tick", stage=stage, done=done, total=total)
        while self.socket.poll(0):
            note = link.unpack(self.socket.recv())
            if note["kind"] == "cancel" and note["run"] == self.run:
                raise Cancelled

    def do(self, task: link.Note) -> None:
        """One task, from its first missing record to its end, or until it is far enough ahead of its clients."""
        self.run = task["run"]
        try:
            self.say("done", summary=self._work(task))
        except Cancelled:
            self.say("done", summary=None)
        except TaskError as error:
            self.say("failed", code=error.code, text=str(error), retryable=error.retryable)
        except NoSurface as error:
            self.say("failed", code="bad-input", text=str(error), retryable=False)
        except BadWeights as error:
            self.say("failed", code="no-model", text=str(error), retryable=False)
        except OSError as error:
            self.say("failed", code="cache-full", text=f"{self.store.root}: {error.strerror}", retryable=False)
        except Exception as error:
            log.exception("job %s", self.run.hex()[:12])
            where = traceback.extract_tb(error.__traceback__)[-1]
            text = f"{type(error).__name__}: {error} ({Path(where.filename).name}:{where.lineno})"
            self.say("failed", code="failed", text=text, retryable=False)
        finally:
            self.run = b""

    def _work(self, task: link.Note) -> dict[str, Any] | None:
        """Make records until all are there (returns the summary) or `most` bytes were made (returns None)."""
        first, total = task["first"], len(task["times"]) + 1
        while first < total and self.store.has(record_name(self.run, first)):
            first += 1
        self.say("records", ready=first, made=[], size=0)
        paused = self._resume(task, first)
        made = 0
        for seq, record in paused.stream:
            self.store.put(record_name(self.run, seq), record)
            made += len(record)
            self.say("records", ready=seq + 1, made=[seq], size=len(record))
            self.step("in-betweens", seq, total - 1)
            if made >= task["most"] and seq + 1 < total:
                self._keep_warm(paused, seq + 1)
                return None
        summary = paused.job.summary()
        self.store.put(summary_name(self.run), json.dumps(summary).encode())
        return summary

    def _resume(self, task: link.Note, first: int) -> Paused:
        """The job where its last slice stopped, else from its beginning."""
        paused = self.warm.pop(self.run, None)
        if paused is not None and paused.next == first:
            return paused
        job = OPS[task["op"]](task, Shelf(self.store, self.shots, self.keys), self.device, self.code, self.step)
        return Paused(job, job.records(first), first)

    def _keep_warm(self, paused: Paused, at: int) -> None:
        paused.next = at
        self.warm[self.run] = paused
        while len(self.warm) > WARM:
            self.warm.popitem(last=False)


def open_device(device: str) -> str:
    """The device to compute on: 'auto' takes the first GPU where there is one."""
    if device == "auto":
        device = "cuda:0" if torch.cuda.is_available() else "cpu"
    if device != "cpu":
        # the same input gives the same bits: sums on a GPU are in no order of their own otherwise
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True, warn_only=True)
    torch.zeros(1, device=device)  # fails here, with its reason in the log, and not in the first job
    return device


def device_report(device: str) -> dict[str, Any]:
    """For status: what this process computes on, and how many of its kind there are."""
    if device.startswith("cuda"):
        memory = torch.cuda.get_device_properties(device).total_memory
        name, count = torch.cuda.get_device_name(device), torch.cuda.device_count()
    else:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        name, count = f"{os.cpu_count()} cores", 1
    return {"device": device, "name": name, "count": count, "memory": memory, "models": ["geometry", *shipped_names()]}


def main() -> None:
    """Serve the front end that started this process, and end with it."""
    endpoint, name, device, store, parent = sys.argv[1:]
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(parent):
        return
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the front end's to handle
    keep_freed_memory()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s worker %(process)d %(levelname)s %(message)s")
    Worker(endpoint, bytes.fromhex(name), device, Path(store)).serve()


if __name__ == "__main__":
    main()
