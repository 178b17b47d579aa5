"""The keyframes of a track, from the words of the command line to meshes that agree with each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from lim_cli.check import checked, sound
from lim_cli.colors import main_texture, point_colors
from lim_cli.errors import BadInput
from lim_cli.frames import frame_text
from lim_cli.landmarks import read_landmarks
from lim_cli.readers import is_usd, known_format, read
from lim_cli.readers.contents import some
from lim_cli.units import agreed
from lim_cli.words import Key, resolve
from lim_protocol.types import Keyframe
from lim_usd.source import Source


@dataclass(frozen=True, eq=False)
class Loaded:
    """What a track starts from.

    keyframes  sorted by time, in one up axis and one unit
    source     the first keyframe with its parts and texture: what is moved to all the others
    notes      what a person should be told, in order
    """

    keyframes: list[Keyframe]
    source: Source
    notes: list[str]


def load_keyframes(
    words: Sequence[str],
    keys: str | None = None,
    prim: str | None = None,
    up_axis: str | None = None,
    units: str | None = None,
    landmarks: Path | None = None,
) -> Loaded:
    """Read the keyframes that the words name.

    words    KEYFRAME words, as in `words.resolve`
    keys     frames of a pattern or of one USD stage
    prim     the part of every file to take: an object, node, solid or prim; None merges all, in order
    up_axis  what the files are in whatever they say, as in `units.agreed`
    units    likewise
    landmarks  a file of places seen on the source and on later keyframes, as in `landmarks.read_landmarks`

    Raises BadInput for anything in words or files that a person must fix.
    """
    found, notes = resolve(words, keys, prim)
    for key in found:
        with _named(key):
            known_format(key.path)
    sources = [_source(key, prim) for key in found]
    if landmarks is not None:
        marked = read_landmarks(landmarks, [key.time for key in found], [source.mesh for source in sources])
        sources = [replace(source, mesh=mesh) for source, mesh in zip(sources, marked, strict=True)]
    alike, converted = agreed(found, sources, up_axis, units)
    # what tells how the source may bend says nothing in later keys, and must not change what they are called by
    meshes = [alike[0].mesh, *(replace(source.mesh, stiffness=None, pinned=None) for source in alike[1:])]
    keyframes = [Keyframe(key.time, mesh, key.path.name) for key, mesh in zip(found, meshes, strict=True)]
    return Loaded(keyframes, alike[0], [*notes, *_told(found, sources), *converted])


def _source(key: Key, prim: str | None) -> Source:
    with _named(key):
        contents = sound(read(key.path, key.time, prim))
        if prim and not is_usd(key.path):  # of a stage, only the prim was read
            contents = contents.part(prim)
        contents = checked(contents)
        texture, notes = main_texture(contents)
        return Source(
            mesh=replace(contents.mesh, colors=point_colors(contents)),
            parts=contents.parts,
            texture=texture,
            up_axis=contents.up_axis,
            metres_per_unit=contents.metres_per_unit,
            notes=(*contents.notes, *notes),
        )


@contextmanager
def _named(key: Key) -> Iterator[None]:
    """Put the keyframe before the message of what goes wrong with it."""
    try:
        yield
    except BadInput as error:
        raise BadInput(f"{key}: {error}") from error


def _told(keys: Sequence[Key], sources: Sequence[Source]) -> list[str]:
    """The notes of all keyframes; one that several have in common is told once."""
    having: dict[str, list[Key]] = {}
    for key, source in zip(keys, sources, strict=True):
        for note in source.notes:
            having.setdefault(note, []).append(key)
    return [f"{_named_together(keys)}: {note}" for note, keys in having.items()]


def _named_together(keys: Sequence[Key]) -> str:
    if len(keys) == 1:
        return str(keys[0])
    return f"keyframes {some([frame_text(key.time) for key in keys])}"
