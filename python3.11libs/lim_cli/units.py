"""Up axis and unit of length: what files say, what the command line says instead, and what all agree on."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar, cast

from lim_cli.check import diagonal
from lim_cli.errors import BadInput
from lim_cli.frames import frame_text, parse_frame
from lim_cli.words import Key
from lim_usd.source import Source, UpAxis, converted

METRES = {"mm": 0.001, "cm": 0.01, "dm": 0.1, "m": 1.0, "km": 1000.0, "in": 0.0254, "ft": 0.3048, "yd": 0.9144}
MOST_GROWTH = 8.0  # no pose is that much larger than another; the nearest mistaken unit is 10 (mm for cm)

T = TypeVar("T")


def agreed(
    keys: Sequence[Key], sources: Sequence[Source], up_axis: str | None, units: str | None
) -> tuple[list[Source], list[str]]:
    """The sources in one up axis and one unit: those of the first keyframe that says.

    up_axis  `Y` or `Z`: what the files are in, whatever they say; or `FRAME=Y,FRAME=Z` for some of them
    units    in the same way `cm`, or metres in a unit such as `0.01`, or `FRAME=cm,FRAME=m`

    What no file and no option says stays None. Raises BadInput for words that are not such, and for keyframes of
    sizes so different that their units must be.
    """
    axes = _by_key("--up-axis", up_axis, keys, _parse_axis)
    lengths = _by_key("--units", units, keys, metres_of)
    said = [
        replace(source, up_axis=axis or source.up_axis, metres_per_unit=length or source.metres_per_unit)
        for source, axis, length in zip(sources, axes, lengths, strict=True)
    ]
    axis = next((source.up_axis for source in said if source.up_axis), None)
    length = next((source.metres_per_unit for source in said if source.metres_per_unit), None)
    notes = [*_silent(keys, said, axis, length)]
    for key, source in zip(keys, said, strict=True):
        if source.up_axis and source.up_axis != axis:
            notes.append(f"{key}: turned from {source.up_axis} up to {axis} up")
        if source.metres_per_unit and length and not math.isclose(source.metres_per_unit, length):
            factor = source.metres_per_unit / length
            notes.append(f"{key}: scaled by {factor:.6g}, from {_unit(source.metres_per_unit)} to {_unit(length)}")
    alike = [converted(source, axis, length) for source in said]
    _check_sizes(keys, alike)
    return alike, notes


def _silent(keys: Sequence[Key], said: Sequence[Source], axis: UpAxis | None, length: float | None) -> list[str]:
    """Which files are only taken to be in the axis and unit that another file states."""
    no_axis = [key for key, source in zip(keys, said, strict=True) if axis and not source.up_axis]
    no_unit = [key for key, source in zip(keys, said, strict=True) if length and not source.metres_per_unit]
    notes = []
    if no_axis:
        notes.append(f"{_listed(no_axis)} no up axis, taken as {axis} up like the others")
    if no_unit and length:
        notes.append(f"{_listed(no_unit)} no unit, taken as {_unit(length)} like the others")
    return notes


def _listed(keys: Sequence[Key]) -> str:
    frames = ", ".join(frame_text(key.time) for key in keys[:10]) + (", ..." if len(keys) > 10 else "")
    return f"keyframe {frames} states" if len(keys) == 1 else f"keyframes {frames} state"


def _check_sizes(keys: Sequence[Key], sources: Sequence[Source]) -> None:
    first = diagonal(sources[0].mesh.points)
    for key, source in zip(keys, sources, strict=True):
        ratio = diagonal(source.mesh.points) / first
        if 1 / MOST_GROWTH <= ratio <= MOST_GROWTH:
            continue
        size = f"{_rounded(ratio)} times larger" if ratio > 1 else f"{_rounded(1 / ratio)} times smaller"
        one, other = _likely(ratio)
        raise BadInput(
            f"{key}: {size} than {keys[0]}, so they are likely in different units. Say which with "
            f"--units {frame_text(keys[0].time)}={one},{frame_text(key.time)}={other}, or export both in one unit."
        )


def _rounded(ratio: float) -> str:
    if ratio >= 1e6:
        return f"{ratio:.0e}"
    return f"{ratio:,.0f}" if ratio >= 20 else f"{ratio:.1f}"


def _likely(ratio: float) -> tuple[str, str]:
    """The two units whose mistaking gives sizes of such a ratio; placeholders where none does."""
    pairs = (("m", "cm"), ("m", "mm"), ("cm", "mm"), ("m", "in"), ("ft", "in"), ("km", "m"), ("in", "mm"))
    best = min(pairs, key=lambda pair: abs(math.log(METRES[pair[0]] / METRES[pair[1]]) - abs(math.log(ratio))))
    if abs(math.log(METRES[best[0]] / METRES[best[1]]) - abs(math.log(ratio))) > math.log(1.3):
        return "UNIT", "UNIT"
    return best if ratio > 1 else (best[1], best[0])


def _by_key(option: str, text: str | None, keys: Sequence[Key], parse: Callable[[str, str], T]) -> list[T | None]:
    if text is None:
        return [None] * len(keys)
    if "=" not in text:
        return [parse(option, text.strip())] * len(keys)
    said: dict[float, T] = {}
    for word in text.split(","):
        frame, _, value = word.partition("=")
        time = parse_frame(frame.strip())
        if time is None or not any(key.time == time for key in keys):
            frames = ", ".join(frame_text(key.time) for key in keys[:10])
            raise BadInput(f"{option} {text}: {frame.strip()!r} is not a keyframe. Keyframes are {frames}.")
        said[time] = parse(option, value.strip())
    return [said.get(key.time) for key in keys]


def _parse_axis(option: str, text: str) -> UpAxis:
    if text.upper() not in ("Y", "Z"):
        raise BadInput(f"{option} {text}: not an up axis. Write Y or Z, or FRAME=Y,FRAME=Z.")
    return cast(UpAxis, text.upper())


def metres_of(option: str, text: str) -> float:
    """How many metres the unit is. Raises BadInput naming the option."""
    if text.lower() in METRES:
        return METRES[text.lower()]
    number = parse_frame(text)
    if not number or number < 0:
        raise BadInput(
            f"{option} {text}: not a unit. Write {', '.join(METRES)}, or how many metres it is, such as 0.01; or "
            "FRAME=UNIT,FRAME=UNIT."
        )
    return number


def _unit(metres: float) -> str:
    return next((name for name, value in METRES.items() if math.isclose(value, metres)), f"units of {metres:g} m")
