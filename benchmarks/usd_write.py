"""How long a USD file of many frames takes to write, against the same bytes written raw, and how much memory.

    python -m benchmarks.usd_write [--frames 240] [--points 100000] [--rounds 5]

Every row runs in a process of its own, the rows in turn, round after round: a ratio compares runs that were
neighbours in time. Only the writing is timed (until the bytes are synced), not the making of the frames.
Prints a table and keeps it as benchmarks/results/usd_write.md.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from pxr import Sdf, Usd, UsdGeom

from benchmarks.page import write_page
from lim_protocol.types import Frame, Mesh
from lim_usd.arrays import vectors
from lim_usd.assemble import assemble
from lim_usd.asset import AssetWriter
from lim_usd.clips import ClipAsset
from lim_usd.sampled import BATCH_BYTES
from lim_usd.source import Source

MB = 1e6


def main() -> None:
    options = _options()
    if options.shares:
        _write_share(options)
        return
    if options.row:
        _run_row(options)
        return
    runs: dict[str, list[list[float]]] = {name: [] for name in ROWS}
    for _ in range(options.rounds):
        for name in ROWS:
            runs[name].append(_row_in_process(name, options))
    arguments = f"--frames {options.frames} --points {options.points} --rounds {options.rounds}"
    command = f"python -m benchmarks.usd_write {arguments}"
    write_page("usd_write", "Writing USD", _text(_table(runs), options), command)


class Meter:
    """Adds up the time inside its blocks, and knows the most memory that was resident since it was made."""

    def __init__(self) -> None:
        Path("/proc/self/clear_refs").write_text("5")  # makes the high-water mark start anew
        self.seconds, self._before = 0.0, _resident("VmRSS")

    def __enter__(self) -> None:
        self._start = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self.seconds += time.perf_counter() - self._start

    @property
    def growth(self) -> float:
        """Megabytes, above what was resident before the first frame."""
        return _resident("VmHWM") - self._before


def frames(source: Source, count: int, first: int = 1) -> Iterator[Frame]:
    points = source.mesh.points
    vectors_of = {name: np.empty_like(points) for name in ("points", "normals", "velocities", "accelerations")}
    for time_code in range(first, first + count):
        for offset, out in enumerate(vectors_of.values()):  # no two alike: the file format keeps equal ones once
            np.add(points, np.float32(time_code + offset / 8), out=out)
        yield Frame(float(time_code), **vectors_of)


def raw(*arrays: str) -> Callable[[Path, Source, int, Meter], Path]:
    """The floor: the same arrays of every frame in one file, nothing else, synced."""

    def write(folder: Path, source: Source, count: int, meter: Meter) -> Path:
        path = folder / "frames.bin"
        with path.open("wb") as file:
            for frame in frames(source, count):
                with meter:
                    for name in arrays:
                        getattr(frame, name).tofile(file)
            with meter:
                file.flush()
                os.fsync(file.fileno())
        return path

    return write


def sdf(*arrays: str) -> Callable[[Path, Source, int, Meter], Path]:
    """What OpenUSD itself takes: samples straight into a layer, saved in batches, synced; no check, no asset."""

    def write(folder: Path, source: Source, count: int, meter: Meter) -> Path:
        path = folder / "layer.usdc"
        layer = Sdf.Layer.CreateNew(str(path))
        stage = Usd.Stage.Open(layer)
        mesh = UsdGeom.Mesh.Define(stage, "/mesh").GetPrim()
        for name in (*arrays, "extent"):
            mesh.CreateAttribute(name, mesh.GetAttribute(name).GetTypeName(), custom=False)
        del mesh, stage  # a stage that listens makes every sample dearer
        unsaved = 0
        for frame in frames(source, count):
            with meter:
                values = {name: vectors(getattr(frame, name)) for name in arrays}
                values["extent"] = UsdGeom.PointBased.ComputeExtent(values["points"])
                for name, value in values.items():
                    layer.SetTimeSample(f"/mesh.{name}", frame.time, value)
                unsaved += sum(len(value) * 12 for value in values.values())
                if unsaved >= BATCH_BYTES:
                    layer.Save()
                    unsaved = 0
        with meter:
            layer.Save()
            with path.open("rb+") as file:
                os.fsync(file.fileno())
        return path

    return write


def asset(velocities: bool = False, flat: bool = True) -> Callable[[Path, Source, int, Meter], Path]:
    """What the product does: a whole asset, read back, synced and moved to its name."""

    def write(folder: Path, source: Source, count: int, meter: Meter) -> Path:
        path = folder / "asset.usd"
        writer = AssetWriter(path, source, fps=24, start=1, end=count, velocities=velocities, flat=flat)
        with meter:
            writer.__enter__()
        for frame in frames(source, count):
            with meter:
                writer.write(frame)
        with meter:
            writer.__exit__(None, None, None)
        return path

    return write


def clips(processes: int) -> Callable[[Path, Source, int, Meter], Path]:
    """The same asset in clips of 24 frames: root first, then each process its share of them, then the assembly."""

    def write(folder: Path, source: Source, count: int, meter: Meter) -> Path:
        path = folder / "asset.usd"
        with meter:
            clip_asset(path, source, count).begin()
        words = [sys.executable, __file__, "--frames", str(count), "--points", str(len(source.mesh.points))]
        shares = [
            subprocess.Popen(
                [*words, "--folder", str(folder), "--share", str(share), "--shares", str(processes)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for share in range(processes)
        ]
        for process in shares:
            assert process.stdout is not None
            process.stdout.readline()
        for process in shares:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        seconds = [float(process.communicate()[0].split()[0]) for process in shares]
        with meter:
            assert assemble(path).complete
        meter.seconds += max(seconds)
        return path

    return write


def clip_asset(path: Path, source: Source, count: int) -> ClipAsset:
    times = [float(time) for time in range(1, count + 1)]
    return ClipAsset(path, source, times=times, chunk=24, fps=24)


def _write_share(options: argparse.Namespace) -> None:
    """One process of several: says that it is there, waits for a word, writes every so-manieth chunk."""
    source = grid(options.points)
    asset = clip_asset(Path(options.folder) / "asset.usd", source, options.frames)
    print("ready", flush=True)
    sys.stdin.readline()
    meter = Meter()
    for chunk in asset.chunks[options.share :: options.shares]:
        writer = asset.writer(chunk)
        with meter:
            writer.__enter__()
        for frame in frames(source, len(chunk.times), int(chunk.times[0])):
            with meter:
                writer.write(frame)
        with meter:
            writer.__exit__(None, None, None)
    print(meter.seconds)


ROWS: dict[str, Callable[[Path, Source, int, Meter], Path]] = {
    "raw: points": raw("points"),
    "OpenUSD layer: points, extent": sdf("points"),
    "raw: points, normals": raw("points", "normals"),
    "OpenUSD layer: points, normals, extent": sdf("points", "normals"),
    "asset in one file: points, normals, extent": asset(),
    "asset with layers: the same": asset(flat=False),
    "asset in clips, one process: the same": clips(1),
    "asset in clips, two processes: the same": clips(2),
    "raw: points, normals, velocities, accelerations": raw("points", "normals", "velocities", "accelerations"),
    "asset in one file: the same and extent": asset(velocities=True),
}


def grid(points: int) -> Source:
    """A square sheet of quads with texture coordinates, of about so many points."""
    side = round(points**0.5)
    across, along = np.meshgrid(np.arange(side), np.arange(side), indexing="ij")
    positions = np.stack([across, np.sin(across * 0.1), along], axis=-1).reshape(-1, 3).astype(np.float32)
    corner = (np.arange(side - 1)[:, None] * side + np.arange(side - 1)).ravel()
    faces = np.stack([corner, corner + 1, corner + side + 1, corner + side], axis=1).astype(np.int32).ravel()
    counts = np.full(len(corner), 4, np.int32)
    st = (positions[:, [0, 2]] / side).astype(np.float32)
    return Source(Mesh(positions, counts, faces, st, faces), up_axis="Y", metres_per_unit=0.01)


def _run_row(options: argparse.Namespace) -> None:
    source = grid(options.points)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        meter = Meter()
        ROWS[options.row](Path(folder), source, options.frames, meter)
        size = sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file()) / MB
    print(meter.seconds, size, meter.growth)


def _row_in_process(name: str, options: argparse.Namespace) -> list[float]:
    command = [
        sys.executable,
        __file__,
        "--row",
        name,
        "--frames",
        str(options.frames),
        "--points",
        str(options.points),
    ]
    done = subprocess.run([*command, "--folder", options.folder], check=True, capture_output=True, text=True)
    return [float(word) for word in done.stdout.split()]


def _table(runs: dict[str, list[list[float]]]) -> str:
    lines = [
        "| what | s, median | s, least | times raw, median (range) | times raw, least by least | file MB | growth MB |",
        "|---|---|---|---|---|---|---|",
    ]
    floor: list[float] = []
    for name, results in runs.items():
        seconds, sizes, growths = zip(*results)
        if name.startswith("raw"):
            floor = list(seconds)
        ratios = [mine / raw for mine, raw in zip(seconds, floor)]
        cells = [
            name,
            f"{statistics.median(seconds):.3f}",
            f"{min(seconds):.3f}",
            f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})",
            f"{min(seconds) / min(floor):.2f}",
            f"{sizes[0]:.1f}",
            f"{max(growths):.0f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _text(table: str, options: argparse.Namespace) -> str:
    usd = ".".join(map(str, Usd.GetVersion()[1:]))
    return f"""{options.frames} frames of {len(grid(options.points).mesh.points)} points, {options.rounds} rounds.
In every round each row runs beside its floor, the last `raw` row above it. On a machine that does other work too,
the least of all rounds is the steadier figure: noise only ever adds. Growth is the high-water mark of resident
memory, mapped files included, above what there was before the first frame; the most of all rounds. OpenUSD {usd}.

{table}"""


def _resident(mark: str) -> float:
    status = Path("/proc/self/status").read_text()
    return int(status.split(f"{mark}:")[1].split()[0]) * 1024 / MB


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=240)
    parser.add_argument("--points", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", default=tempfile.gettempdir(), help="the disk to write on")
    parser.add_argument("--share", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--shares", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--row", choices=list(ROWS), help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
