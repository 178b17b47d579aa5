"""A server, from the application's side: connect, ask, submit jobs, let go.

with Connection(client="lim track") as server:
    job = server.submit("track", params, meshes, times)
    for record in job.records():
        ...
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from lim_client import launch
from lim_client.endpoint import Endpoint
from lim_client.errors import NotReachable, ServerError
from lim_client.job import Job, Request
from lim_client.keys import certificate, keys_dir
from lim_client.session import Options, Session
from lim_protocol import __version__ as SOFTWARE
from lim_protocol import messages as m
from lim_protocol.records import digest

PATIENCE = 60.0
ANSWER = 10.0

A = TypeVar("A", bound=m.Message)


class Connection:
    """One server. Without an endpoint it is this user's own, which is started where there is none.

    patience  seconds without any word from the server after which it is given up
    start     whether the user's own server may be started

    Raises NotReachable, AccessDenied or VersionMismatch.
    """

    def __init__(
        self, endpoint: Endpoint | None = None, *, client: str, patience: float = PATIENCE, start: bool = True
    ):
        self.own = endpoint is None
        self.endpoint = endpoint or launch.own_endpoint()
        self.client, self.patience = client, patience
        self.revive = launch.ensure if self.own and start else None
        if self.revive is not None:
            self.revive()
        elif self.own and not launch.running():
            raise NotReachable("no server of yours is running. Start one with 'lim serve', or let 'lim track' do it.")
        self.session = self._open()
        if self.revive is not None:
            self._replace_other_version()

    def submit(
        self,
        op: str,
        params: dict[str, Any],
        inputs: Sequence[bytes | bytearray],
        times: NDArray[np.float64],
        supersedes: Job | None = None,
        first: int = 0,
        digests: Sequence[bytes] | None = None,
    ) -> Job:
        """Ask for work. Inputs are packed records; those the server has are not sent. Returns at once.

        first    the first record to send: 1 leaves out the Surface
        digests  of the inputs, where the application keeps them
        """
        digests = digests or [digest(record) for record in inputs]
        old = supersedes.id if supersedes is not None else None
        request = Request(op, params, digests, inputs, np.asarray(times, np.float64), supersedes=old)
        session = self.session
        job = Job(request, next=first, taken=lambda job, records: session.call(lambda: session.took(job, records)))
        if session.failure is not None:
            raise session.failure
        session.call(lambda: session.begin(job))
        return job

    def cancel(self, job: Job) -> None:
        """Let the server stop working on it."""
        self.session.call(lambda: self.session.cancel(job))

    def status(self) -> dict[str, Any]:
        """The server's report about itself."""
        return self._ask(m.Status(), m.StatusReport).report

    def stop(self) -> None:
        """End the server. Raises ServerError where this client may not."""
        answer = self._ask(m.Stop(), m.Message)
        if isinstance(answer, m.Error):
            raise ServerError(f"{self.endpoint}: {answer.text}")

    def close(self) -> None:
        """Say goodbye; what this client alone wanted is cancelled."""
        self.session.close()

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(self) -> Session:
        own_key = certificate(keys_dir(), "client") if self.endpoint.key else None
        session = Session(self.endpoint, Options(SOFTWARE, self.client, own_key, self.revive, self.patience))
        session.start()
        self._wait(session, lambda: session.welcome is not None, self.patience)
        return session

    def _replace_other_version(self) -> None:
        """The user's own server must be of this client's version: have a new one, if the old one is idle."""
        ours = SOFTWARE
        if self._version() == ours:
            return
        if self.status()["jobs"]:
            self.close()
            text = f"your server is version {self._version()}, this is {ours}, and it is busy"
            raise ServerError(f"{text}. Wait, or end it with 'lim stop'.")
        self.stop()
        self.close()
        deadline = time.monotonic() + ANSWER
        while launch.running() and time.monotonic() < deadline:
            time.sleep(0.05)
        launch.ensure()
        self.session = self._open()
        if self._version() != ours:
            self.close()
            raise ServerError(f"your new server is still of version {self._version()}, this is {ours}. See LIM_PYTHON.")

    def _version(self) -> str:
        assert self.session.welcome is not None
        return self.session.welcome.software

    def _ask(self, question: m.Message, kind: type[A]) -> A:
        """Ask something outside of any job and wait for that kind of answer."""
        answers: deque[A] = deque()
        done = threading.Event()

        def listen(message: m.Message) -> None:
            if isinstance(message, kind) and not isinstance(message, (m.Welcome, m.Pong, m.Progress)):
                answers.append(message)
                done.set()

        session = self.session
        session.on_answer = listen
        session.call(lambda: session.say(question))
        self._wait(session, done.is_set, ANSWER)
        return answers[0]

    def _wait(self, session: Session, ready: Callable[[], bool], timeout: float) -> None:
        deadline = time.monotonic() + timeout
        while not ready():
            if session.failure is not None:
                raise session.failure
            if time.monotonic() > deadline:
                session.close()
                raise NotReachable(f"no answer from {self.endpoint} within {timeout:.0f} s. Is a server there?")
            time.sleep(0.005)
