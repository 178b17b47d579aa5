"""A process that writes assets, for tests that kill it or starve it: python writer_process.py PATH COUNT [BYTES]."""

import resource
import sys
from pathlib import Path

from usd_assets import frames, png, sheet

from lim_usd import sampled
from lim_usd.asset import AssetWriter

FRAMES = 12


def main(path: Path, count: int, limit: int | None) -> None:
    sampled.BATCH_BYTES = 1  # a save for every frame: as many moments to be caught in as there can be
    if limit is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    for seed in range(count):
        source = sheet(side=40, texture=png(seed, size=150))
        with AssetWriter(path, source, fps=24, start=1, end=FRAMES) as writer:
            for frame in frames(source, range(1, FRAMES + 1)):
                writer.write(frame)
        print("written", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else None)
