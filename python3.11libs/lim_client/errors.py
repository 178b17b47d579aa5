"""What can go wrong between a client and its server. Every text says what to do."""

from __future__ import annotations


class ServerError(Exception):
    """Base of all: the server, or the way to it, is in trouble."""


class NotReachable(ServerError):
    """No server answers, and none could be started."""


class AccessDenied(ServerError):
    """The server does not know this client's key, or wants one."""


class VersionMismatch(ServerError):
    """Client and server speak different protocols."""


class JobFailed(ServerError):
    """The server could not do the job. `code` is that of the protocol's Error."""

    def __init__(self, code: str, text: str):
        super().__init__(text)
        self.code = code
