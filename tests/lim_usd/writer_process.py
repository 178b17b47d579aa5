"""A process that writes, for tests that kill it or starve it: python writer_process.py asset|chunks PATH COUNT [BYTES].

`asset` writes one asset after the other under the same name; `chunks` the chunks of one asset that are not written
yet. Every finished one is told on stdout, after the line `ready`.
"""

import resource
import sys
from pathlib import Path

from usd_assets import frames, png, sheet

from lim_usd import sampled
from lim_usd.asset import AssetWriter
from lim_usd.clips import ClipAsset
from lim_usd.provenance import Provenance

FRAMES = 12
CHUNK = 2


def main(what: str, path: Path, count: int, limit: int | None) -> None:
    sampled.BATCH_BYTES = 1  # a save for every frame: as many moments to be caught in as there can be
    print("ready", flush=True)
    if limit is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    if what == "asset":
        write_assets(path, count)
    else:
        write_chunks(path)


def write_assets(path: Path, count: int) -> None:
    for seed in range(count):
        source = sheet(side=40, texture=png(seed, size=150))
        with AssetWriter(path, source, fps=24, start=1, end=FRAMES) as writer:
            for frame in frames(source, range(1, FRAMES + 1)):
                writer.write(frame)
        print("written", flush=True)


def write_chunks(path: Path) -> None:
    source, times = sheet(side=40, texture=png(1, size=150)), [float(time) for time in range(1, FRAMES + 1)]
    request = Provenance(request_sha256="ab" * 32)
    asset = ClipAsset(path, source, times=times, chunk=CHUNK, fps=24, provenance=request)
    asset.begin()
    for chunk in asset.chunks:
        if asset.is_written(chunk):
            continue
        with asset.writer(chunk) as writer:
            for frame in frames(source, chunk.times):
                writer.write(frame)
        print(chunk.number, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]) if len(sys.argv) > 4 else None)
