"""Patterns for a numbered sequence of files: `scan.####.obj`, `scan.%04d.obj`, `scan.$F4.obj`."""

from __future__ import annotations

import glob
import re
from pathlib import Path

_PLACEHOLDER = re.compile(r"#+|%(?:0\d+)?d|\$F\d*(?![A-Za-z0-9])")
_MOST_DIGITS = 15


def is_pattern(word: str) -> bool:
    """Whether the word has a place for a frame number, and no file has just that name."""
    return bool(_PLACEHOLDER.search(word)) and not Path(word).exists()


def filled(pattern: str, frame: int) -> Path:
    """The file of one frame. As everywhere, a minus counts as one of the digits: -1 in #### is -001."""
    return Path(_PLACEHOLDER.sub(lambda match: f"{frame:0{_width(match[0])}d}", pattern))


def on_disk(pattern: str) -> dict[int, Path]:
    """Every file that the pattern makes for some frame, sorted by frame."""
    literal = _PLACEHOLDER.split(pattern)
    matcher = re.compile(r"(-?\d+)".join(map(re.escape, literal)))
    found = {}
    for name in glob.glob("*".join(map(glob.escape, literal))):  # noqa: PTH207 - the pattern may be absolute
        match = matcher.fullmatch(name)
        if match and len(match[1]) <= _MOST_DIGITS and filled(pattern, int(match[1])) == Path(name):
            found[int(match[1])] = Path(name)
    return dict(sorted(found.items()))


def _width(placeholder: str) -> int:
    digits = re.sub(r"\D", "", placeholder)
    return min(placeholder.count("#") or int(digits or 0), _MOST_DIGITS)
