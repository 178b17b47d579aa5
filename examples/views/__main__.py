"""`python -m examples.views THING FOLDER --frames 0,8,16`: a folder of posed views per frame, for `lim reconstruct`."""

from __future__ import annotations

import argparse
from pathlib import Path

from examples.views.moving import moving
from examples.views.shoot import rig, shoot


def main() -> None:
    """The command line; prints the folders."""
    parser = argparse.ArgumentParser(description="Take views of a thing in motion.")
    parser.add_argument("thing", help="seed:N, creature, or an npz of a mesh sequence")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--frames", help="numbers of the key frames, 0,8,16; without it the first, middle and last")
    parser.add_argument("--views", type=int, default=4)
    parser.add_argument("--size", type=int, default=512, help="pixels of an image's side")
    words = parser.parse_args()
    thing = moving(words.thing)
    last = thing.first + len(thing.frames) - 1
    frames = [int(word) for word in words.frames.split(",")] if words.frames else None
    frames = frames or [thing.first, (thing.first + last) // 2, last]
    cameras = rig(thing, frames, words.views)
    for frame in frames:
        print(shoot(words.folder / f"views.{frame:04d}", thing, frame, cameras, words.size))


if __name__ == "__main__":
    main()
