"""True errors of the tracker on tasks with ground truth, and what each of its parts brings.

    python -m benchmarks.tracking TASKS [--only GLOB] [--without]

TASKS is a folder of .npz files: src_points, src_faces, src_colors; tgt_ (or key1_, ...) likewise; gt_points of the
source at the target (or, for clips, at every frame, and `keys`, the frames of the keyframes); `frames`; and `gap`, the
class of the task. Lengths in diagonals. --without tracks everything again with one part left out at a time (a page of
its own).
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.page import write_page
from lim_protocol.types import Keyframe, Mesh
from lim_server.geometry import coarse, fine, search
from lim_server.geometry.descriptors import Descriptors
from lim_server.geometry.fine import Fine
from lim_server.geometry.judge import Judge
from lim_server.geometry.side import Side
from lim_server.geometry.starts import Start
from lim_server.stages import track

CLASSES = ("small", "medium", "large", "clip", "scan")


@dataclass(frozen=True, eq=False)
class Task:
    """Keyframes and where the source's points truly are at each but the first."""

    name: str
    gap: str
    keyframes: list[Keyframe]
    truth: NDArray[np.float32]

    @classmethod
    def read(cls, path: Path) -> Task:
        """One file."""
        data = np.load(path)
        gap = str(data["gap"])
        clip = gap == "clip"
        times = data["keys"] if clip else np.array([0, int(data["frames"])])
        names = ["src", *(f"key{i}" for i in range(1, len(times)))] if clip else ["src", "tgt"]
        keys = [Keyframe(float(t), _mesh(data, n), n) for t, n in zip(times, names, strict=True)]
        truth = data["gt_points"][times[1:]] if clip else data["gt_points"][None]
        return cls(path.stem, gap, keys, truth)


def _mesh(data: dict[str, NDArray], name: str) -> Mesh:
    faces = data[f"{name}_faces"].astype(np.int32)
    return Mesh(data[f"{name}_points"], np.full(len(faces), 3, np.int32), faces.ravel(), colors=data[f"{name}_colors"])


def errors(
    task: Task, hints: track.Hints | None = None, *, trusted: bool = False, diagonal: float = 1.0
) -> tuple[float, float, float, float]:
    """Mean error and share within one percent, both in percent, triangles turned over in percent, seconds."""
    start = time.perf_counter()
    found = dict(track.track_keys(task.keyframes, device="cpu", step=lambda *_: None, hints=hints, trusted=trusted))
    seconds = time.perf_counter() - start
    moved = np.stack([found[i + 1].points for i in range(len(task.truth))])
    error = np.linalg.norm(moved - task.truth, axis=2) / diagonal
    faces = task.keyframes[0].mesh.triangles()
    over = (_normals(moved, faces) * _normals(task.truth, faces)).sum(axis=2) < 0
    return error.mean() * 100, (error < 0.01).mean() * 100, over.mean() * 100, seconds


def _normals(points: NDArray[np.float32], faces: NDArray[np.int32]) -> NDArray[np.float32]:
    a, b, c = (points[:, faces[:, k]] for k in range(3))
    return np.cross(b - a, c - a)


every_start, every_look, whole_problem = search.starts, search.unlikeness, search.problem_of


def _first_start(*given: Any) -> list[Start]:
    return every_start(*given)[:1]


def _no_looks(one: Descriptors, other: Descriptors) -> NDArray[np.float64]:
    return 0 * every_look(one, other)


def _no_links(*given: Any) -> coarse.Problem:
    problem = whole_problem(*given)
    return replace(problem, grip=0 * problem.grip, mass=0 * problem.mass)


def _all_trust(one: Side, _other: Side) -> NDArray[np.float64]:
    return np.ones(len(one.share))


def _either_way(kernel: torch.Tensor, left: torch.Tensor, right: torch.Tensor, *_: Any) -> tuple[torch.Tensor, ...]:
    """Each sample of the source matched in full, whoever else wants the same place."""
    v = right[:, None].expand(len(kernel), -1, 1)
    return left[:, None] / (kernel @ v).clamp(min=1e-30), v


def _no_judge(_judge: Any, _points: NDArray[np.float64]) -> float:
    return 0.0


def _stay(_fine: Any, _target: Any, start: NDArray[np.float64], *_: Any) -> NDArray[np.float64]:
    return start


WITHOUT: dict[str, tuple[Any, str, Any]] = {
    "more starts than one": (search, "starts", _first_start),
    "looks": (search, "unlikeness", _no_looks),
    "exchanges of parts and limbs": (search, "CHANGES", 0),
    "the whole surface as judge": (Judge, "cost", _no_judge),
    "turns about places near a joint": (coarse, "SWING", 1e3),
    "stiffness that gives": (fine, "STIFFER", 1.0),
    "softness where it has stretched": (fine, "CRUMPLED", 1e3),
    "momentum": (fine, "BEYOND", 0.0),
    "the second look": (search, "SECOND_LOOKS", 0),
    "links between parts": (search, "problem_of", _no_links),
    "shares (who matches whom, both ways)": (coarse, "shares", _either_way),
    "hidden surface told apart": (Side, "trust_beside", _all_trust),
    "the fine fit": (Fine, "onto", _stay),
}


def _table(tasks: list[Task], label: str) -> list[str]:
    rows = [(task.gap, *errors(task)) for task in tasks]
    out = []
    for gap in CLASSES:
        of = np.array([r[1:] for r in rows if r[0] == gap])
        if len(of):
            mean, within, over, seconds = of[:, 0].mean(), of[:, 1].mean(), of[:, 2].mean(), np.median(of[:, 3])
            middle = np.median(of[:, 0])
            row = f"{mean:.2f} | {middle:.2f} | {within:.0f} | {over:.1f} | {seconds:.1f}"
            out.append(f"| {label} | {gap} ({len(of)}) | {row} |")
    print("\n".join(out), flush=True)
    return out


HEAD = """| | class (tasks) | mean error % | median % | within 1 % | turned over % | seconds |
|---|---|---|---|---|---|---|"""


def main() -> None:
    """Track every task, then again without each part in turn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tasks", type=Path)
    parser.add_argument("--only", default="*", help="names to take, a pattern")
    parser.add_argument("--without", nargs="*", metavar="PART", help="leave out one part at a time: these, or all")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    tasks = [Task.read(p) for p in sorted(asked.tasks.glob("*.npz")) if fnmatch(p.stem, asked.only)]
    rows = [HEAD, *_table(tasks, "everything in place")]
    for name in [] if asked.without is None else asked.without or WITHOUT:
        where, attribute, value = WITHOUT[name]
        with patch.object(where, attribute, value):
            rows += _table(tasks, f"without {name}")
    only = "" if asked.only == "*" else f" --only '{asked.only}'"
    command = f"python -m benchmarks.tracking TASKS{only}" + (" --without" if asked.without is not None else "")
    page = "tracking" if asked.without is None else "tracking_parts"
    write_page(page, "True errors of the tracker, one thread", "\n".join(rows), command)


if __name__ == "__main__":
    main()
