"""How long unwrapping and baking take, against xatlas doing charts and all on the same mesh.

    python -m benchmarks.unwrap [--rounds 3] [--limit 120]

Every row runs in a process of its own: xatlas ends some of them, and knows no other way to be stopped.
Prints a table and keeps it as benchmarks/results/unwrap.md.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
import trimesh
import xatlas

from benchmarks.page import write_page
from examples.creature import remesh
from lim_protocol.types import Mesh
from lim_server.stages.texture import bake, unwrap

SIZE = 1024


def sphere(level: int) -> Mesh:
    ball = trimesh.creation.icosphere(level)
    faces = ball.faces.astype(np.int32)
    return Mesh((100 * ball.vertices).astype(np.float32), np.full(len(faces), 3, np.int32), faces.ravel())


MESHES: dict[str, Callable[[], Mesh]] = {
    "creature, quads": lambda: remesh.quads(0.0235, 0.4),
    "creature, marching cubes": lambda: remesh.triangles(0.0128, (0.3, 0.5, 0.2)),
    "creature, fine marching cubes": lambda: remesh.triangles(0.0054, (0.3, 0.5, 0.2)),
    "sphere": lambda: sphere(6),
    "fine sphere": lambda: sphere(7),
}


def ours(mesh: Mesh) -> tuple[float, int, float]:
    """Seconds, charts, share of the square used."""
    start = time.perf_counter()
    st, st_indices = unwrap(mesh, SIZE)
    seconds = time.perf_counter() - start
    triangles = Mesh(mesh.points, mesh.face_counts, st_indices).triangles()
    solid = trimesh.Trimesh(np.c_[st, np.zeros(len(st))], triangles, process=False)
    return seconds, solid.body_count, float(solid.area)


def theirs(mesh: Mesh) -> tuple[float, int, float]:
    """The same of xatlas's own charts, at its own settings, for the triangles."""
    atlas, options = xatlas.Atlas(), xatlas.PackOptions()
    options.resolution, options.padding = SIZE, SIZE // 256
    start = time.perf_counter()
    atlas.add_mesh(mesh.points, mesh.triangles().astype(np.uint32))
    atlas.generate(xatlas.ChartOptions(), options)
    return time.perf_counter() - start, atlas.chart_count, atlas.utilization


def baking(mesh: Mesh) -> tuple[float, int, float]:
    """Seconds of baking alone."""
    st, st_indices = unwrap(mesh, SIZE)
    colors = np.random.default_rng(0).integers(0, 255, (len(mesh.points), 3)).astype(np.uint8)
    start = time.perf_counter()
    bake(mesh, st, st_indices, colors, SIZE)
    return time.perf_counter() - start, 0, 0.0


WAYS = {"xatlas": theirs, "unwrap": ours, "bake": baking}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--limit", type=float, default=120, help="seconds that a row may take")
    parser.add_argument("--row", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.row:
        way, name = options.row
        print(*WAYS[way](MESHES[name]()))
        return
    lines = [
        f"Texture coordinates for a {SIZE} image, and baking into it; medians of {options.rounds} rounds.",
        "",
        "| mesh | points | xatlas s | charts | fill | unwrap s | charts | fill | times xatlas | bake s |",
        "|---|---|---|---|---|---|---|---|---|---|",
        *(_line(name, make, options) for name, make in MESHES.items()),
    ]
    write_page("unwrap", "Unwrapping", "\n".join(lines), f"python -m benchmarks.unwrap --rounds {options.rounds}")


def _line(name: str, make: Callable[[], Mesh], options: argparse.Namespace) -> str:
    rounds: dict[str, list[list[float] | str]] = {way: [] for way in WAYS}
    for _ in range(options.rounds):
        for way, done in rounds.items():
            if not (done and isinstance(done[-1], str)):
                done.append(_row(way, name, options.limit))
    last = {way: done[-1] for way, done in rounds.items()}
    seconds = {
        way: statistics.median(each[0] for each in done) if isinstance(last[way], list) else last[way]
        for way, done in rounds.items()
    }
    ratio = "-" if isinstance(seconds["xatlas"], str) else f"{seconds['unwrap'] / seconds['xatlas']:.2f}"
    cells = [name, f"{len(make().points):,}"]
    for way in ("xatlas", "unwrap"):
        result = last[way]
        cells += (
            [result, "", ""]
            if isinstance(result, str)
            else [f"{seconds[way]:.2f}", f"{result[1]:g}", f"{result[2]:.2f}"]
        )
    cells += [ratio, f"{seconds['bake']:.2f}"]
    return f"| {' | '.join(cells)} |"


def _row(way: str, name: str, limit: float) -> list[float] | str:
    command = [sys.executable, "-m", "benchmarks.unwrap", "--row", way, name]
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=limit)
    except subprocess.TimeoutExpired:
        return f"over {limit:g}"
    return "crashed" if run.returncode else [float(word) for word in run.stdout.split()]


if __name__ == "__main__":
    main()
