"""The landmarks file: pairs of places, on the source and on a later keyframe, as somebody has recognised them.

    {"1009": [[12, 340], [[0.1, 1.62, 0.03], 77]], "1017": [[12, [0.4, 1.5, 0.1]]]}

By frame a list of pairs. A place is the number of a point of that keyframe's mesh, counted from 0, or [x, y, z] in the
keyframe's own file, which is taken to the closest place on its surface.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lim_cli.errors import BadInput
from lim_cli.frames import frame_text, parse_frame
from lim_protocol.types import Float32, Int32, Mesh

FARTHEST, LARGEST = 0.05, 1e30
FORM = 'Write {"FRAME": [[SOURCE, KEY], ...]}, each of the two a point\'s number or [x, y, z].'


def read_landmarks(path: Path, times: Sequence[float], meshes: Sequence[Mesh]) -> list[Mesh]:
    """The meshes of the keyframes, the later ones with their landmarks.

    times   frames of the keyframes, the source's first
    meshes  theirs, each in the space that the file speaks of

    Raises BadInput with the file, the entry and what was found.
    """
    said = _parsed(path)
    out = list(meshes)
    for word, pairs in said.items():
        time = parse_frame(word.strip())
        if time is None or time not in times[1:]:
            later = ", ".join(frame_text(t) for t in times[1:11])
            source = " is the source's" if time == times[0] else " is no keyframe"
            raise BadInput(f"{path}: frame {word!r}{source}. Landmarks are for later keyframes: {later}.")
        i = list(times).index(time)
        if out[i].landmarks is not None:
            raise BadInput(f"{path}: frame {word!r} is there twice. Put all its pairs in one list.")
        out[i] = _with_landmarks(meshes[0], meshes[i], pairs, f"{path}: frame {word}")
    return out


def _parsed(path: Path) -> dict[str, Any]:
    try:
        said = json.loads(path.read_text("utf-8-sig"))
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}. Check the path.") from None
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{path}: not JSON ({error}). {FORM}") from None
    if not isinstance(said, dict):
        raise BadInput(f"{path}: holds no map of frames. {FORM}")
    return said


def _with_landmarks(source: Mesh, mesh: Mesh, pairs: Any, name: str) -> Mesh:
    if not isinstance(pairs, list):
        raise BadInput(f"{name}: {_shown(pairs)} is no list of pairs. {FORM}")
    if not pairs:
        return mesh
    points, weights = np.zeros((len(pairs), 2, 3), np.int32), np.zeros((len(pairs), 2, 3), np.float32)
    for i, pair in enumerate(pairs):
        at = f"{name}, pair {i + 1}"
        if not isinstance(pair, list) or len(pair) != 2:
            raise BadInput(f"{at}: {_shown(pair)} is no pair of places. {FORM}")
        for side, (place, on, whose) in enumerate(zip(pair, (source, mesh), ("the source", "the keyframe"))):
            points[i, side], weights[i, side] = _place(place, on, at, whose)
    return replace(mesh, landmarks=points, landmark_weights=weights)


def _place(place: Any, mesh: Mesh, name: str, whose: str) -> tuple[Int32 | list[int], Float32]:
    """The three points that a place is the mean of, and their weights."""
    if isinstance(place, int) and not isinstance(place, bool):
        if not 0 <= place < len(mesh.points):
            count = len(mesh.points)
            raise BadInput(f"{name}: {whose} has no point {place}. Its {count} points are counted from 0.")
        return [place] * 3, np.array([1, 0, 0], np.float32)
    numbers = place if isinstance(place, list) and len(place) == 3 else []
    if not numbers or any(isinstance(x, bool) or not isinstance(x, (int, float)) for x in numbers):
        raise BadInput(f"{name}: {_shown(place)} is no place on {whose}. {FORM}")
    if not all(abs(x) < LARGEST for x in numbers):
        raise BadInput(f"{name}: {_shown(place)} is not finite. Give places in the keyframe's own units.")
    at = np.array(numbers, np.float64)
    corners, weights, distance = closest(mesh, at)
    diagonal = float(np.linalg.norm(np.ptp(mesh.points.astype(np.float64), axis=0)))
    if distance > FARTHEST * diagonal:
        raise BadInput(
            f"{name}: {_shown(place)} is {distance:.4g} away from the surface of {whose}, which is {diagonal:.4g} "
            "large. Give places in the units and the up axis of that keyframe's own file."
        )
    return corners, weights.astype(np.float32)


def closest(mesh: Mesh, at: NDArray[np.float64]) -> tuple[Int32, NDArray[np.float64], float]:
    """The triangle closest to a place, the corners' weights there, and how far it is."""
    triangles = mesh.triangles()
    points = mesh.points.astype(np.float64)
    near = np.linalg.norm(points[triangles[:, 0]] - at, axis=1).min()
    corners = points[triangles]
    gap = np.maximum(corners.min(axis=1) - at, at - corners.max(axis=1)).clip(min=0)
    triangles = triangles[np.linalg.norm(gap, axis=1) <= near]
    corners = points[triangles]
    weights = _nearest_weights(corners - at)
    distance = np.linalg.norm(np.einsum("tc,tcx->tx", weights, corners) - at, axis=1)
    best = int(distance.argmin())
    return triangles[best], weights[best], float(distance[best])


def _nearest_weights(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of each triangle [t, 3, 3] the weights of its corners [t, 3] at its point closest to the origin."""
    tries = [np.tile(np.eye(3)[k], (len(corners), 1)) for k in range(3)]
    for k in range(3):
        a, b = corners[:, k], corners[:, (k + 1) % 3]
        along = b - a
        s = -(a * along).sum(axis=1) / np.maximum((along * along).sum(axis=1), 1e-300)
        tries.append(np.eye(3)[k] + np.clip(s, 0, 1)[:, None] * (np.eye(3)[(k + 1) % 3] - np.eye(3)[k]))
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    square = (normal * normal).sum(axis=1)[:, None]
    opposite = np.stack([np.cross(corners[:, (k + 1) % 3], corners[:, (k + 2) % 3]) for k in range(3)], axis=1)
    inside = np.einsum("tcx,tx->tc", opposite, normal) / np.maximum(square, 1e-300)
    tries.append(np.where((inside.min(axis=1, keepdims=True) >= 0) & (square > 0), inside, tries[0]))
    every = np.stack(tries, axis=1)
    off = np.linalg.norm(np.einsum("tkc,tcx->tkx", every, corners), axis=2)
    chosen: NDArray[np.float64] = every[np.arange(len(corners)), off.argmin(axis=1)]
    return chosen


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
