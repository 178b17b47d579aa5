"""Velocities and accelerations against what the points do."""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray
from pxr import Sdf, UsdGeom

from lim_protocol.types import Float32
from lim_usd.arrays import view
from lim_usd.verify.findings import Findings

_LOOKED_AT = 4000  # points of each frame
_STILL = 1e-5  # of the diagonal per frame: below it, rates are rounding
_ALIKE = 0.7  # cosine of velocities with steps; they are not the same thing where motion is not smooth
_NAMES = {"velocities": "velocity", "accelerations": "acceleration"}


class RateCheck:
    """Compares the rates of a frame with its neighbours', once the next one is known."""

    def __init__(self, path: Sdf.Path, findings: Findings) -> None:
        self.path, self._findings = path, findings
        self._frames: deque[tuple[float, Float32, dict[str, Float32]]] = deque(maxlen=3)

    def forget(self) -> None:
        """Start anew: the next frame does not go on from the last."""
        self._frames.clear()

    def frame(self, mesh: UsdGeom.Mesh, points: Float32, time: float) -> None:
        """Take one frame."""
        stride = max(1, len(points) // _LOOKED_AT)
        rates = {}
        for name, attribute in (
            ("velocities", mesh.GetVelocitiesAttr()),
            ("accelerations", mesh.GetAccelerationsAttr()),
        ):
            values = attribute.Get(time)
            if values is None:
                continue
            if len(values) != len(points):
                words = f"has {len(values)} {name} for {len(points)} points"
                self._findings.add("rate-count", self.path, words, "Write one for each point", time)
            elif not np.isfinite(view(values, np.float32)[::stride]).all():
                self._findings.add("rate-nan", self.path, f"has {name} that are not finite", "Export it again", time)
            else:
                rates[name] = view(values, np.float32)[::stride].copy()
        self._frames.append((time, points[::stride].copy(), rates))
        if len(self._frames) == 3 and self._frames[1][2]:
            self._compare(mesh.GetPrim().GetStage().GetTimeCodesPerSecond())

    def _compare(self, per_second: float) -> None:
        (before, first, _), (time, here, rates), (after, last, _) = self._frames
        left, right = (here - first) / (time - before), (last - here) / (after - time)
        size = float(np.linalg.norm(np.ptp(here, axis=0))) or 1.0
        true = {
            "velocities": (left + right) / 2 * per_second,
            "accelerations": (right - left) / ((after - before) / 2) * per_second**2,
        }
        for name, values in rates.items():
            scale = per_second ** (1 if name == "velocities" else 2)
            if _rms(true[name]) > _STILL * size * scale:
                self._judge(name, values, true[name], per_second, time)

    def _judge(self, name: str, values: Float32, true: NDArray[np.floating], per_second: float, time: float) -> None:
        dot = float((values * true).sum())
        cosine = dot / max(_rms(values) * _rms(true) * len(true), 1e-30)
        factor = dot / float((true * true).sum())
        where, order = self.path.AppendProperty(name), 1 if name == "velocities" else 2
        if cosine < -_ALIKE:
            words = "point backwards in time"
        elif abs(cosine) < _ALIKE and name == "velocities":
            words = f"have little to do with how the points move (cosine {cosine:.2f})"
        elif cosine >= _ALIKE and not 0.5 < factor < 2:
            words = f"are {factor:.3g} times what the points do"
            if 0.5 < factor * per_second**order < 2:
                words = "are per frame, and USD's are per second"
        else:
            return
        fix = f"Write each {_NAMES[name]} in units per second" + (" squared" if order == 2 else "")
        self._findings.add("rate-wrong", where, words, fix, time)


def _rms(vectors: NDArray[np.floating]) -> float:
    return float(np.sqrt((vectors * vectors).sum() / max(len(vectors), 1)))
