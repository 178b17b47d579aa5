"""Entries are whole or not there, whoever writes, dies or damages them."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path

import pytest

from lim_server.serve.store import CHECKSUM, Draft, Store
from lim_server.serve.uploads import UploadError, Uploads

A, B, C = (bytes([n]) * 32 for n in (1, 2, 3))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "cache", limit=1000)


def test_what_was_put_is_found(store: Store) -> None:
    store.put(A, b"content")
    found = store.open(A)
    assert found is not None
    assert bytes(found) == b"content"
    assert store.has(A)
    assert not store.has(B)
    assert store.open(B) is None


@pytest.mark.parametrize("at", [0, 6, -1])
def test_a_damaged_entry_is_found_out_and_removed(store: Store, at: int) -> None:
    store.put(A, b"content")
    data = bytearray(store.path(A).read_bytes())
    data[at] ^= 1
    store.path(A).write_bytes(data)
    assert store.open(A) is None
    assert not store.path(A).exists()


@pytest.mark.parametrize("size", [0, 5, CHECKSUM, 20])
def test_a_truncated_entry_is_found_out(store: Store, size: int) -> None:
    store.put(A, b"content of some length")
    os.truncate(store.path(A), size)
    assert store.open(A) is None


def test_trim_removes_the_least_recently_used_and_spares_what_is_in_use(store: Store) -> None:
    for i, name in enumerate((A, B, C)):
        store.put(name, bytes(400))
        os.utime(store.path(name), (i, i))
    store.open(A)
    assert store.trim(keep={B}) == 400 + CHECKSUM
    assert store.has(A)
    assert store.has(B)
    assert not store.has(C)
    assert store.used <= store.limit


def test_an_open_entry_outlives_its_removal(store: Store) -> None:
    store.put(A, b"content")
    view = store.open(A)
    store.remove(A)
    assert view is not None
    assert bytes(view) == b"content"


WRITER = """
import sys
from pathlib import Path
from lim_server.serve.store import Store
store = Store(Path(sys.argv[1]), 1 << 40)
print("go", flush=True)
while True:
    for n in range(8):
        store.put(bytes([n]) * 32, bytes([n]) * 3_000_000)
"""


def test_two_writers_and_kills_while_writing_leave_only_whole_entries(store: Store) -> None:
    for _ in range(5):
        writers = [
            subprocess.Popen([sys.executable, "-c", WRITER, store.root], stdout=subprocess.PIPE) for _ in range(2)
        ]
        for writer in writers:
            assert writer.stdout is not None
            writer.stdout.readline()
        time.sleep(0.05)
        for writer in writers:
            writer.kill()
            writer.wait()
            writer.stdout.close()  # type: ignore[union-attr]
        for n in range(8):
            view = store.open(bytes([n]) * 32)
            assert view is None or bytes(view) == bytes([n]) * 3_000_000
            assert view is not None or not store.path(bytes([n]) * 32).exists()
    store.sweep()
    assert list((store.root / "tmp").iterdir()) == []


def test_sweep_spares_live_writers(store: Store) -> None:
    draft = Draft(store, A, 10)
    store.sweep()
    assert draft.path.exists()
    draft.discard()
    assert not draft.path.exists()


def test_a_full_disk_raises_and_leaves_nothing(store: Store) -> None:
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, old[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            store.put(A, bytes(5000))
        with pytest.raises(OSError, match="File too large"):
            Draft(store, A, 5000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, handler)
    assert not store.has(A)
    assert list((store.root / "tmp").iterdir()) == []


def fill(uploads: Uploads, digest: bytes, content: bytes, offset: int, size: int) -> int:
    return uploads.take(digest, len(content), offset, memoryview(content)[offset : offset + size])


def test_parts_in_order_make_a_blob(store: Store) -> None:
    uploads = Uploads(store, 100)
    name = sha256(b"0123456789").digest()
    assert fill(uploads, name, b"0123456789", 0, 6) == 6
    assert not store.has(name)
    assert fill(uploads, name, b"0123456789", 6, 4) == 10
    view = store.blob(name)
    assert view is not None
    assert bytes(view) == b"0123456789"
    assert uploads.drafts == {}


def test_a_blob_that_is_not_what_its_name_says_is_removed(store: Store) -> None:
    fill(Uploads(store, 100), A, b"0123456789", 0, 10)
    assert store.has(A)
    assert store.blob(A) is None
    assert not store.has(A)


def test_what_was_whole_and_then_changed_is_checked_again(store: Store) -> None:
    store.put(A, b"content")
    assert store.open(A) is not None
    store.path(A).write_bytes(b"damaged" + store.path(A).read_bytes()[7:])
    assert store.open(A) is None


@pytest.mark.parametrize(("total", "offset", "size"), [(10, 5, 5), (9, 6, 3), (10, 6, 5), (10, 7, 3)])
def test_parts_that_do_not_follow_are_refused(store: Store, total: int, offset: int, size: int) -> None:
    uploads = Uploads(store, 100)
    fill(uploads, A, b"0123456789", 0, 6)
    if (total, offset) == (10, 5):
        uploads.abandon()
    with pytest.raises(UploadError, match="does not follow"):
        uploads.take(A, total, offset, memoryview(bytes(size)))


def test_limits_of_uploads(store: Store) -> None:
    uploads = Uploads(store, 100)
    for total in (0, 101, 2**50):
        with pytest.raises(UploadError, match="at most 100"):
            uploads.take(A, total, 0, memoryview(b"x"))
    for n in range(4):
        uploads.take(bytes([n]) * 32, 10, 0, memoryview(b"x"))
    with pytest.raises(UploadError, match="more than 4"):
        uploads.take(bytes(32)[:31] + b"x", 10, 0, memoryview(b"x"))
    uploads.abandon()
    assert list((store.root / "tmp").iterdir()) == []
