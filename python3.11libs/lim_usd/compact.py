"""A deforming mesh as one rigid motion and a few blend shapes, no point further off than asked for.

The motion is split as in the facts of linear blend skinning with one joint: the best rotation and translation of each
frame (Kabsch 1976), and what is left as principal components over time, found through the small matrix of frames by
frames (Sirovich 1987, the method of snapshots). Weights are 0 to 1, since hosts cut them to that.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]
Float32 = NDArray[np.float32]

# Points are taken in runs, so that memory holds a few hundred MB of float64 whatever the mesh.
_RUN_BYTES = 64 << 20


@dataclass(frozen=True, eq=False)
class Compact:
    """The motion of n points over t frames by k shapes.

    base, base_normals      float32 [n, 3]     pose of all weights zero
    shapes, shape_normals   float32 [k, n, 3]  what a weight of one adds
    weights                 float32 [t, k]     0 to 1
    rotations               float64 [t, 3, 3]  and
    translations            float64 [t, 3]     after the shapes: points are rows, p @ rotation.T + translation
    diagonal                of the box around all frames
    error_max, error_rms    distance from the true points, as parts of the diagonal, of what is stored
    """

    base: Float32
    base_normals: Float32
    shapes: Float32
    shape_normals: Float32
    weights: Float32
    rotations: Float64
    translations: Float64
    diagonal: float
    error_max: float
    error_rms: float

    def posed(self, frame: int) -> Float32:
        """The points at one frame as a host computes them, float32 [n, 3]."""
        still = self.base + np.tensordot(self.weights[frame], self.shapes, 1)
        turned = still @ self.rotations[frame].T.astype(np.float32) + self.translations[frame].astype(np.float32)
        return np.asarray(turned, np.float32)


class ToleranceError(ValueError):
    """No number of shapes keeps every point as near as asked for, short of one for each frame."""


def compact(points: Float32, normals: Float32, tolerance: float) -> Compact:
    """The fewest shapes that keep every point within `tolerance` of its place, as a part of the diagonal.

    points, normals  float32 [t, n, 3]; may be mapped files

    Raises ToleranceError where it takes as many shapes as frames, so that nothing is gained.
    """
    rotations, translations = rigid_motion(points)
    low = np.min([frame.min(0) for frame in points], 0)
    high = np.max([frame.max(0) for frame in points], 0)
    diagonal = float(np.linalg.norm(high.astype(np.float64) - low)) or 1.0
    mean = _mean(points, rotations, translations)
    modes = _modes(points, rotations, translations, mean)
    fewest, most = 0, modes.shape[1]
    found: Compact | None = None
    while fewest < most or found is None:
        count = (fewest + most) // 2
        attempt = _of_modes(points, normals, rotations, translations, mean, modes[:, :count], diagonal)
        if attempt.error_max <= tolerance:
            found, most = attempt, count
        elif fewest == most:
            break
        else:
            fewest = count + 1
    if found is None:
        raise ToleranceError(f"{100 * tolerance:g} % of the diagonal cannot be kept with fewer shapes than frames")
    return found


def rigid_motion(points: Float32) -> tuple[Float64, Float64]:
    """Rotation [t, 3, 3] and translation [t, 3] that take the first frame nearest to each (Kabsch 1976)."""
    first = points[0].astype(np.float64)
    centre = first.mean(0)
    rotations, translations = np.empty((len(points), 3, 3)), np.empty((len(points), 3))
    for place, frame in enumerate(points):
        here = frame.astype(np.float64)
        u, _, vt = np.linalg.svd((first - centre).T @ (here - here.mean(0)))
        mirror = np.diag([1.0, 1.0, np.sign(np.linalg.det(u @ vt)) or 1.0])
        rotations[place] = (u @ mirror @ vt).T
        translations[place] = here.mean(0) - rotations[place] @ centre
    return rotations, translations


def _still(points: Float32, rotations: Float64, translations: Float64, run: slice) -> Float64:
    """Some points of all frames with the rigid motion taken out, float64 [t, run, 3]."""
    taken: Float64 = np.einsum("tni,tij->tnj", points[:, run].astype(np.float64) - translations[:, None], rotations)
    return taken


def _runs(points: Float32) -> list[slice]:
    size = max(1, _RUN_BYTES // (len(points) * 24))
    return [slice(first, first + size) for first in range(0, points.shape[1], size)]


def _mean(points: Float32, rotations: Float64, translations: Float64) -> Float64:
    return np.concatenate([_still(points, rotations, translations, run).mean(0) for run in _runs(points)])


def _modes(points: Float32, rotations: Float64, translations: Float64, mean: Float64) -> Float64:
    """How much of each principal component is in each frame, float64 [t, most], orthonormal, largest first."""
    gram = np.zeros((len(points), len(points)))
    for run in _runs(points):
        off = (_still(points, rotations, translations, run) - mean[run]).reshape(len(points), -1)
        gram += off @ off.T
    values, vectors = np.linalg.eigh(gram)
    kept = values > max(values[-1], 0) * 1e-13
    modes: Float64 = vectors[:, kept][:, ::-1]
    return modes


def _of_modes(
    points: Float32,
    normals: Float32,
    rotations: Float64,
    translations: Float64,
    mean: Float64,
    modes: Float64,
    diagonal: float,
) -> Compact:
    """Shapes by projection on the modes, shifted and scaled so that all weights are 0 to 1, and their true error."""
    low, span = (modes.min(0), np.ptp(modes, axis=0)) if modes.shape[1] else (np.zeros(0), np.zeros(0))
    weights = ((modes - low) / np.where(span > 0, span, 1)).astype(np.float32)
    count, size = points.shape[1], (modes.shape[1], points.shape[1], 3)
    result = Compact(
        np.empty((count, 3), np.float32),
        np.empty((count, 3), np.float32),
        np.empty(size, np.float32),
        np.empty(size, np.float32),
        weights,
        rotations,
        translations,
        diagonal,
        0.0,
        0.0,
    )
    worst, squares = 0.0, 0.0
    for run in _runs(points):
        still = _still(points, rotations, translations, run)
        shapes = np.tensordot(modes.T, still - mean[run], 1)
        result.base[run] = mean[run] + np.tensordot(low, shapes, 1)
        result.shapes[:, run] = shapes * span[:, None, None]
        _fit_normals(result, normals, modes, low, span, run)
        stored = result.base[run] + np.tensordot(weights, result.shapes[:, run], 1)
        distances = ((stored - still) ** 2).sum(2)
        worst, squares = max(worst, float(distances.max())), squares + float(distances.sum())
    rms = (squares / (len(points) * count)) ** 0.5
    # Hosts keep weights, rotations and sums in single precision: this much of the diagonal is theirs.
    rounding = 4e-7 * (1 + float(np.abs(translations).max()) / diagonal)
    return Compact(
        **{
            **vars(result),
            "error_max": worst**0.5 / diagonal + rounding,
            "error_rms": rms / diagonal,
        }
    )


def _fit_normals(result: Compact, normals: Float32, modes: Float64, low: Float64, span: Float64, run: slice) -> None:
    """Normals that follow the same weights as well as they can: hosts do not compute them anew."""
    still = np.einsum("tni,tij->tnj", normals[:, run].astype(np.float64), result.rotations)
    mean = still.mean(0)
    shapes = np.tensordot(modes.T, still - mean, 1)
    result.base_normals[run] = mean + np.tensordot(low, shapes, 1)
    result.shape_normals[:, run] = shapes * span[:, None, None]
