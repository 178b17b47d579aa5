"""Blobs on their way in: each part is received straight into the file that will be the entry."""

from __future__ import annotations

from lim_server.serve.store import Draft, Store

PER_SESSION = 4


class UploadError(Exception):
    """The peer's parts do not make a blob; the text says why."""


class Uploads:
    """The unfinished blobs of one session."""

    def __init__(self, store: Store, record_max: int):
        self.store, self.record_max = store, record_max
        self.drafts: dict[bytes, tuple[Draft, int]] = {}

    def slot(self, digest: bytes, total: int, offset: int, size: int) -> memoryview:
        """Where the part's bytes go. Raises UploadError, or OSError where the disk is full."""
        if offset == 0:
            self._begin(digest, total)
        draft, received = self.drafts.get(digest, (None, 0))
        if draft is None or draft.size != total or offset != received or offset + size > total:
            raise UploadError(f"blob part {offset}+{size} of {total} does not follow; send the blob again from 0")
        return draft.view[offset : offset + size]

    def advance(self, digest: bytes, size: int) -> int:
        """Note that a slot was filled; the last one makes the blob an entry. Returns bytes received so far."""
        draft, received = self.drafts[digest]
        received += size
        self.drafts[digest] = (draft, received)
        if received == draft.size:
            del self.drafts[digest]
            draft.commit()
        return received

    def abandon(self) -> None:
        """The session is over."""
        for draft, _ in self.drafts.values():
            draft.discard()
        self.drafts.clear()

    def _begin(self, digest: bytes, total: int) -> None:
        if not 0 < total <= self.record_max:
            raise UploadError(f"blob of {total} bytes, at most {self.record_max} are taken")
        if digest in self.drafts:
            self.drafts.pop(digest)[0].discard()
        if len(self.drafts) >= PER_SESSION:
            raise UploadError(f"more than {PER_SESSION} blobs at once")
        self.drafts[digest] = (Draft(self.store, digest, total), 0)
