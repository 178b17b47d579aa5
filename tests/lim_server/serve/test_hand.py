"""What a worker holds in memory of the shots it worked on."""

from __future__ import annotations

import pytest

from lim_server.serve.ops import Hand


def test_the_last_shots_are_held_and_what_failed_is_not() -> None:
    hand, made = Hand(most=2), list[str]()

    def make(name: str) -> str:
        made.append(name)
        return name.upper()

    def fail() -> str:
        raise RuntimeError("cancelled")

    with pytest.raises(RuntimeError):
        hand.get(b"a", fail)
    for name in ("a", "b", "a", "c", "a", "b"):
        assert hand.get(name.encode(), lambda name=name: make(name)) == name.upper()
    assert made == ["a", "b", "c", "b"]
