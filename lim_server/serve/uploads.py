"""Blobs on their way in, part after part."""

from __future__ import annotations

from lim_server.serve.store import Draft, Store

PER_SESSION = 4


class UploadError(Exception):
    """The peer's parts do not make a blob; the text says why."""


class Uploads:
    """The unfinished blobs of one session."""

    def __init__(self, store: Store, record_max: int):
        self.store, self.record_max = store, record_max
        self.drafts: dict[bytes, Draft] = {}

    def take(self, digest: bytes, total: int, offset: int, part: memoryview) -> int:
        """Add a part; the last one makes the blob an entry. Returns the bytes received so far.

        Raises UploadError for parts that do not follow, OSError where the disk is full.
        """
        if offset == 0:
            self._begin(digest, total)
        draft = self.drafts.get(digest)
        if draft is None or draft.size != total or offset != draft.filled or offset + len(part) > total:
            raise UploadError(f"blob part {offset}+{len(part)} of {total} does not follow; send the blob from 0")
        draft.append(part)
        if draft.filled == draft.size:
            del self.drafts[digest]
            draft.commit()
        return draft.filled

    def abandon(self) -> None:
        """The session is over."""
        for draft in self.drafts.values():
            draft.discard()
        self.drafts.clear()

    def _begin(self, digest: bytes, total: int) -> None:
        if not 0 < total <= self.record_max:
            raise UploadError(f"blob of {total} bytes, at most {self.record_max} are taken")
        if digest in self.drafts:
            self.drafts.pop(digest).discard()
        if len(self.drafts) >= PER_SESSION:
            raise UploadError(f"more than {PER_SESSION} blobs at once")
        self.drafts[digest] = Draft(self.store, digest, total)
