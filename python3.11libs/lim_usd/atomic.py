"""Files that appear whole or not at all: made in a locked folder beside their place, synced, then moved there."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from pxr import Tf

if sys.platform != "win32":
    import fcntl

SCRATCH_SUFFIX = ".lim-tmp"
_LOCK = "lock"


class OutputError(ValueError):
    """A place that cannot take the file asked for. The message names it, what was found, and what to do."""


class DiskError(OSError):
    """Writing failed half-way (disk full, quota, I/O error). What was at the final name before is untouched."""


class Scratch:
    """A folder beside `target` for files that are not ready yet; gone, with all it holds, after `close`.

    Its lock is held as long as this process lives, so the next writer knows a left-over from work in progress.
    Raises OutputError where the folder of `target` is missing or closed to us, DiskError where it is full.
    """

    def __init__(self, target: Path) -> None:
        _check_place(target)
        sweep(target.parent)
        with disk_errors(target):
            self.path, self._lock = _locked_folder(target)

    def close(self) -> None:
        """Let go of the folder and remove it; a sweeper that comes between does the same."""
        os.close(self._lock)
        shutil.rmtree(self.path, ignore_errors=True)


def sweep(folder: Path) -> None:
    """Remove what writers that died have left in `folder`; a folder that a living writer holds is left alone."""
    for left in folder.glob(f".*{SCRATCH_SUFFIX}"):
        with contextlib.suppress(OSError):
            lock = os.open(left / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
            if _take(lock):
                shutil.rmtree(left, ignore_errors=True)
            os.close(lock)


def publish(files: Sequence[tuple[Path, Path]], scratch: Path) -> None:
    """Move finished files to their final names, in order, on the disk before they are seen there.

    files    (where it was made, final name) of each; the last is the one that makes the others count
    scratch  a folder on the same disk, where what had those names before waits in case a later one fails

    Raises DiskError; then, and after an interrupt, all names are as they were.
    """
    with contextlib.ExitStack() as undo:
        for number, (ready, target) in enumerate(files):
            with disk_errors(target):
                _make_folder(target.parent, undo)
                with ready.open("rb+") as file:
                    os.fsync(file.fileno())
                _keep_former(target, scratch / f"former {number}", undo)
                ready.replace(target)
                sync_folder(target.parent)
        undo.pop_all()


def _make_folder(folder: Path, undo: contextlib.ExitStack) -> None:
    if not folder.exists():
        undo.callback(_try(folder.rmdir))
        folder.mkdir(exist_ok=True)


def _keep_former(target: Path, former: Path, undo: contextlib.ExitStack) -> None:
    if not target.exists():
        undo.callback(_try(target.unlink))
        return
    try:
        former.hardlink_to(target)
    except OSError:  # a file system without links
        shutil.copy2(target, former)
    undo.callback(_try(lambda: former.replace(target)))


def _try(step: Callable[[], object]) -> Callable[[], None]:
    def tried() -> None:
        with contextlib.suppress(OSError):
            step()

    return tried


def sync_folder(folder: Path) -> None:
    """Make renames in a folder outlive a power cut."""
    if sys.platform == "win32":  # there a folder cannot be opened, and renames are journalled
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def disk_errors(target: Path) -> Iterator[None]:
    """What the system or OpenUSD says about a failed write, as a DiskError that names the file."""
    try:
        yield
    except DiskError:
        raise
    except Tf.ErrorException as error:
        raise DiskError(f"{target}: cannot be written: {_reason(error)}. {_ADVICE}") from error
    except OSError as error:
        raise DiskError(f"{target}: cannot be written: {error.strerror or error}. {_ADVICE}") from error


_ADVICE = "Free some space, or choose another folder; the file that was there before is unchanged."


def _reason(error: Tf.ErrorException) -> str:
    # The first of a chain is the cause; those after it stumble over the truncated file.
    return str(error.args[0].commentary) if error.args else "OpenUSD gave no reason"


def _check_place(target: Path) -> None:
    folder = target.parent
    if not folder.is_dir():
        raise OutputError(f"{target}: the folder {folder} does not exist. Make it, or choose another.")
    if target.is_dir():
        raise OutputError(f"{target}: is a folder. Give a file name.")
    if target.exists() and not os.access(target, os.W_OK):
        raise OutputError(f"{target}: is write-protected. Unlock it, or choose another name.")


def _locked_folder(target: Path) -> tuple[Path, int]:
    while True:
        folder = _new_folder(target)
        # A sweeper may find the folder before it is locked and remove it as a left-over: then make another.
        with contextlib.suppress(FileNotFoundError):
            lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
            _take(lock, wait=True)
            if (folder / _LOCK).exists():
                return folder, lock
            os.close(lock)


def _new_folder(target: Path) -> Path:
    try:
        return Path(tempfile.mkdtemp(SCRATCH_SUFFIX, f".{target.name}.", target.parent))
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        raise OutputError(
            f"{target}: cannot write in {target.parent} ({error.strerror}). Choose another folder."
        ) from error


def _take(lock: int, wait: bool = False) -> bool:
    if sys.platform == "win32":  # no such lock there: nothing is swept, since the living look like the dead
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:  # held by a living writer, or a file system without locks
        return False
    return True
