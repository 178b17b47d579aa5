"""Frames beyond the keyframes, in the words of the Retime SOP: hold, extend, cycle, zigzag."""

from __future__ import annotations

from dataclasses import dataclass

ENDS = ("hold", "extend", "cycle", "zigzag")


@dataclass(frozen=True)
class Moment:
    """What to make of a frame.

    time    a frame within the keys
    beyond  frames to go on from there along the velocity
    pace    what velocities are multiplied by: 0 where nothing moves, -1 where it runs back
    """

    time: float
    beyond: float = 0.0
    pace: float = 1.0


def moment(frame: float, first: float, last: float, before: str, after: str) -> Moment:
    """Where `frame` lies in keys from `first` to `last`; `before` and `after` are words of ENDS."""
    if first <= frame <= last:
        return Moment(frame)
    end, how, span = (first, before, last - first) if frame < first else (last, after, last - first)
    if how == "hold":
        return Moment(end, pace=0.0)
    if how == "extend":
        return Moment(end, beyond=frame - end)
    if how == "cycle":
        return Moment(first + (frame - first) % span)
    assert how == "zigzag", how
    phase = (frame - first) % (2 * span)
    return Moment(first + phase) if phase <= span else Moment(last - (phase - span), pace=-1.0)
