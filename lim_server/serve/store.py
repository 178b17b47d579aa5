"""Content on disk by name: uploaded blobs, and every result once computed.

An entry is written under a temporary name and moved into place. So it is whole or not there, and two writers of one
name do no harm (the content of a name never differs). A record ends in a 16-byte xxh3 checksum; a blob's name is its
checksum. A damaged file is found when it is first opened, removed, and made or sent again.
"""

from __future__ import annotations

import contextlib
import itertools
import mmap
import os
import socket
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from hashlib import sha256
from pathlib import Path

import xxhash

CHECKSUM = 16
DAY = 24 * 3600.0
MAPPED = mmap.MAP_SHARED | mmap.MAP_POPULATE
"""All pages at once: a fault for every few of them costs as much as sending them."""
USE_EVERY = 10.0
"""Seconds after which a use is noted again."""
KEEP = 0.9
"""What share of the limit is left after a trim, so that trims are rare."""

Buffer = bytes | bytearray | memoryview
_count = itertools.count()
_host = socket.gethostname().replace("-", "_")


class Draft:
    """A blob in the making: parts are appended, then `commit` or `discard`.

    Raises OSError (ENOSPC, EFBIG) at once where the disk cannot hold it: the space is allocated, not only promised.
    """

    def __init__(self, store: Store, name: bytes, size: int):
        self.store, self.name, self.size = store, name, size
        self.path = store.scratch_path()
        self.filled = 0
        self.file = self.path.open("xb", buffering=0)
        try:
            os.posix_fallocate(self.file.fileno(), 0, size)
        except OSError:
            self.discard()
            raise

    def append(self, part: memoryview) -> None:
        """The next bytes. Raises OSError."""
        _write_all(self.file.fileno(), [part])
        self.filled += len(part)

    def commit(self) -> None:
        """Give the blob its name."""
        self.file.close()
        self.store.adopt(self.path, self.name, self.size)

    def discard(self) -> None:
        """Leave nothing behind."""
        self.file.close()
        self.path.unlink(missing_ok=True)


class Store:
    """A folder of entries. `limit` bounds the bytes it keeps; only the owner that calls `trim` removes any."""

    def __init__(self, root: Path, limit: int):
        self.root, self.limit = root, limit
        (root / "tmp").mkdir(parents=True, exist_ok=True, mode=0o700)
        self.used = 0
        self.checked: dict[bytes, tuple[int, int, int]] = {}

    def path(self, name: bytes) -> Path:
        """Where the entry of this name lies."""
        return self.root / name.hex()[:2] / name.hex()

    def has(self, name: bytes) -> bool:
        """Is there an entry; marks it as used. It may still turn out damaged when opened."""
        with contextlib.suppress(OSError):
            self._use(self.path(name))
            return True
        return False

    def open(self, name: bytes) -> memoryview | None:
        """A record, mapped read-only; None where there is no whole one. The view keeps the map alive."""
        view = self._open(name, _sealed)
        return None if view is None else view[:-CHECKSUM]

    def blob(self, digest: bytes) -> memoryview | None:
        """A blob, mapped read-only; None where there is none that is what its name says."""
        return self._open(digest, lambda view: sha256(view).digest() == digest)

    def _open(self, name: bytes, whole: Callable[[memoryview], bool]) -> memoryview | None:
        """An entry that was found whole, or is as it was when it was."""
        try:
            file = os.open(self.path(name), os.O_RDONLY)
        except OSError:
            return None
        try:
            state = self._use(file)
            view = memoryview(mmap.mmap(file, state[2], MAPPED, mmap.PROT_READ)) if state[2] else memoryview(b"")
        finally:
            os.close(file)
        if self.checked.get(name) != state and not whole(view):
            self.remove(name)
            return None
        self.checked[name] = state
        return view

    def _use(self, file: int | Path) -> tuple[int, int, int]:
        """Note that the entry is in use. Returns what changes when somebody else writes to the file."""
        stat = os.stat(file)  # noqa: PTH116 - a descriptor too
        if time.time() - stat.st_atime > USE_EVERY:
            os.utime(file, ns=(time.time_ns(), stat.st_mtime_ns))
        return stat.st_ino, stat.st_mtime_ns, stat.st_size

    def put(self, name: bytes, content: Buffer) -> None:
        """Keep a record under the name. Raises OSError where the disk is full."""
        path = self.scratch_path()
        try:
            with path.open("xb", buffering=0) as file:
                _write_all(file.fileno(), [memoryview(content), xxhash.xxh3_128_digest(content)])
        except OSError:
            path.unlink(missing_ok=True)
            raise
        self.adopt(path, name, len(content) + CHECKSUM)

    def scratch_path(self) -> Path:
        """A name for a file in the making, which tells whose it is."""
        return self.root / "tmp" / f"{_host}-{os.getpid()}-{next(_count)}"

    def adopt(self, path: Path, name: bytes, size: int) -> None:
        """Move a finished file to its name."""
        target = self.path(name)
        target.parent.mkdir(exist_ok=True, mode=0o700)
        path.replace(target)
        self.used += size

    def remove(self, name: bytes) -> None:
        """Forget an entry. Who has it open keeps its content."""
        self.checked.pop(name, None)
        self.path(name).unlink(missing_ok=True)

    def trim(self, keep: Collection[bytes] = ()) -> int:
        """Bring the store under its limit, least recently used first, sparing `keep`. Returns bytes removed."""
        entries = sorted(self._entries(), key=lambda e: e[0])
        self.used = sum(size for _, size, _ in entries)
        removed = 0
        if self.used > self.limit:
            spared = {name.hex() for name in keep}
            for _, size, path in entries:
                if self.used - removed <= self.limit * KEEP:
                    break
                if path.name not in spared:
                    self.remove(bytes.fromhex(path.name))
                    removed += size
        self.used -= removed
        return removed

    def sweep(self) -> None:
        """Remove what dead processes left half-written."""
        for path in (self.root / "tmp").iterdir():
            with contextlib.suppress(OSError):
                host, pid = path.name.split("-")[:2]
                dead = host == _host and not Path(f"/proc/{pid}").exists()
                if dead or time.time() - path.stat().st_mtime > DAY:
                    path.unlink()

    def _entries(self) -> Iterator[tuple[float, int, Path]]:
        for folder in self.root.iterdir():
            if len(folder.name) != 2:
                continue
            for path in folder.iterdir():
                with contextlib.suppress(OSError):
                    stat = path.stat()
                    yield stat.st_atime, stat.st_size, path


def _sealed(view: memoryview) -> bool:
    return len(view) >= CHECKSUM and xxhash.xxh3_128_digest(view[:-CHECKSUM]) == view[-CHECKSUM:]


def _write_all(fd: int, buffers: Sequence[Buffer]) -> None:
    for buffer in buffers:
        view = memoryview(buffer).cast("B")
        while view:
            view = view[os.write(fd, view) :]
