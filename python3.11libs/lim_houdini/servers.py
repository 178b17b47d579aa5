"""The servers this session of Houdini talks to: one connection each, made by the first cook that wants one."""

from __future__ import annotations

import atexit
import os
import queue
import threading
from collections.abc import Callable

from lim_client import launch
from lim_client.connection import Connection
from lim_client.endpoint import Endpoint
from lim_client.errors import NotReachable
from lim_houdini.errors import Refused

POLL = 0.05
Tick = Callable[[float, str], None]

_open: dict[str, Connection] = {}


def connect(server: str, patience: float, tick: Tick, start: bool = False) -> Connection:
    """The connection to a server; to the user's own where `server` is empty.

    patience  seconds without a word after which it is given up
    tick      called many times a second while waiting; may raise to give up

    Raises ServerError, Refused for what is no endpoint, or what `tick` raises.
    """
    endpoint = endpoint_of(server)
    if endpoint is None and not start and not launch.running():
        close(server)
        raise NotReachable("no server of yours is running. Press Start Server, or run 'lim serve' in a terminal.")
    kept = _open.get(server)
    if kept is not None and kept.session.failure is None and kept.session.is_alive():
        return kept
    close(server)
    _open[server] = _opened(lambda: Connection(endpoint, client="Houdini", patience=patience, start=start), tick)
    return _open[server]


def start_own(tick: Tick) -> None:
    """Start the user's own server, where none runs. Raises Refused, ServerError, or what `tick` raises."""
    if not os.environ.get("LIM_PYTHON"):
        raise Refused(
            "no Python with the server is known here (LIM_PYTHON). Run 'lim houdini install' with the one it is "
            "installed in, or start the server in a terminal: lim serve."
        )

    def go_on() -> bool:
        tick(-1.0, "starting the server")
        return False

    launch.ensure(go_on)


def endpoint_of(server: str) -> Endpoint | None:
    """None for the user's own. Raises Refused."""
    try:
        return Endpoint.parse(server) if server else None
    except ValueError as error:
        raise Refused(f"Server: {error}") from None


def close(server: str) -> None:
    """Let go of one."""
    kept = _open.pop(server, None)
    if kept is not None:
        kept.close()


@atexit.register
def close_all() -> None:
    """Let go of all; Houdini must not wait for them when it ends."""
    for server in list(_open):
        close(server)


def _opened(open_: Callable[[], Connection], tick: Tick) -> Connection:
    """Connect in a thread of its own, so that the user can interrupt. What comes too late is closed again."""
    answer: queue.SimpleQueue[Connection | Exception] = queue.SimpleQueue()
    given_up = threading.Event()

    def work() -> None:
        try:
            connection = open_()
        except Exception as error:
            answer.put(error)
            return
        answer.put(connection)
        if given_up.is_set():
            connection.close()

    threading.Thread(target=work, name="lim connect", daemon=True).start()
    try:
        while True:
            tick(-1.0, "connecting")
            try:
                result = answer.get(timeout=POLL)
            except queue.Empty:
                continue
            if isinstance(result, Exception):
                raise result
            return result
    except BaseException:
        given_up.set()
        raise
