"""Which run goes to which worker, and what becomes of it: done, failed, paused, tried again."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from typing import Any

from lim_protocol import messages as m
from lim_server.serve.jobs import AHEAD, Queue, Run, Subscription, run_key, summary_name
from lim_server.serve.link import Note
from lim_server.serve.sessions import Session
from lim_server.serve.store import Store
from lim_server.serve.workers import Pool, Worker

log = logging.getLogger(__name__)
OPS = ("track", "reconstruct")
DEATHS = 2
"""Workers that may die over one run before it fails."""
RETRY_AFTER = 2.0

Tell = Callable[[Session, m.Message], None]


class Scheduler:
    """The runs that somebody waits for. `tell` sends a client a message."""

    def __init__(self, store: Store, pool: Pool, tell: Tell, *, code: bytes, queue_max: int):
        self.store, self.pool, self.tell, self.code, self.queue_max = store, pool, tell, code, queue_max
        self.queue, self.runs = Queue(), dict[bytes, Run]()
        self.counts = dict.fromkeys(("runs", "from_cache", "rejected", "requeued"), 0)

    def subscriptions(self) -> list[Subscription]:
        """Everybody who waits for something."""
        return [sub for run in self.runs.values() for sub in run.subscriptions]

    def submit(self, session: Session, submit: m.Submit) -> None:
        """Join the run of this content, or make it. Answers Accept, Reject or Error."""
        if submit.op not in OPS:
            text = f"this server cannot '{submit.op}', only {', '.join(OPS)}"
            return self.tell(session, m.Error("unknown-op", text, job=submit.job))
        run = self._run_of(submit)
        if run is None:
            self.counts["rejected"] += 1
            text = f"{len(self.queue.runs)} jobs wait already"
            return self.tell(session, m.Reject(submit.job, "busy", text, RETRY_AFTER))
        deadline = time.monotonic() + submit.deadline if submit.deadline > 0 else float("inf")
        sub = Subscription(session, submit.job, run, max(submit.first, 0), max(submit.credit, 0), deadline)
        session.subscriptions[submit.job] = sub
        run.subscriptions.append(sub)
        return self.tell(session, m.Accept(submit.job, self.queue.position(run)))

    def unsubscribe(self, sub: Subscription) -> None:
        """A client does not want it any more; work that nobody wants ends."""
        sub.session.subscriptions.pop(sub.job, None)
        run = sub.run
        run.subscriptions.remove(sub)
        if not run.subscriptions:
            self.runs.pop(run.key, None)
            self.queue.remove(run)
            if run.worker is not None:
                self.pool.send(run.worker, "cancel", run=run.key)

    def lost(self, run: Run, seq: int) -> None:
        """A record is not on disk any more: make it again, and what follows where that is gone too."""
        run.ready, run.summary = min(run.ready, seq), None
        if run.worker is None:
            self.queue.add(run)

    def kept(self) -> set[bytes]:
        """Store names that must not be trimmed now."""
        names = {digest for run in self.runs.values() for digest in run.submit.inputs}
        return names | {run.record(seq) for run in self.runs.values() for seq in run.undelivered()}

    def tick(self) -> None:
        """Bury and restart workers, give idle ones work, let go of what came too late."""
        for worker in self.pool.tick():
            if worker.run is not None:
                self._worker_died(worker, worker.run)
        now = time.monotonic()
        for run in [r for r in self.queue.runs if r.deadline() < now]:
            self.fail(run, "deadline", "the job waited longer than its deadline")
        for run in list(self.queue.runs) if self.pool.hopeless() else ():
            self.fail(run, "no-worker", self.pool.readiness()[1])
        for worker in self.pool.idle():
            self._assign(worker, now)

    def _assign(self, worker: Worker, now: float) -> None:
        run = self.queue.next()
        if run is None:
            return
        worker.run, run.worker = run, worker
        worker.stage, worker.heard = "starting a job", now
        submit = run.submit
        task = {"op": submit.op, "params": submit.params, "inputs": submit.inputs, "times": submit.times.tolist()}
        self.pool.send(worker, "task", run=run.key, first=run.ready, most=AHEAD, **task)

    def on_note(self, worker: Worker, note: Note) -> None:
        """A worker says something."""
        kind, run = note["kind"], worker.run
        if kind == "ready":
            self.pool.on_ready(worker, {**note["report"], "rss": note["rss"]})
            return
        worker.report["rss"] = note.get("rss", worker.report.get("rss"))
        if run is None or note.get("run") != run.key:
            return
        if kind == "tick":
            worker.stage = note["stage"]
            self._tell_all(run, lambda job: m.Progress(job, note["stage"], note["done"], note["total"]))
        elif kind == "records":
            run.ready = max(run.ready, note["ready"])
            run.sizes.update(dict.fromkeys(note["made"], note["size"]))
            self.store.used += note["size"] * len(note["made"])
        else:
            worker.run = run.worker = None
            worker.stage = ""
            if self.runs.get(run.key) is run:
                self._ended(run, note)

    def fail(self, run: Run, code: str, text: str, retryable: bool = False) -> None:
        """The run ends with an error for all who wait."""
        log.error("job %s: %s: %s", run.key.hex()[:12], code, text)
        self._tell_all(run, lambda job: m.Error(code, text[:2000], retryable, job))
        for sub in list(run.subscriptions):
            self.unsubscribe(sub)

    def _run_of(self, submit: m.Submit) -> Run | None:
        """The run of this content; None where no more may wait."""
        key = run_key(submit, self.code)
        if key in self.runs:
            return self.runs[key]
        run = Run(key, submit, order=self.counts["runs"])
        if not self._finished_before(run):
            if len(self.queue.runs) >= self.queue_max:
                return None
            self.queue.add(run)
        self.counts["runs"] += 1
        self.runs[key] = run
        return run

    def _finished_before(self, run: Run) -> bool:
        view = self.store.open(summary_name(run.key))
        if view is None:
            return False
        run.ready, run.summary = run.total, {**json.loads(bytes(view)), "cached": True}
        self.counts["from_cache"] += 1
        return True

    def _ended(self, run: Run, note: Note) -> None:
        if note["kind"] == "failed":
            self.fail(run, note["code"], note["text"], note["retryable"])
        elif note["summary"] is None:  # it ran far enough ahead of its clients
            self.queue.add(run)
        else:
            run.ready, run.summary = run.total, note["summary"]

    def _worker_died(self, worker: Worker, run: Run) -> None:
        worker.run = run.worker = None
        run.deaths += 1
        if self.runs.get(run.key) is not run:
            return
        if run.deaths >= DEATHS:
            self.fail(run, "poison", f"{run.deaths} workers died over this job; the last one: {worker.last_words}")
        else:
            self.counts["requeued"] += 1
            self.queue.add(run)

    def _tell_all(self, run: Run, message: Callable[[bytes], m.Message]) -> None:
        for sub in run.subscriptions:
            self.tell(sub.session, message(sub.job))

    def report(self) -> dict[str, Any]:
        """For status."""
        running = [
            {"job": run.key.hex()[:12], "ready": run.ready, "records": run.total, "clients": len(run.subscriptions)}
            for run in self.runs.values()
        ]
        return {"queue": len(self.queue.runs), "jobs": running, "counts": dict(self.counts)}
