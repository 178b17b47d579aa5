"""This user's own server: where it lives, is it there, start it."""

from __future__ import annotations

import contextlib
import os
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from lim_client.endpoint import Endpoint
from lim_client.errors import NotReachable
from lim_client.keys import keys_dir

if sys.platform != "win32":
    import fcntl

START_LIMIT = 60.0
LOG_MAX = 10 << 20


def runtime_dir() -> Path:
    """$LIM_RUNTIME_DIR, lim in the user's runtime folder, or one in the temporary folder; made with mode 700.

    Raises NotReachable where somebody else could enter it.
    """
    if sys.platform == "win32":
        raise NotReachable("no server runs on Windows. Name one on another machine: set LIM_SERVER to tcp://host:port.")
    base = os.environ.get("XDG_RUNTIME_DIR")
    fallback = Path(base) / "lim" if base else Path(tempfile.gettempdir()) / f"lim-{os.getuid()}"
    folder = Path(os.environ.get("LIM_RUNTIME_DIR") or fallback)
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.stat()
    except OSError as error:
        raise NotReachable(f"{folder}: {error.strerror}. Set LIM_RUNTIME_DIR to a folder of your own.") from None
    if status.st_uid != os.getuid() or stat.S_IMODE(status.st_mode) & 0o077:
        raise NotReachable(f"{folder}: others can enter this folder. chmod 700 it, or set LIM_RUNTIME_DIR.")
    return folder


def cache_dir() -> Path:
    """$LIM_CACHE_DIR, or lim in the user's cache folder."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("LIM_CACHE_DIR") or base / "lim")


def own_endpoint() -> Endpoint:
    """Where this user's own server listens."""
    return Endpoint(f"ipc://{runtime_dir()}/server.ipc")


def server_command(binds: Sequence[str] = (), options: Sequence[str] = ()) -> list[str]:
    """The command that runs a server in the foreground: at these endpoints, or at the user's own."""
    python = os.environ.get("LIM_PYTHON") or sys.executable
    places = ["--folder", str(runtime_dir()), "--cache", str(cache_dir()), "--keys", str(keys_dir())]
    binding = [word for bind in binds or [own_endpoint().address] for word in ("--bind", bind)]
    return [python, "-m", "lim_server.serve", *places, *binding, *options]


def log_path() -> Path:
    """What a server started in the background writes."""
    return runtime_dir() / "server.log"


def running() -> bool:
    """Does this user's own server live? It holds a lock for as long as it does."""
    with contextlib.suppress(OSError), _lock_path().open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def ensure(give_up: Callable[[], bool] = lambda: False) -> None:
    """Have this user's own server run; where it does not, start it in the background and wait until it listens.

    Raises NotReachable with the end of the server's log where it does not come up.
    """
    with _one_starter():
        if running():
            return
        log = log_path()
        if log.exists() and log.stat().st_size > LOG_MAX:
            log.unlink()
        with log.open("ab") as out:
            process = subprocess.Popen(
                server_command(),
                env=_server_environment(),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_LIMIT
        while not running() and not give_up():
            if process.poll() is not None:
                raise NotReachable(f"the server did not start (exit code {process.returncode}):\n{_tail(log)}")
            if time.monotonic() > deadline:
                raise NotReachable(f"the server did not start within {START_LIMIT:.0f} s:\n{_tail(log)}")
            time.sleep(0.02)


def _server_environment() -> dict[str, str]:
    """Another Python than ours must not look for packages where this program has them: inside Houdini they are built
    for Houdini's own."""
    ours = ("PYTHONHOME", "PYTHONPATH") if os.environ.get("LIM_PYTHON") else ()
    return {name: value for name, value in os.environ.items() if name not in ours}


def _lock_path() -> Path:
    return runtime_dir() / "server.ipc.lock"


@contextlib.contextmanager
def _one_starter() -> Iterator[None]:
    """Of several clients that find no server, one starts it and the others wait."""
    with (runtime_dir() / "start.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-8:])
