"""Animated glTF files that the tests make, and where independent formulas put their points."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from mesh_files import Gltf
from scipy.interpolate import CubicHermiteSpline
from scipy.spatial.transform import Rotation, Slerp

SECONDS = np.array([0.25, 0.5, 1.25], np.float32)
TURNS = Rotation.from_rotvec([[0, 0, 0], [0.3, 0, 1.2], [0, -0.9, -0.4]])
PLACES = np.array([[0, 1, 0], [0.2, 1, 0], [0, 1.5, -0.3]], np.float32)
SHAPES = np.array([[0, 0.5], [1, 0], [0.25, 0.75]], np.float32)
_SLOPES = np.random.default_rng(5)
TURN_SLOPES, PLACE_SLOPES, SHAPE_SLOPES = (_SLOPES.normal(0, 0.4, (3, width)).astype(np.float32) for width in (4, 3, 2))

POINTS = np.array([[0, 0, 0], [0.3, 2, 0], [0, 2, 1], [0.4, 0.8, 0.2], [0.3, 2, 0]], np.float32)
FACES = np.array([[0, 2, 1], [0, 4, 3], [1, 2, 3], [0, 3, 2]], np.uint16)  # 1 and 4 are one point, split by a seam
LIFTS = np.array([[[0, 0, 0], [0, 0.5, 0], [0, 0, 0], [0.1, 0, 0], [0, 0.5, 0]], [[0, 0, -0.4]] * 5], np.float32)
TIP = np.array([0.0, 1, 1, 0.7, 1], np.float32)  # how far each point follows the second joint
BENT = Rotation.from_rotvec([0, 0.5, 0])  # of the first joint, which stands still
BASE = np.array([0.5, 0, 7.0])


def arm(path: Path, kind: str = "LINEAR", **target: str) -> Path:
    """Two joints, the second turned and moved, two morph targets: keys at SECONDS, of one interpolation."""
    gltf = Gltf()
    first, second = (np.pad(w[:, None], ((0, 0), (0, 3))) for w in (1 - TIP, TIP))
    primitive = gltf.primitive(
        POINTS,
        FACES,
        JOINTS_0=gltf.accessor(np.tile([0, 1, 0, 0], (5, 1)), np.uint8),
        WEIGHTS_0=gltf.accessor(np.concatenate([first[:, :1], second[:, :1] / 2, np.zeros((5, 2))], axis=1)),
        JOINTS_1=gltf.accessor(np.tile([1, 0, 0, 0], (5, 1)), np.uint8),
        WEIGHTS_1=gltf.accessor(second / 2),
    )
    primitive["targets"] = [{"POSITION": gltf.accessor(lift)} for lift in LIFTS]
    binds = np.tile(np.eye(4), (2, 1, 1))
    binds[1, 1, 3] = -1
    mesh = gltf.add("meshes", primitives=[primitive])
    gltf.add("nodes", mesh=mesh, skin=0, translation=[100, 0, 0])
    gltf.add("nodes", children=[2], translation=BASE.tolist(), rotation=BENT.as_quat().tolist())
    gltf.add("nodes", translation=PLACES[0].tolist())
    gltf.add("skins", joints=[1, 2], inverseBindMatrices=gltf.accessor(binds.transpose(0, 2, 1).reshape(2, 16)))
    tracks = [
        (2, "rotation", TURNS.as_quat(), TURN_SLOPES),
        (2, "translation", PLACES, PLACE_SLOPES),
        (0, "weights", SHAPES, SHAPE_SLOPES),
    ]
    play(gltf, "Armature|Wave", kind, tracks)
    return gltf.save(path)


def play(gltf: Gltf, name: str, kind: str, tracks: list[tuple[int, str, np.ndarray, np.ndarray]]) -> None:
    """An animation with keys at SECONDS: of each node and path the values and, for CUBICSPLINE, the slopes."""
    times, samplers, channels = gltf.accessor(SECONDS), [], []
    for node, path, values, slopes in tracks:
        stored = np.stack([slopes, values, slopes], axis=1) if kind == "CUBICSPLINE" else values
        flat = stored.reshape(-1, 1) if path == "weights" else stored.reshape(-1, values.shape[1])
        samplers.append({"input": times, "output": gltf.accessor(flat), "interpolation": kind})
        channels.append({"sampler": len(samplers) - 1, "target": {"node": node, "path": path}})
    gltf.add("animations", name=name, samplers=samplers, channels=channels)


def arm_points(kind: str, seconds: float) -> np.ndarray:
    """The arm's POINTS at a time, [5, 3], float64."""
    turn, place, shape = _at(kind, seconds)
    points = POINTS + np.einsum("s,spx->px", shape, LIFTS.astype(float))
    root = BENT.apply(points) + BASE
    tip = BENT.apply(turn.apply(points - [0, 1, 0]) + place) + BASE
    return root + TIP.astype(float)[:, None] * (tip - root)


def _at(kind: str, seconds: float) -> tuple[Rotation, np.ndarray, np.ndarray]:
    quaternions = TURNS.as_quat().astype(np.float32)
    if kind == "STEP":
        key = int((seconds >= SECONDS).sum()) - 1
        return TURNS[key], PLACES[key], SHAPES[key]
    if kind == "LINEAR":
        between = [np.array([np.interp(seconds, SECONDS, column) for column in v.T]) for v in (PLACES, SHAPES)]
        return Slerp(SECONDS, TURNS)(seconds), between[0], between[1]
    turn, place, shape = (
        CubicHermiteSpline(SECONDS, values, slopes)(seconds)
        for values, slopes in ((quaternions, TURN_SLOPES), (PLACES, PLACE_SLOPES), (SHAPES, SHAPE_SLOPES))
    )
    return Rotation.from_quat(turn), place, shape


def slide(path: Path, shifts: tuple[float, ...] = (0, 1, 2), names: tuple[str, ...] = ("Slide",)) -> Path:
    """A tetrahedron that slides along X, under one or several names."""
    gltf = Gltf()
    node = gltf.tetra()
    places = np.array([[shift, 0, 0] for shift in shifts], np.float32)
    for name in names:
        play(gltf, name, "LINEAR", [(node, "translation", places, places)])
    return gltf.save(path)


def box(path: Path) -> Path:
    """A cube as exporters write one: 24 points, each corner three times, two materials; it grows."""
    gltf = Gltf()
    corners = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], np.float32)
    sides = [[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]]
    halves = [np.concatenate([corners[side] for side in half]) for half in (sides[:3], sides[3:])]
    triangles = np.concatenate([[[4 * k, 4 * k + 1, 4 * k + 2], [4 * k, 4 * k + 2, 4 * k + 3]] for k in range(3)])
    primitives = [{**gltf.primitive(half, triangles), "material": k} for k, half in enumerate(halves)]
    primitives.append(gltf.primitive(np.zeros((3, 3)), [[0, 1, 2]]))  # a helper without area
    for color in ([1, 0, 0, 1], [0, 0, 1, 1]):
        gltf.add("materials", pbrMetallicRoughness={"baseColorFactor": color})
    node = gltf.add("nodes", mesh=gltf.add("meshes", primitives=primitives))
    play(gltf, "Grow", "LINEAR", [(node, "scale", np.array([[1, 1, 1], [1, 2, 1], [3, 1, 1]], np.float32), PLACES)])
    return gltf.save(path)
