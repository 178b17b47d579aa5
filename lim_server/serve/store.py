"""Content on disk by name: uploaded blobs, and every result once computed.

An entry is its content and a 16-byte xxh3 checksum, written under a temporary name and moved into place. So an entry
is whole or not there, two writers of one name do no harm (the content of a name never differs), and a damaged file is
found when it is opened, removed, and made again by whoever asks.
"""

from __future__ import annotations

import contextlib
import itertools
import mmap
import os
import socket
import time
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import xxhash

CHECKSUM = 16
DAY = 24 * 3600.0
MAPPED = mmap.MAP_SHARED | mmap.MAP_POPULATE
"""All pages at once: a fault for every few of them costs as much as sending them."""
KEEP = 0.9
"""What share of the limit is left after a trim, so that trims are rare."""

Buffer = bytes | bytearray | memoryview
_count = itertools.count()
_host = socket.gethostname().replace("-", "_")


class Draft:
    """An entry in the making: parts are appended, then `commit` or `discard`.

    Raises OSError (ENOSPC, EFBIG) at once where the disk cannot hold it: the space is allocated, not only promised.
    """

    def __init__(self, store: Store, name: bytes, size: int):
        self.store, self.name, self.size = store, name, size
        self.path = store.scratch_path()
        self.hash, self.filled = xxhash.xxh3_128(), 0
        self.file = self.path.open("xb", buffering=0)
        try:
            os.posix_fallocate(self.file.fileno(), 0, size + CHECKSUM)
        except OSError:
            self.discard()
            raise

    def append(self, part: memoryview) -> None:
        """The next bytes. Raises OSError."""
        _write_all(self.file.fileno(), [part])
        self.hash.update(part)
        self.filled += len(part)

    def commit(self) -> None:
        """Give the entry its checksum and its name."""
        _write_all(self.file.fileno(), [self.hash.digest()])
        self.file.close()
        self.store.adopt(self.path, self.name, self.size + CHECKSUM)

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

    def path(self, name: bytes) -> Path:
        """Where the entry of this name lies."""
        return self.root / name.hex()[:2] / name.hex()

    def has(self, name: bytes) -> bool:
        """Is there an entry; marks it as used. It may still turn out damaged when opened."""
        with contextlib.suppress(OSError):
            os.utime(self.path(name))
            return True
        return False

    def open(self, name: bytes) -> memoryview | None:
        """The content, mapped read-only; None where there is no whole entry. The view keeps the map alive."""
        path = self.path(name)
        try:
            with path.open("rb") as file:
                view = memoryview(mmap.mmap(file.fileno(), 0, MAPPED, mmap.PROT_READ))
            os.utime(path)
        except (OSError, ValueError):
            return None
        if len(view) < CHECKSUM or xxhash.xxh3_128_digest(view[:-CHECKSUM]) != view[-CHECKSUM:]:
            self.remove(name)
            return None
        return view[:-CHECKSUM]

    def put(self, name: bytes, content: Buffer) -> None:
        """Keep the content under the name. Raises OSError where the disk is full."""
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
                    path.unlink(missing_ok=True)
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
                    yield stat.st_mtime, stat.st_size, path


def _write_all(fd: int, buffers: Sequence[Buffer]) -> None:
    for buffer in buffers:
        view = memoryview(buffer).cast("B")
        while view:
            view = view[os.write(fd, view) :]
