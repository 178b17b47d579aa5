"""Where clients come in: one ROUTER per endpoint, and who may enter by it.

ipc is guarded by its folder, loopback tcp by the machine, anything else by CURVE keys and a list of those allowed.
"""

from __future__ import annotations

import logging
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

import zmq
import zmq.auth
from zmq.auth.thread import ThreadAuthenticator
from zmq.utils import z85

from lim_protocol.wire import CHUNK_MAX
from lim_server.serve.config import Config

ZAP_DOMAIN = "lim"
LOOPBACK = re.compile(r"tcp://(127\.\d+\.\d+\.\d+|localhost|\[::1\]):")
IPC_PATH_MAX = 107
log = logging.getLogger(__name__)


class DoorError(Exception):
    """The endpoint cannot or must not be opened; the text says why and what to do."""


@dataclass
class Door:
    """A bound ROUTER. `trusted`: only the server's owner or holders of allowed keys can talk through it."""

    endpoint: str
    socket: zmq.Socket[bytes]
    trusted: bool


class Guard:
    """Answers for every CURVE handshake whether its key is on the list, which is read afresh each time."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], keys: Path):
        self.allowed = keys / "allowed"
        self.thread = ThreadAuthenticator(context, log=log)
        self.thread.start()
        self.thread.configure_curve_callback(domain=ZAP_DOMAIN, credentials_provider=self)

    def callback(self, _domain: str, key: bytes) -> bool:
        """Called by the authenticator's thread with the peer's public key in Z85."""
        ok = any(_listed(path) == key for path in self.allowed.glob("*.key"))
        if not ok:
            log.warning("refused a client with key %s: not in %s", z85.decode(key).hex(), self.allowed)
        return ok

    def stop(self) -> None:
        """End the thread."""
        self.thread.stop()


def _listed(path: Path) -> bytes | None:
    """The public key in a file of the list; a file without one lets nobody in and keeps nobody out."""
    try:
        return zmq.auth.load_certificate(path)[0]
    except (OSError, ValueError):
        log.warning("%s holds no public key", path)
        return None


def open_door(context: zmq.Context[zmq.Socket[bytes]], endpoint: str, config: Config) -> Door:
    """Bind a ROUTER. Raises DoorError where the endpoint is unsafe, malformed or taken."""
    curve = check(endpoint, config.keys, config.curve)
    router = context.socket(zmq.ROUTER)
    router.setsockopt(zmq.LINGER, 0)
    router.setsockopt(zmq.ROUTER_MANDATORY, 1)
    router.setsockopt(zmq.SNDHWM, 64)
    router.setsockopt(zmq.RCVHWM, 64)
    router.setsockopt(zmq.MAXMSGSIZE, CHUNK_MAX + 64 * 1024)
    # not zmq's own heartbeats: libzmq aborts where one is due to a peer that has left with its messages still waiting
    router.setsockopt(zmq.TCP_KEEPALIVE, 1)
    router.setsockopt(zmq.TCP_KEEPALIVE_IDLE, 30)
    router.setsockopt(zmq.HANDSHAKE_IVL, 5000)
    if endpoint.startswith("ipc://"):
        router.setsockopt(zmq.SNDBUF, CHUNK_MAX)
        router.setsockopt(zmq.RCVBUF, CHUNK_MAX)
    if curve:
        router.curve_publickey, router.curve_secretkey = zmq.auth.load_certificate(config.keys / "server.key_secret")
        router.setsockopt(zmq.CURVE_SERVER, 1)
        router.setsockopt(zmq.ZAP_DOMAIN, ZAP_DOMAIN.encode())
    try:
        router.bind(endpoint)
    except zmq.ZMQError as error:
        router.close(0)
        raise DoorError(f"{endpoint}: {error.strerror}") from None
    return Door(
        bytes(router.get(zmq.LAST_ENDPOINT)).rstrip(b"\0").decode(), router, curve or endpoint.startswith("ipc")
    )


def check(endpoint: str, keys: Path, curve: bool) -> bool:
    """May this endpoint be bound? Returns whether with CURVE. Raises DoorError."""
    if endpoint.startswith("ipc://"):
        _check_folder(Path(endpoint[len("ipc://") :]))
        return False
    if not endpoint.startswith("tcp://"):
        raise DoorError(f"{endpoint}: an endpoint starts with ipc:// or tcp://")
    if not curve and not LOOPBACK.match(endpoint):
        raise DoorError(
            f"{endpoint}: other machines could reach this address, so it needs keys. "
            "Make them with 'lim keys make', allow each client with 'lim keys allow NAME KEY', "
            "then start with 'lim serve --curve'."
        )
    if curve and not (keys / "server.key_secret").exists():
        raise DoorError(f"{keys}: no server.key_secret there. Make keys with 'lim keys make'.")
    if curve and not any((keys / "allowed").glob("*.key")):
        raise DoorError(f"{keys / 'allowed'}: no client is allowed yet. Use 'lim keys allow NAME KEY'.")
    return curve


def _check_folder(path: Path) -> None:
    folder = path.parent
    if len(os.fsencode(path)) > IPC_PATH_MAX:
        raise DoorError(
            f"ipc://{path}: longer than {IPC_PATH_MAX} bytes, which the system refuses. Use a shorter path."
        )
    if not folder.is_dir():
        raise DoorError(f"{folder}: no such folder")
    status = folder.stat()
    if status.st_uid != os.getuid() or stat.S_IMODE(status.st_mode) & 0o077:
        raise DoorError(f"{folder}: others can enter this folder, and the socket with it. Use one with mode 700.")
