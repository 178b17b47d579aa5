"""How long `lim verify` takes for a frame, against reading it and nothing else, and what a bake comes to.

    python -m benchmarks.usd_verify [--frames 240] [--points 100000] [--rounds 5]

The file is written once; each round reads every array of every frame (the floor), then verifies. The bake is of a
smaller sheet that waves, turns and shivers: the smoother the motion, the fewer shapes.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from pxr import Usd, UsdGeom

from benchmarks.page import write_page
from benchmarks.usd_write import grid
from lim_protocol.types import Frame, Mesh
from lim_usd.arrays import view
from lim_usd.asset import AssetWriter
from lim_usd.bake import bake, bake_glb
from lim_usd.mesh import point_normals
from lim_usd.source import Source
from lim_usd.verify.run import verify

MB = 1e6

GROWTH = """
import sys
from pathlib import Path
from lim_usd.verify.run import verify

def resident(mark):
    return int(Path("/proc/self/status").read_text().split(mark)[1].split()[0]) * 1024 / 1e6

Path("/proc/self/clear_refs").write_text("5")  # makes the high-water mark start anew
before = resident("VmRSS:")
verify(sys.argv[1])
print(resident("VmHWM:") - before)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=240)
    parser.add_argument("--points", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        lines = verify_lines(Path(folder) / "sheet.usd", options.frames, options.points, options.rounds)
        lines += ["", *bake_lines(Path(folder) / "bake.usd", options.frames, 5_000)]
    usd = ".".join(map(str, Usd.GetVersion()[1:]))
    text = f"{options.frames} frames of {options.points} points with normals and extents. OpenUSD {usd}.\n\n"
    arguments = f"--frames {options.frames} --points {options.points} --rounds {options.rounds}"
    command = f"python -m benchmarks.usd_verify {arguments}"
    write_page("usd_verify", "Verifying and baking USD", text + "\n".join(lines), command)


def verify_lines(path: Path, count: int, points: int, rounds: int) -> list[str]:
    """A table of milliseconds per frame."""
    source = upright(grid(points))
    write(path, source, waves(source, count, noise=0.0), count)
    floors, checks = [], []
    for _ in range(rounds):
        floors.append(timed(lambda: read_all(path)) / count)
        checks.append(timed(lambda: verify(path)) / count)
    grown = float(subprocess.run([sys.executable, "-c", GROWTH, path], check=True, capture_output=True).stdout)
    found = verify(path).findings
    assert not found, list(map(str, found))
    rows = [("read points and normals, sum them", floors), ("lim verify", checks)]
    ratio = statistics.median(check / floor for check, floor in zip(checks, floors))
    return [
        "| what | ms per frame, median | least |",
        "|---|---|---|",
        *(f"| {name} | {1e3 * statistics.median(each):.2f} | {1e3 * min(each):.2f} |" for name, each in rows),
        "",
        f"Verifying takes {ratio:.1f} times the reading (median of the rounds). Memory grew by {grown:.0f} MB at most, "
        f"mapped files included; the file has {path.stat().st_size / MB:.0f} MB.",
    ]


def bake_lines(path: Path, count: int, points: int) -> list[str]:
    """A table of sizes by error."""
    source = upright(grid(points))
    write(path, source, waves(source, count, noise=2e-5), count, flat=False)
    lines = [
        f"Baked: {count} frames of {len(source.mesh.points)} points, with noise of 0.002 % of the diagonal.",
        "",
        "| error allowed, % of the diagonal | measured, most | root mean square | shapes | USD | of the master "
        "| GLB | seconds |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for percent in (1.0, 0.3, 0.1):
        start = time.perf_counter()
        made = bake(path, percent / 100)
        seconds = time.perf_counter() - start
        glb = bake_glb(path, path.with_suffix(".glb"), percent / 100)
        cells = [
            f"{percent:g}",
            f"{100 * made.error_max:.3f}",
            f"{100 * made.error_rms:.3f}",
            str(made.shapes),
            f"{made.bytes / MB:.2f} MB",
            f"1 / {made.master_bytes / made.bytes:.1f}",
            f"{glb.bytes / MB:.2f} MB",
            f"{seconds:.1f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def upright(source: Source) -> Source:
    """The sheet with its texture seen from above, not from below."""
    mesh = source.mesh
    assert mesh.st is not None
    st = mesh.st * np.float32([1, -1]) + np.float32([0, 1])
    return replace(source, mesh=replace(mesh, st=st))


def waves(source: Source, count: int, noise: float) -> Iterator[Frame]:
    """The sheet as bumps travel over it, while it turns; noise is a part of its diagonal."""
    rest, random = source.mesh.points.astype(np.float64), np.random.default_rng(0)
    size = np.ptp(rest[:, 0])
    x, z = rest[:, 0] / size, rest[:, 2] / size
    for frame in range(count):
        bumps = sum(
            np.exp(-((x - 0.5 - 0.4 * np.sin(0.02 * frame * k + k)) ** 2 + (z - 0.1 * k) ** 2) * 40)
            for k in range(1, 10)
        )
        c, s = np.cos(0.01 * frame), np.sin(0.01 * frame)
        y = 0.05 * size * bumps + 0.01 * size * np.sin(20 * x + 0.2 * frame)
        points = np.stack([c * rest[:, 0] + s * rest[:, 2], y, c * rest[:, 2] - s * rest[:, 0]], 1)
        points += random.normal(size=points.shape) * noise * size if noise else 0.0
        moved = points.astype(np.float32)
        normals = point_normals(Mesh(moved, source.mesh.face_counts, source.mesh.face_indices))
        yield Frame(frame + 1.0, moved, normals)


def write(path: Path, source: Source, frames: Iterator[Frame], count: int, flat: bool = True) -> None:
    with AssetWriter(path, source, fps=24, start=1, end=count, flat=flat) as writer:
        for frame in frames:
            writer.write(frame)


def read_all(path: Path) -> float:
    """Every array of every frame, once."""
    stage = Usd.Stage.Open(str(path))
    mesh = next(UsdGeom.Mesh(prim) for prim in stage.Traverse() if UsdGeom.Mesh(prim))
    attributes = (mesh.GetPointsAttr(), mesh.GetNormalsAttr())
    return sum(
        float(view(each.Get(at), np.float32).sum())
        for at in mesh.GetPointsAttr().GetTimeSamples()
        for each in attributes
    )


def timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
