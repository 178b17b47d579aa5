"""What a node says when it cannot do what it was asked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from lim_cli.errors import BadInput, exit_code_of


class Refused(BadInput):
    """An input or a parameter that a person must fix. The message names it, what was found, and what to do."""


def is_expected(error: Exception) -> bool:
    """Is the message all that a person needs?"""
    return exit_code_of(error) is not None


@contextmanager
def told() -> Iterator[None]:
    """Expected errors turn the node red with their message alone, without a traceback."""
    import hou

    try:
        yield
    except Exception as error:
        if not is_expected(error):
            raise
        raise hou.NodeError(str(error)) from None
