"""python -m lim_server.serve: run a server until it is stopped. `lim serve` fills in the defaults."""

from __future__ import annotations

import argparse
import fcntl
import logging
import os
import sys
from pathlib import Path
from typing import TextIO

from lim_protocol.memory import keep_freed_memory
from lim_server.serve.config import Config
from lim_server.serve.doors import DoorError
from lim_server.serve.frontend import Frontend
from lim_server.serve.provenance import code_digest

SERVER_TROUBLE = 3
LOCK_WAIT = 1.0
"""A client that looks whether a server is there holds the lock for a moment."""


def main() -> None:
    """Serve; exit code 3 where the server cannot start."""
    keep_freed_memory()
    config = Config(**vars(_parser().parse_args()), code=code_digest())
    logging.basicConfig(level=logging.INFO, format="%(asctime)s server %(process)d %(levelname)s %(message)s")
    try:
        locks = [_lock(Path(e[len("ipc://") :] + ".lock")) for e in config.endpoints if e.startswith("ipc://")]
        Frontend(config).run()
    except DoorError as error:
        print(f"lim serve: {error}", file=sys.stderr)
        raise SystemExit(SERVER_TROUBLE) from None
    del locks


def _lock(path: Path) -> TextIO:
    """Binding an ipc path takes it away from whoever had it; so hold a lock beside it for as long as we live."""
    try:
        file = path.open("a+")
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        text = (
            f"a server is running there already (process {file.read().strip() or 'unknown'}); stop it with 'lim stop'"
        )
        raise DoorError(f"{path.with_suffix('')}: {text}") from None
    except OSError as error:
        raise DoorError(f"{path}: {error.strerror}") from None
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file


def _locked(file: TextIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="lim serve")
    parser.add_argument("--bind", dest="endpoints", action="append", required=True, metavar="ENDPOINT")
    parser.add_argument("--device", dest="devices", nargs="+", default=("auto",))
    parser.add_argument("--folder", type=Path, required=True, help="for sockets; mode 700")
    parser.add_argument("--cache", dest="store", type=Path, required=True)
    parser.add_argument("--cache-size", dest="store_limit", type=int, default=Config.store_limit, help="bytes")
    parser.add_argument("--keys", type=Path, required=True, help="folder of CURVE keys")
    parser.add_argument("--curve", action="store_true")
    parser.add_argument("--heartbeat", type=float, default=Config.heartbeat, help="seconds")
    parser.add_argument("--step-limit", type=float, default=Config.step_limit, help="seconds")
    parser.add_argument("--queue", dest="queue_max", type=int, default=Config.queue_max, help="jobs that may wait")
    return parser


if __name__ == "__main__":
    main()
