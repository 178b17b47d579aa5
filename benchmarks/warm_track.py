"""From pressing return to the first frame of `lim track` with a server that is warm, and where that time goes.

    python -m benchmarks.warm_track [--points 5000] [--rounds 9]

The floor is a Python that loads what the command cannot do without (numpy, zmq, typer, OpenUSD) and ends; it runs in
turn with the command. The keyframes were tracked before; `new frames` asks for frames that nobody has asked for yet.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.page import write_page

LIM = str(Path(sys.executable).with_name("lim"))
FLOOR = "import numpy, zmq, msgpack, typer; from pxr import Usd, UsdGeom, UsdShade"
PARTS = ("read", "connect", "until the first frame", "total")
FRAMES = 24


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory(prefix="lim") as folder:
        names = ("LIM_RUNTIME_DIR", "LIM_CACHE_DIR", "LIM_KEYS_DIR")
        environment = {**os.environ, **{name: f"{folder}/{name[4:7].lower()}" for name in names}}
        keys = [
            write_key(Path(folder) / f"key.{frame}.ply", options.points, bend) for frame, bend in ((1, 0), (9, 0.3))
        ]
        subprocess.run([LIM, "track", *keys, "-o", f"{folder}/a.usd"], env=environment, capture_output=True, check=True)
        counter = itertools.count()
        runs: dict[str, list[dict[str, float]]] = {"finished before": [], "new frames": []}
        floors = []
        for _ in range(options.rounds):
            floors.append(timed([sys.executable, "-c", FLOOR], environment)[0])
            for name, run in runs.items():
                start = 1 + (0 if name == "finished before" else next(counter) / 1000)
                frames = f"{start:g}-8.9x{(8.9 - start) / FRAMES:.6f}"
                words = ["track", *keys, "-o", f"{folder}/a.usd", "--json", "--frames", frames]
                if name == "finished before" and not run:
                    timed([LIM, *words], environment)
                wall, out = timed([LIM, *words], environment)
                seconds = json.loads(out)["seconds"]["client"]
                run.append({"wall": wall, "start": wall - seconds["total"], **{p: seconds[p] for p in PARTS}})
        subprocess.run([LIM, "stop"], env=environment, capture_output=True, check=False)
    write_page("warm_track", "A warm lim track", page(runs, floors, options), command(options))


def write_key(path: Path, points: int, bend: float) -> str:
    """A tapering, bent tube as a binary PLY with colours."""
    around = round((points / 4) ** 0.5)
    rings = points // around
    t, s = np.meshgrid(np.linspace(0, 2 * np.pi, around, endpoint=False), np.linspace(0, 2, rings))
    radius, angle = 0.35 - 0.1 * s, bend * s
    xyz = [radius * np.cos(t) + s * np.sin(angle), 1.3 * radius * np.sin(t), s * np.cos(angle)]
    corner = np.arange(rings * around, dtype="<i4").reshape(rings, around)
    turned = np.roll(corner, -1, 1)
    quads = np.stack([corner[:-1], turned[:-1], turned[1:], corner[1:]], -1).reshape(-1, 4)
    vertices = np.zeros(rings * around, [("p", "<f4", 3), ("c", "u1", 3)])
    vertices["p"] = np.stack(xyz, -1).reshape(-1, 3)
    vertices["c"] = np.stack([s * 120, 127 + 120 * np.cos(t), 255 - s * 100], -1).reshape(-1, 3)
    faces = np.zeros(len(quads), [("n", "u1"), ("i", "<i4", 4)])
    faces["n"], faces["i"] = 4, quads
    lines = ["ply", "format binary_little_endian 1.0", f"element vertex {len(vertices)}"]
    lines += [f"property float {n}" for n in "xyz"] + [f"property uchar {n}" for n in ("red", "green", "blue")]
    lines += [f"element face {len(faces)}", "property list uchar int vertex_indices", "end_header\n"]
    path.write_bytes("\n".join(lines).encode() + vertices.tobytes() + faces.tobytes())
    return str(path)


def timed(words: list[str], environment: dict[str, str]) -> tuple[float, str]:
    """Wall seconds of a whole process, and what it printed."""
    start = time.perf_counter()
    out = subprocess.run(words, env=environment, capture_output=True, text=True, check=True).stdout
    return time.perf_counter() - start, out


def page(runs: dict[str, list[dict[str, float]]], floors: list[float], options: argparse.Namespace) -> str:
    """The table: medians in milliseconds."""

    def row(name: str, run: list[dict[str, float]]) -> str:
        ratios = [(one["start"] + one["until the first frame"]) / floor for one, floor in zip(run, floors)]
        first = statistics.median(one["start"] + one["until the first frame"] for one in run)
        middle = {part: statistics.median(one[part] for one in run) for part in run[0]}
        cells = [
            first,
            middle["start"],
            middle["read"],
            middle["connect"],
            middle["until the first frame"],
            middle["wall"],
        ]
        return f"| {name} | " + " | ".join(f"{1000 * c:.0f}" for c in cells) + f" | {statistics.median(ratios):.2f} |"

    return "\n".join(
        [
            f"Two keyframes of {options.points} points, {FRAMES} frames; medians of {options.rounds} runs in ms.",
            f"The floor, a Python that loads the same libraries and ends: {1000 * statistics.median(floors):.0f} ms.",
            "",
            "| job | return to first frame | of it start-up and end | reading | connecting "
            "| command's begin to first frame | whole command | first frame / floor |",
            "|---|---|---|---|---|---|---|---|",
            *(row(name, run) for name, run in runs.items()),
        ]
    )


def command(options: argparse.Namespace) -> str:
    """How to make the page again."""
    return f"python -m benchmarks.warm_track --points {options.points} --rounds {options.rounds}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=9)
    return parser.parse_args()


if __name__ == "__main__":
    main()
