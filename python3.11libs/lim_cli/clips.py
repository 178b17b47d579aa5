"""`lim clips`: animated files of a studio's own as the clips that models are trained on."""

from __future__ import annotations

import json
import math
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from lim_cli.clip import Clip, clip_of, surface_of
from lim_cli.errors import BadInput
from lim_cli.readers import door, is_usd, moving_suffixes, read_moving
from lim_cli.readers.moving import Moving
from lim_cli.server import JsonOption

BROKEN = 1


def clips(
    sources: Annotated[list[Path], typer.Argument(metavar="FOLDER_OR_FILE...", help="glTF, GLB or USD, animated.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="PACK_DIR", help="Where the clips go.")],
    fps: Annotated[float, typer.Option(help="Frames to take of each second of an animation.")] = 24.0,
    frames_per_animation: Annotated[
        int, typer.Option(help="The most frames of one animation; of longer ones fewer a second are taken.")
    ] = 24,
    as_json: JsonOption = False,
) -> None:
    """Convert animated assets into a pack of clips for training: one file for each animation of each asset.

    Skins, morph targets and blend shapes are evaluated; folders are searched through. Animations in which nothing
    moves are left out. Exit code 0 when every file could be read, 1 when some could not: each is named, and the
    others are in the pack.
    """
    if not (math.isfinite(fps) and fps > 0):
        raise BadInput(f"--fps: {fps} frames per second. Use a number above zero, such as 24.")
    if frames_per_animation < 2:
        raise BadInput(f"--frames-per-animation: {frames_per_animation}. Motion takes 2 frames or more.")
    if out.exists() and not out.is_dir():
        raise BadInput(f"--out: {out} is a file. Name a folder; it is made where there is none.")
    started = time.perf_counter()
    pack = _Pack(out, fps, frames_per_animation)
    for path in _found(sources):
        pack.add(path)
    print(json.dumps(pack.told(), indent=1) if as_json else pack.text(time.perf_counter() - started))
    if not pack.written:
        raise BadInput(f"{out}: no clip was made, as nothing that was named could be read or moves.")
    if pack.broken:
        raise typer.Exit(BROKEN)


@dataclass
class _Pack:
    """The folder as it fills."""

    folder: Path
    fps: float
    most: int
    written: list[Path] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    frames: int = 0
    _names: Counter[str] = field(default_factory=Counter)

    def add(self, path: Path) -> None:
        """The clips of one file; what is wrong with it is told, and stops no other."""
        try:
            self._add(path, read_moving(path))
        except BadInput as error:
            self.broken.append(f"{path}: {error}")
            _say(self.broken[-1])

    def _add(self, path: Path, moving: Moving) -> None:
        if not moving.takes:
            self._skip(f"{path}: holds no animation")
            return
        for note in moving.notes:
            _say(f"note: {path}: {note}")
        known: dict[bytes, str] = {}
        with door(path):
            surface = surface_of(moving)
        for take in moving.takes:
            with door(path):  # what moves is read as it is needed
                clip = clip_of(take, surface, self.fps, self.most)
            if clip is None:
                self._skip(f"{path}: nothing moves in {take.name}")
            elif same := known.get(clip.digest()):
                self._skip(f"{path}: {take.name} is {same} again")
            else:
                known[clip.digest()] = take.name
                self._write(self._name(path, take.name), clip)

    def told(self) -> dict[str, object]:
        """For --json."""
        written = [str(path) for path in self.written]
        return {"pack": str(self.folder), "clips": written, "skipped": self.skipped, "broken": self.broken}

    def text(self, seconds: float) -> str:
        """One line in the end."""
        size = sum(path.stat().st_size for path in self.written) / 1e6
        return (
            f"wrote {len(self.written)} clips of {self.frames} frames to {self.folder}: {size:.1f} MB in "
            f"{seconds:.1f} s; {len(self.skipped)} skipped, {len(self.broken)} files broken"
        )

    def _skip(self, words: str) -> None:
        self.skipped.append(words)
        _say(f"note: {words}: skipped")

    def _name(self, path: Path, take: str) -> str:
        name = f"{_plain(path.stem)}.{_plain(take)}"
        self._names[name] += 1
        return name if self._names[name] == 1 else f"{name}_{self._names[name]}"

    def _write(self, name: str, clip: Clip) -> None:
        from lim_usd.atomic import Scratch, disk_errors, publish

        target = self.folder / f"{name}.npz"
        with disk_errors(target):
            self.folder.mkdir(parents=True, exist_ok=True)
        scratch = Scratch(target)
        try:
            ready = scratch.path / target.name
            with disk_errors(target):
                np.savez_compressed(
                    ready, faces=clip.faces, colours=clip.colours, frames=clip.frames, fps=clip.fps, name=name
                )
            publish([(ready, target)], scratch.path)
        finally:
            scratch.close()
        self.written.append(target)
        self.frames += len(clip.frames)


def _found(sources: Sequence[Path]) -> list[Path]:
    """Every file that was named, and those of a known suffix under every folder that was, each once."""
    return list(dict.fromkeys(path for source in sources for path in _of(source)))


def _of(source: Path) -> Iterator[Path]:
    if source.is_file():
        yield source
        return
    if not source.is_dir():
        raise BadInput(f"{source}: no such file or folder. Check the path.")
    suffixes = moving_suffixes()
    found = sorted(path for path in source.rglob("*") if path.suffix.lower() in suffixes and path.is_file())
    if not found:
        raise BadInput(f"{source}: holds no file of {', '.join(suffixes)}. Name a folder of animated assets.")
    layers = _layers(found)
    yield from (path for path in found if path.resolve() not in layers)


def _layers(found: Sequence[Path]) -> set[Path]:
    """Those of the files that others are made of: not assets of their own."""
    stages = [path for path in found if is_usd(path)]
    if not stages:
        return set()
    from lim_usd.read_moving import layers_under

    return {layer for path in stages for layer in layers_under(path)}


def _plain(name: str) -> str:
    """A name as part of a file's name, on any system."""
    return re.sub(r"[^\w-]+", "_", name).strip("_") or "unnamed"


def _say(words: str) -> None:
    print(f"lim: {words}", file=sys.stderr, flush=True)
