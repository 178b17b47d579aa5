"""`lim track` for tests: the command, and what came of it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from pxr import Usd, UsdGeom

from tests.lim_usd.judges import issues

Lim = Callable[..., "subprocess.CompletedProcess[str]"]
COMMAND = [str(Path(sys.executable).with_name("lim"))]


class Asset:
    """A written file that the validators have nothing to say about, opened: its stage and its one mesh."""

    def __init__(self, path: Path):
        assert issues(path) == []
        self.stage = Usd.Stage.Open(str(path))
        (prim,) = [p for p in self.stage.Traverse() if p.IsA(UsdGeom.Mesh)]
        self.mesh = UsdGeom.Mesh(prim)

    def times(self) -> list[float]:
        return list(self.mesh.GetPointsAttr().GetTimeSamples())

    def points(self, frame: float) -> np.ndarray:
        return np.asarray(self.mesh.GetPointsAttr().Get(frame))
