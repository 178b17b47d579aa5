"""Expanded asset libraries: a folder NAME.hda with an index, and a folder of section files for each operator.

What is read here, and what rules.py holds against it, was found the same in every one of several hundred libraries
that Houdini 17 to 22 had saved.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

INDEX_FILE, INDEX_SECTION, MARKER, LIST = "INDEX__SECTION", "INDEX_SECTION", "houdini.hdalibrary", "Sections.list"
_ESCAPES = {"_": "__", "/": "_1", ":": "_8"}
_LIST_LINE = re.compile(r'(?P<file>"[^"]+"|[^\t"]+)\t(?P<section>"[^"]+"|[^\t"]+)')
_KEY = re.compile(r"(?:(?P<space>[^:/]+)::)?(?P<table>[A-Za-z0-9_]+)/(?P<name>[^:/]+)(?:::(?P<version>[^:/]+))?")


class LibraryError(ValueError):
    """A folder that is no expanded library, or cannot be read as one. The message names the file."""


def escaped(section: str) -> str:
    """The file that a section or operator is kept in: `lim::Sop/track::1.0` is in `lim_8_8Sop_1track_8_81.0`."""
    return re.sub("[_/:]", lambda match: _ESCAPES[match[0]], section)


@dataclass(frozen=True)
class Operator:
    """One operator of a library.

    key       table and name, as in the index: `lim::Sop/track::1.0`
    index     the rest of its entry in the index, in the order of the file
    folder    where its sections are
    sections  section name to file
    """

    key: str
    index: dict[str, str]
    folder: Path
    sections: dict[str, Path]

    def text(self, section: str) -> str:
        """A section's text; empty without that section."""
        path = self.sections.get(section)
        return "" if path is None or not path.is_file() else path.read_bytes().decode("utf-8", "replace")

    @property
    def type_name(self) -> str:
        """The name without its table, as users type it: `lim::track::1.0`."""
        return type_name(self.key)


@dataclass(frozen=True)
class Library:
    """An expanded library."""

    path: Path
    operators: list[Operator]


def type_name(key: str) -> str:
    """`lim::Sop/track::1.0` without the table. Raises LibraryError for what is no key."""
    match = _KEY.fullmatch(key)
    if match is None:
        raise LibraryError(f"{key!r} is no operator: Table/name, space::Table/name or space::Table/name::version")
    return "::".join(word for word in (match["space"], match["name"], match["version"]) if word)


def table(key: str) -> str:
    """`Sop` of `lim::Sop/track::1.0`."""
    match = _KEY.fullmatch(key)
    return match["table"] if match else ""


def find_libraries(folder: Path) -> Iterator[Path]:
    """Every expanded library below a folder, the folder itself included, sorted."""
    yield from sorted(index.parent for index in folder.rglob(INDEX_FILE))


def read_library(path: Path) -> Library:
    """The operators of an expanded library. Raises LibraryError naming the file where it cannot be read as one."""
    files = read_list(path / LIST)
    blocks = read_index(path / INDEX_FILE)
    operators = []
    for key, index in blocks.items():
        folder = path / next((file for file, section in files if section == key), escaped(key))
        if not folder.is_dir():
            raise LibraryError(f"{folder}: no such folder, but the index has the operator {key}")
        sections = {section: folder / file for file, section in read_list(folder / LIST)}
        operators.append(Operator(key, index, folder, sections))
    return Library(path, operators)


def read_list(path: Path) -> list[tuple[str, str]]:
    """File and section of each line of a Sections.list. Raises LibraryError."""
    lines = _read(path).split("\n")
    if lines[0] != '""':
        raise LibraryError(f'{path}: line 1 is {lines[0][:40]!r}, not ""')
    if lines[-1] != "":
        raise LibraryError(f"{path}: the last line does not end")
    entries = []
    for number, line in enumerate(lines[1:-1], 2):
        match = _LIST_LINE.fullmatch(line)
        if match is None:
            raise LibraryError(f"{path}: line {number} is {line[:60]!r}, not a file, a tab and a section")
        entries.append((match["file"].strip('"'), match["section"].strip('"')))
    return entries


def read_index(path: Path) -> dict[str, dict[str, str]]:
    """The entries of an index by operator key. Raises LibraryError."""
    text = _read(path)
    blocks: dict[str, dict[str, str]] = {}
    for block in text.rstrip("\n").split("\n\n"):
        entry: dict[str, str] = {}
        for line in block.split("\n"):
            name, colon, value = line.partition(":")
            if not colon:
                raise LibraryError(f"{path}: {line[:60]!r} is no 'Key: value'")
            entry[name] = value
        key = entry.get("Path", "").strip().removeprefix("oplib:/").partition("?")[0]
        if not key:
            raise LibraryError(f"{path}: an entry without a Path")
        blocks[key] = entry
    return blocks


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8", "replace")
    except OSError as error:
        raise LibraryError(f"{path}: {error.strerror}") from None
