"""What the command says when it cannot do what it was asked, and with which exit code."""

from __future__ import annotations

import sys

BAD_INPUT, SERVER_TROUBLE, DISK_TROUBLE, INTERRUPTED = 2, 3, 4, 130


class BadInput(Exception):
    """Words or files that a person must fix. The message names the thing, what was found, and what to do."""

    exit_code = BAD_INPUT


class Interrupted(BaseException):
    """Ctrl-C. No KeyboardInterrupt, which the command line's library would turn into an exit code of its own."""


def exit_code_of(error: Exception) -> int | None:
    """The exit code of an expected error; None for one that nobody expected."""
    from lim_client.errors import JobFailed, ServerError

    if isinstance(error, BadInput) or (isinstance(error, JobFailed) and error.code == "bad-input"):
        return BAD_INPUT
    if isinstance(error, ServerError):
        return SERVER_TROUBLE
    if isinstance(error, OSError):
        return DISK_TROUBLE
    usd = sys.modules.get("lim_usd.atomic")
    if usd is not None and isinstance(error, usd.OutputError):
        return BAD_INPUT
    if usd is not None and isinstance(error, usd.DiskError):
        return DISK_TROUBLE
    return None
