"""What the tracker makes of inputs that are hard: one creature, one leap of eight frames, one difficulty at a time.

    python -m benchmarks.hard_inputs [NAME...]

The source is the demo's creature in quads at its first key, the target the same at its second key in triangles of
another make. Truth is known, so errors are true ones, in percent of the diagonal.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass, replace
from fnmatch import fnmatch

import igl
import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.page import write_page
from benchmarks.tracking import Task, errors
from examples.creature import remesh
from examples.creature.coat import coat
from examples.creature.motion import KEYS, Skin
from lim_protocol.types import Keyframe, Mesh

Points = NDArray[np.float64]
HOLES, HOLE = 14, 0.05
NOISE, CLOSED, CELLS = 0.002, 0.02, 110
SCALE = 1.2


@dataclass(frozen=True, eq=False)
class Pair:
    """A source, a target, and where the source's points are on it."""

    source: Mesh
    target: Mesh
    truth: NDArray[np.float32]

    @property
    def diagonal(self) -> float:
        """Of the source."""
        return float(np.linalg.norm(np.ptp(self.source.points, axis=0)))


def _posed(rest: Mesh, key: float) -> Mesh:
    points = rest.points.astype(np.float64)
    colors = np.rint(coat(points)).astype(np.uint8)
    return replace(rest, points=Skin(points).at(key).astype(np.float32), colors=colors)


def creature(target: Mesh | None = None) -> Pair:
    """The leap, onto any remeshing of the body at rest."""
    rest = remesh.quads(0.0235, 0.4)
    goal = remesh.triangles(0.0128, (0.3, 0.5, 0.2)) if target is None else target
    return Pair(_posed(rest, KEYS[0]), _posed(goal, KEYS[1]), _posed(rest, KEYS[1]).points)


def holes() -> Pair:
    """Patches of the target are missing, a tenth of its surface or so."""
    pair = creature()
    faces = pair.target.triangles()
    middle = pair.target.points[faces].mean(axis=1)
    chosen = middle[np.random.default_rng(1).choice(len(middle), HOLES, replace=False)]
    near = (np.linalg.norm(middle[:, None] - chosen, axis=2) < HOLE * pair.diagonal).any(axis=1)
    return replace(pair, target=_triangles(pair.target, faces[~near]))


def noise() -> Pair:
    """Every point of the target off by 0.2 % of the diagonal, any way."""
    pair = creature()
    off = np.random.default_rng(2).normal(0, NOISE * pair.diagonal, pair.target.points.shape)
    return replace(pair, target=replace(pair.target, points=(pair.target.points + off).astype(np.float32)))


def hull() -> Pair:
    """The target as one watertight hull: gaps up to 4 % of the diagonal are closed, limbs that touch grow together."""
    pair = creature()
    body, faces, colors = (
        pair.target.points.astype(np.float64),
        pair.target.triangles().astype(np.int64),
        pair.target.colors,
    )
    assert colors is not None
    reach = CLOSED * pair.diagonal
    fat, fat_faces = _level(body, faces, reach, reach)
    points, closed = _level(fat, fat_faces, -reach, reach)
    nearest = igl.point_mesh_squared_distance(points, body, faces)[1].ravel()
    mesh = Mesh(points.astype(np.float32), np.full(len(closed), 3, np.int32), closed.astype(np.int32).ravel())
    return replace(pair, target=replace(mesh, colors=colors[faces[nearest, 0]]))


def _level(points: Points, faces: NDArray[np.int64], level: float, margin: float) -> tuple[Points, NDArray[np.int64]]:
    """Where the signed distance is so much."""
    low, high = points.min(axis=0) - 2 * margin, points.max(axis=0) + 2 * margin
    step = (high - low).max() / CELLS
    axes = [np.arange(a, b, step) for a, b in zip(low, high, strict=True)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).transpose(2, 1, 0, 3).reshape(-1, 3)
    kind = igl.SIGNED_DISTANCE_TYPE_FAST_WINDING_NUMBER
    value = igl.signed_distance(grid, points, faces, sign_type=kind)[0].ravel()
    found = igl.marching_cubes(value, grid, *(len(a) for a in axes), level)
    return np.asarray(found[0]), np.asarray(found[1], np.int64)


def uncoloured() -> Pair:
    """Neither has colours."""
    pair = creature()
    return replace(pair, source=replace(pair.source, colors=None), target=replace(pair.target, colors=None))


def scaled() -> Pair:
    """The target is 1.2 times as large."""
    pair = creature()
    return Pair(pair.source, replace(pair.target, points=pair.target.points * np.float32(SCALE)), pair.truth * SCALE)


def turned() -> Pair:
    """The target faces the other way."""
    pair, about = creature(), np.array([-1, 1, -1], np.float32)
    return Pair(pair.source, replace(pair.target, points=pair.target.points * about), pair.truth * about)


def sheet() -> Pair:
    """A slab 0.4 % of its diagonal thick, in soft colours, rolled half round: front and back are as good as one."""
    return Pair(_slab(48, 30, 0.0), _slab(61, 37, 2.4), _slab(48, 30, 2.4).points)


