"""Which file stands at which frame: the KEYFRAME words of the command line, before any file is read."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lim_cli.errors import BadInput
from lim_cli.frames import FRAME, frame_text, listed_frames, parse_frame
from lim_cli.patterns import filled, is_pattern, on_disk
from lim_cli.readers import is_usd, stage_samples

MOST_IMPLIED = 200  # keyframes nobody asked for one by one: every one of them is read, sent and matched

_ALONE = re.compile(r"(?:(?<=[._ ])-)?(?<![^._ \-])\d+(?![^._ \-])")


@dataclass(frozen=True)
class Key:
    """A file and the frame it stands at."""

    time: float
    path: Path

    def __str__(self) -> str:
        return f"keyframe {frame_text(self.time)} ({self.path})"


def resolve(words: Sequence[str], keys: str | None, prim: str | None = None) -> tuple[list[Key], list[str]]:
    """The keys that the words stand for, sorted by frame, and what to tell about them.

    words  `FRAME=PATH`; paths with a frame number in the name; or one pattern or one USD stage
    keys   frames of the pattern or the stage, as in `listed_frames`; None takes all there are
    prim   whose time samples a stage is asked for; None for all its meshes

    Raises BadInput for words that do not say their frame, two keys at one frame, fewer than two keys, and
    files that are not there.
    """
    try:
        return _resolved(words, keys, prim)
    except OSError as error:
        raise BadInput(f"{error.filename}: {error.strerror}. Check the path.") from error


def _resolved(words: Sequence[str], keys: str | None, prim: str | None) -> tuple[list[Key], list[str]]:
    given, notes = _given(words, keys, prim)
    ordered = sorted(given, key=lambda key: key.time)
    if [key.time for key in given] != [key.time for key in ordered]:
        notes.append(f"keyframes out of order, sorted: {', '.join(frame_text(key.time) for key in ordered)}")
    for one, two in itertools.pairwise(ordered):
        if one.time == two.time:
            raise BadInput(
                f"two keyframes at frame {frame_text(one.time)}: {one.path} and {two.path}. Keep one of them, "
                f"or say another frame: FRAME={two.path}."
            )
    for key in ordered:
        _must_exist(key, key.path)
    if len(ordered) == 1:
        raise BadInput(f"one keyframe only: {ordered[0]}. A track runs between at least two; add another.")
    return ordered, notes


def frame_in_name(path: Path) -> float:
    """The frame number in a file's name: the last number that stands alone before the suffix (`scan.1001.obj`,
    `v002/scan_1009.ply`), or else the one that ends the name (`pose12.obj`). A minus counts after a dot, an
    underscore or a space. A folder has no suffix. Raises BadInput where there is none, or where it could be a version
    or a subframe.
    """
    stem = path.name[: -len(path.suffix)] if path.suffix and not path.is_dir() else path.name
    alone = list(_ALONE.finditer(stem))
    if alone and len(alone[-1][0]) <= 15:
        last = alone[-1]
        if re.search(r"(?<![^._ \-])\d+\.$", stem[: last.start()]) and len(last[0]) <= 3:
            raise BadInput(
                f"{path}: frame {last[0]}, or a subframe? The name does not say. Write FRAME=PATH, "
                f"such as 1001.5={path}."
            )
        return float(last[0])
    ending = re.search(r"([A-Za-z]*)(\d{1,15})$", stem)
    if ending and ending[1].lower() != "v":
        return float(ending[2])
    found = f"only the version {ending[0]} in its name" if ending else "no frame number in its name"
    hint = f" If this was a pattern, quote it: '{path.parent / 'scan.$F4.obj'}'." if ".." in path.name else ""
    raise BadInput(f"{path}: {found}. Write FRAME=PATH, such as 1001={path}.{hint}")


def _given(words: Sequence[str], keys: str | None, prim: str | None) -> tuple[list[Key], list[str]]:
    patterns = [word for word in words if is_pattern(word) and not _frame_and_path(word)]
    if not words:
        raise BadInput("no keyframes. Name at least two, such as 1001=a.obj 1024=b.obj.")
    if patterns and len(words) > 1:
        raise BadInput(
            f"{patterns[0]}: a pattern stands alone, but there are {len(words)} words. Give one pattern with "
            "--keys, or name each file: FRAME=PATH."
        )
    if patterns:
        return _of_pattern(patterns[0], keys)
    if len(words) == 1 and is_usd(Path(words[0])) and not _frame_and_path(words[0]):
        return _of_stage(Path(words[0]), keys, prim)
    if keys is not None:
        raise BadInput(
            f"--keys {keys}: goes with one pattern (scan.####.obj) or one USD stage, but there are {len(words)} "
            f"words, the first {words[0]}. Name each file with its frame instead: FRAME=PATH."
        )
    return [key_of(word) for word in words], []


def key_of(word: str, unsaid: Callable[[Path], float] = frame_in_name) -> Key:
    """The key of a FRAME=PATH word, or of a path, whose frame `unsaid` tells. Raises BadInput."""
    pair = _frame_and_path(word)
    if pair:
        time, path = pair
        if not path:
            raise BadInput(f"{word}: no path after the frame. Write FRAME=PATH, such as {word}scan.obj.")
        return Key(time, Path(path))
    before, equals, _ = word.partition("=")
    if equals and "/" not in before and not Path(word).exists():
        raise BadInput(f"{word}: {before!r} is not a frame. Write FRAME=PATH, such as 1001=scan.obj or 12.5=b.ply.")
    return Key(unsaid(Path(word)), Path(word))


def _frame_and_path(word: str) -> tuple[float, str] | None:
    match = re.match(rf"({FRAME})=", word)
    time = parse_frame(match[1]) if match else None
    # Shells do not expand a ~ that stands after an equals sign.
    return None if match is None or time is None else (time, os.path.expanduser(word[match.end() :]))  # noqa: PTH111


def _of_pattern(pattern: str, keys: str | None) -> tuple[list[Key], list[str]]:
    found = on_disk(pattern)
    if keys is not None:
        return _asked_of_pattern(pattern, keys, found)
    if not found:
        raise BadInput(f"{pattern}: no file matches. Check the folder and the number of digits.")
    first, last = min(found), max(found)
    if len(found) > MOST_IMPLIED:
        raise BadInput(
            f"{pattern}: {len(found)} files match, more than {MOST_IMPLIED}. Pick the keyframes with --keys, "
            f"such as --keys {first}-{last}x10."
        )
    times = ", ".join(map(str, found))
    return (
        [Key(float(frame), path) for frame, path in found.items()],
        [f"{pattern}: {len(found)} files match and all are keyframes: {times}"],
    )


def _asked_of_pattern(pattern: str, keys: str, found: dict[int, Path]) -> tuple[list[Key], list[str]]:
    asked, notes = _asked(keys)
    for time in asked:
        if time != int(time):
            raise BadInput(
                f"--keys {keys}: {frame_text(time)} is no whole frame, and {pattern} has only whole ones. "
                f"Name that file: {frame_text(time)}=PATH."
            )
    wanted = [Key(time, filled(pattern, int(time))) for time in asked]
    missing = [key for key in wanted if not key.path.exists()]
    if missing:
        there = ", ".join(map(str, list(found)[:10])) or "none"
        raise BadInput(
            f"--keys {keys}: {len(missing)} of {len(wanted)} files are missing, the first {missing[0].path}. "
            f"Frames on disk for {pattern}: {there}."
        )
    return wanted, notes


def _of_stage(path: Path, keys: str | None, prim: str | None) -> tuple[list[Key], list[str]]:
    _must_exist(path, path)
    samples = stage_samples(path, prim)
    if not samples:
        raise BadInput(
            f"{path}: one keyframe only, as no mesh in it has time samples. Give a stage whose points are "
            f"animated, or add another file: 1001={path} 1024=PATH."
        )
    first, last = frame_text(samples[0]), frame_text(samples[-1])
    if keys is not None:
        asked, notes = _asked(keys)
        return [Key(time, path) for time in asked], notes
    if len(samples) > MOST_IMPLIED:
        raise BadInput(
            f"{path}: {len(samples)} time samples from {first} to {last}, more than {MOST_IMPLIED}. Pick the "
            f"keyframes with --keys, such as --keys {first}-{last}x10."
        )
    keys_found = [Key(time, path) for time in samples]
    return keys_found, [f"{path}: all {len(samples)} time samples from {first} to {last} are keyframes"]


def _asked(keys: str) -> tuple[list[float], list[str]]:
    asked = listed_frames(keys, "--keys")
    once = list(dict.fromkeys(asked))
    notes = [f"--keys {keys}: frames named twice count once"] if len(once) < len(asked) else []
    return once, notes


def _must_exist(name: object, path: Path) -> None:
    if path.is_dir():
        raise BadInput(f"{name}: is a folder. Name a file in it.")
    if path.exists():
        return
    if not path.parent.is_dir():
        raise BadInput(f"{name}: no such file, as there is no folder {path.parent}. Check the path.")
    near = sorted(other.name for other in path.parent.iterdir() if other.suffix == path.suffix)[:3]
    there = f"That folder holds {', '.join(near)}" if near else f"That folder holds no *{path.suffix}"
    raise BadInput(f"{name}: no such file. {there}. Check the path.")
