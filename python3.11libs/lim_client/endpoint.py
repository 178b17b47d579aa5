"""Where a server is: a zmq endpoint, with the server's public key where it asks for keys.

Written `ipc:///path/server.ipc`, `tcp://127.0.0.1:5557` or `tcp://farm01:5557?key=<64 hex digits>`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

FORM = re.compile(r"(?P<address>ipc:///[^?]+|tcp://[^/?]+:\d+)(\?key=(?P<key>[0-9a-fA-F]{64}))?")


@dataclass(frozen=True)
class Endpoint:
    """An address zmq can connect to, and the server's CURVE public key (32 bytes) or None."""

    address: str
    key: bytes | None = None

    @classmethod
    def parse(cls, text: str) -> Endpoint:
        """Raises ValueError with the forms that are understood."""
        match = FORM.fullmatch(text)
        if match is None:
            raise ValueError(
                f"'{text}' is no server: write ipc:///path, tcp://host:port or tcp://host:port?key=<server's key>"
            )
        key = match["key"]
        return cls(match["address"], bytes.fromhex(key) if key else None)

    @property
    def local(self) -> bool:
        """Is it a socket in this machine's file system?"""
        return self.address.startswith("ipc://")

    def __str__(self) -> str:
        return self.address + (f"?key={self.key.hex()}" if self.key else "")