def _slab(across: int, along: int, bend: float) -> Mesh:
    u, v = np.meshgrid(np.linspace(-1, 1, across), np.linspace(-0.6, 0.6, along), indexing="ij")
    half = 0.002 * np.hypot(2, 1.2)
    number = np.arange(across * along).reshape(across, along)
    count = across * along
    top = np.stack([number[:-1, :-1], number[1:, :-1], number[1:, 1:], number[:-1, 1:]], axis=-1).reshape(-1, 4)
    rim = np.concatenate([number[:, 0], number[-1, 1:], number[-2::-1, -1], number[0, -2:0:-1]])
    side = np.stack([rim, rim + count, np.roll(rim, -1) + count, np.roll(rim, -1)], axis=1)
    quads = np.concatenate([top, top[:, ::-1] + count, side])
    sheets = []
    for z in (half, -half):
        if bend:
            radius = 2 / bend
            angle = u / radius
            sheets.append(np.stack([(radius - z) * np.sin(angle), v, radius - (radius - z) * np.cos(angle)], axis=-1))
        else:
            sheets.append(np.stack([u, v, np.full_like(u, z)], axis=-1))
    shade = 127 + 90 * np.stack([np.sin(5 * u + 1), np.sin(7 * v), np.cos(3 * u - 4 * v)], axis=-1)
    points = np.concatenate([s.reshape(-1, 3) for s in sheets])
    colors = np.tile(shade.reshape(-1, 3), (2, 1)).astype(np.uint8)
    return Mesh(
        points.astype(np.float32), np.full(len(quads), 4, np.int32), quads.astype(np.int32).ravel(), colors=colors
    )


def parts() -> Pair:
    """Fifty pebbles of three colours, none connected, each moved and turned by itself, the heap by 40 degrees."""
    return Pair(_heap(14, 10, moved=False), _heap(17, 13, moved=True), _heap(14, 10, moved=True).points)


def _heap(rings: int, around: int, *, moved: bool) -> Mesh:
    random = np.random.default_rng(5)
    points, faces, colors = [], [], []
    ball, triangles = _ball(rings, around)
    for k in range(50):
        place = np.array([k % 5, k // 5 % 5, k // 25]) * 0.5 + random.uniform(-0.06, 0.06, 3)
        size, shade = random.uniform(0.1, 0.22, 3), random.integers(40, 220, 3)
        drift, about = random.normal(0, 0.06, 3), random.normal(0, 0.35, 3)
        at = ball * size
        if moved:
            at, place = at @ _turn(about).T, place + drift
        points.append(at + place)
        faces.append(triangles + k * len(ball))
        colors.append(np.broadcast_to(shade, ball.shape))
    all_points = np.concatenate(points)
    if moved:
        all_points = all_points @ _turn(np.array([0, np.radians(40), 0])).T
    all_faces = np.concatenate(faces)
    counts = np.full(len(all_faces), 3, np.int32)
    paint = np.concatenate(colors).astype(np.uint8)
    return Mesh(all_points.astype(np.float32), counts, all_faces.astype(np.int32).ravel(), colors=paint)


def _ball(rings: int, around: int) -> tuple[Points, NDArray[np.int64]]:
    z, angle = np.meshgrid(np.linspace(0, np.pi, rings)[1:-1], np.arange(around) * 2 * np.pi / around, indexing="ij")
    side = np.stack([np.sin(z) * np.cos(angle), np.sin(z) * np.sin(angle), np.cos(z)], axis=-1).reshape(-1, 3)
    a = np.arange(len(side)).reshape(-1, around)
    b = np.roll(a, -1, axis=1)
    top, bottom = np.full(around, len(side)), np.full(around, len(side) + 1)
    faces = [
        np.stack([a[:-1], a[1:], b[1:]], axis=-1).reshape(-1, 3),
        np.stack([a[:-1], b[1:], b[:-1]], axis=-1).reshape(-1, 3),
        np.stack([top, a[0], b[0]], axis=1),
        np.stack([bottom, b[-1], a[-1]], axis=1),
    ]
    return np.concatenate([side, [[0, 0, 1], [0, 0, -1]]]), np.concatenate(faces)


def _turn(vector: Points) -> Points:
    angle = float(np.linalg.norm(vector))
    x, y, z = vector / angle
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    turned: Points = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    return turned


def _triangles(mesh: Mesh, faces: NDArray[np.integer]) -> Mesh:
    used, number = np.unique(faces, return_inverse=True)
    counts = np.full(len(faces), 3, np.int32)
    colors = None if mesh.colors is None else mesh.colors[used]
    return Mesh(mesh.points[used], counts, number.astype(np.int32).ravel(), colors=colors)


CASES: dict[str, Callable[[], Pair]] = {
    "as it is": creature,
    "target with holes": holes,
    "noise of 0.2 %": noise,
    "watertight hull, limbs grown together": hull,
    "ten times fewer points": lambda: creature(remesh.coarse_triangles(1150, (0.7, -0.3, 0.4))),
    "ten times more points": lambda: creature(remesh.triangles(0.0074, (0.3, 0.5, 0.2))),
    "without colours": uncoloured,
    "scaled 1.2 times": scaled,
    "turned by 180 degrees": turned,
    "thin sheet": sheet,
    "fifty parts": parts,
}

HEAD = """| input | points: source, target | mean error % | within 1 % | turned over % | seconds |
|---|---|---|---|---|---|"""


def main() -> None:
    """Every case, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="cases, by pattern; all if none")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    rows = [HEAD]
    for name, make in CASES.items():
        if asked.names and not any(fnmatch(name, pattern) for pattern in asked.names):
            continue
        pair = make()
        keys = [Keyframe(1.0, pair.source, "source"), Keyframe(9.0, pair.target, "target")]
        mean, within, over, seconds = errors(Task(name, name, keys, pair.truth[None]), diagonal=pair.diagonal)
        sizes = f"{len(pair.source.points)}, {len(pair.target.points)}"
        rows.append(f"| {name} | {sizes} | {mean:.2f} | {within:.0f} | {over:.1f} | {seconds:.1f} |")
        print(rows[-1], flush=True)
    if not asked.names:
        write_page("hard_inputs", "Hard inputs", "\n".join(rows), "python -m benchmarks.hard_inputs")


if __name__ == "__main__":
    main()
