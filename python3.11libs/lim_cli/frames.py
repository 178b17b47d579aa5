"""Lists of frames as people type them: `1001-1024`, `1001-1024x0.5`, `1001,1003,1010-1012`."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from fractions import Fraction

from lim_cli.errors import BadInput

FRAME = r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)"
MOST_FRAMES = 100_000
EXAMPLES = "Write frames as 1001-1024, 1001-1024x0.5, or 1001,1003,1010-1012."

_ITEM = re.compile(rf"({FRAME})(?:\s*-\s*({FRAME})(?:\s*x\s*({FRAME}))?)?")


def frame_text(time: float) -> str:
    """A frame as a person would write it: 1001, 1001.5, -3."""
    return f"{time:.10g}"


def parse_frame(text: str) -> float | None:
    """The frame that `text` is, or None where it is not one number."""
    return float(Fraction(text)) if re.fullmatch(FRAME, text) and len(text) <= 20 else None


def listed_frames(text: str, option: str) -> list[float]:
    """The frames of `text` in the order they were written, repeats included. Steps are exact: 1001 + k * 0.1
    is the float nearest to the true value, however large k is.

    Raises BadInput naming `option` for anything that is not a list of frames, for ranges that run backwards,
    and above 100,000 frames.
    """
    frames: list[float] = []
    for item in text.split(","):
        frames += _frames_of(item.strip(), text, option, MOST_FRAMES - len(frames))
    return frames


def parse_frames(text: str, option: str = "--frames") -> tuple[float, ...]:
    """The frames of `text`, sorted, each once. Errors as in `listed_frames`."""
    return tuple(sorted(set(listed_frames(text, option))))


def shot_frames(keys: Sequence[float], frames: str | None, hold: bool) -> tuple[float, ...]:
    """The frames to write; without words for them, every whole frame between the first key and the last, and keys."""
    if frames is None:
        return tuple(sorted({*keys, *map(float, range(math.ceil(keys[0]), math.floor(keys[-1]) + 1))}))
    asked = parse_frames(frames)
    within(asked, keys[0], keys[-1], hold)
    return asked


def within(times: Iterable[float], first: float, last: float, hold: bool = False) -> tuple[float, ...]:
    """The times to track for `times`, sorted, each once: those in the range of the keys.

    With `hold`, a time outside stands for the key at that end. Without it, times outside raise BadInput.
    """
    times = sorted(set(times))
    outside = [time for time in times if not first <= time <= last]
    if outside and not hold:
        raise BadInput(
            f"--frames: {_few(outside)} outside the keyframes, which run from {frame_text(first)} to "
            f"{frame_text(last)}. Ask for frames in that range, add a keyframe, or hold the end poses with --hold."
        )
    return tuple(sorted({min(max(time, first), last) for time in times}))


def _frames_of(item: str, text: str, option: str, room: int) -> list[float]:
    match = _ITEM.fullmatch(item)
    if not match or len(item) > 60:
        shown = f"{item!r} in {text!r}" if item != text else repr(text)
        raise BadInput(f"{option}: {shown[:200]} is not a list of frames. {EXAMPLES}")
    first = Fraction(match[1])
    last = Fraction(match[2]) if match[2] else first
    step = Fraction(match[3]) if match[3] else Fraction(1)
    if step <= 0:
        raise BadInput(f"{option}: the step of {item!r} is {match[3]}. A step must be above zero.")
    if last < first:
        raise BadInput(f"{option}: {item!r} runs backwards. Write {match[2]}-{match[1]}.")
    count = (last - first) // step + 1
    if count > room:
        raise BadInput(
            f"{option}: {text[:200]!r} is more than {MOST_FRAMES:,} frames. Ask for fewer, or take a larger step."
        )
    return [float(first + i * step) for i in range(count)]


def _few(times: list[float]) -> str:
    shown = ", ".join(frame_text(time) for time in times[:3])
    if len(times) > 3:
        return f"{len(times)} frames ({shown}, ...) lie"
    return f"frame {shown} lies" if len(times) == 1 else f"frames {shown} lie"
