"""What `lim track` writes frames to: one asset, or chunks of one that several machines may share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from lim_cli.errors import BadInput
from lim_cli.frames import parse_frames

if TYPE_CHECKING:
    from lim_protocol.types import Frame
    from lim_usd.clips import Chunk, ClipAsset
    from lim_usd.provenance import Provenance
    from lim_usd.source import Source

Say = Callable[[str], None]
Timed = Callable[[], AbstractContextManager[None]]


@dataclass(frozen=True)
class Shot:
    """The frames of the asset, all of them, and what all machines that write it must agree on."""

    times: tuple[float, ...]
    fps: float
    velocities: bool
    quality: bool = False


@dataclass
class Whole:
    """One asset, written in one go."""

    path: Path
    split: bool
    flat: bool
    files: list[Path] = field(default_factory=list)

    def wanted(self, _source: Source, shot: Shot, _request: Callable[[], str]) -> tuple[float, ...]:
        """The frames to make."""
        return shot.times

    def write(
        self, source: Source, shot: Shot, frames: Iterator[Frame], provenance: Callable[[], Provenance], timed: Timed
    ) -> None:
        """Take the frames as they come, and leave the asset and its `files`."""
        from lim_usd.asset import AssetWriter

        with AssetWriter(
            self.path,
            source,
            fps=shot.fps,
            start=shot.times[0],
            end=shot.times[-1],
            velocities=shot.velocities,
            quality=shot.quality,
            split_parts=self.split,
            flat=self.flat,
        ) as writer:
            for frame in frames:
                with timed():
                    writer.write(frame)
            writer.provenance = provenance()
        self.files = writer.files


@dataclass
class Chunked:
    """Chunks of `size` frames; `words` tells which of them are this machine's, None for all that are missing."""

    path: Path
    split: bool
    size: int
    words: str | None
    note: Say
    files: list[Path] = field(default_factory=list)

    def wanted(self, source: Source, shot: Shot, request: Callable[[], str]) -> tuple[float, ...]:
        """The frames of the chunks that are to be written here and are not finished."""
        from lim_usd.provenance import Provenance

        asset = self._asset(source, shot, Provenance(request_sha256=request()))
        mine = self._mine(len(asset.chunks))
        self._pending = [chunk for chunk in asset.chunks if chunk.number in mine and not asset.is_written(chunk)]
        if kept := len(mine) - len(self._pending):
            self.note(f"{kept} of {len(mine)} chunks are finished already and stay as they are")
        return tuple(time for chunk in self._pending for time in chunk.times)

    def write(
        self, source: Source, shot: Shot, frames: Iterator[Frame], provenance: Callable[[], Provenance], timed: Timed
    ) -> None:
        """Write the root, then chunk after chunk; when the last one is there, whoever's it was, assemble."""
        from lim_usd.assemble import assemble

        asset = self._asset(source, shot, provenance())
        self.files = asset.begin()
        for number, chunk in enumerate(self._pending, 1):
            with asset.writer(chunk) as writer:
                for _ in chunk.times:
                    frame = next(frames)
                    with timed():
                        writer.write(frame)
                if number == len(self._pending):
                    next(frames, None)  # so that the server has said how it was done
                writer.provenance = provenance()
            self.files.append(chunk.path)
        state = assemble(self.path)
        if not state.complete:
            self.note(f"{numbers(state.wrong)} still to be written; `lim assemble {self.path}` when they are")

    def _asset(self, source: Source, shot: Shot, provenance: Provenance) -> ClipAsset:
        from lim_usd.clips import ClipAsset

        return ClipAsset(
            self.path,
            source,
            times=shot.times,
            chunk=self.size,
            fps=shot.fps,
            velocities=shot.velocities,
            quality=shot.quality,
            split_parts=self.split,
            provenance=provenance,
        )

    def _mine(self, count: int) -> set[int]:
        if self.words is None:
            return set(range(1, count + 1))
        asked = set(parse_frames(self.words, "--chunks"))
        if outside := [number for number in sorted(asked) if number not in range(1, count + 1)]:
            raise BadInput(f"--chunks: there is no chunk {outside[0]:g}. The frames make chunks 1 to {count}.")
        return {int(number) for number in asked}

    _pending: list[Chunk] = field(default_factory=list)


def output(path: Path, split: bool, flat: bool, chunk: int | None, chunks: str | None, note: Say) -> Whole | Chunked:
    """What the options ask for. Raises BadInput where they do not go together."""
    if chunk is None:
        if chunks is not None:
            raise BadInput("--chunks: says which chunks, but not of how many frames. Add --chunk N.")
        return Whole(path, split, flat)
    if chunk < 1:
        raise BadInput(f"--chunk: {chunk} frames. Use 1 or more.")
    if flat:
        raise BadInput("--flat: an asset in chunks is many files. Leave one of --flat and --chunk.")
    return Chunked(path, split, chunk, chunks, note)


def numbers(chunks: Sequence[int] | dict[int, str]) -> str:
    """Chunk numbers in words, the first few of many."""
    listed = sorted(chunks)
    more = f" and {len(listed) - 8} more" if len(listed) > 8 else ""
    return f"chunk{'s' if len(listed) > 1 else ''} {', '.join(map(str, listed[:8]))}{more}"
