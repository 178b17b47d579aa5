"""The weights that come with the package, opened once per process."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import lim_server
from lim_server.models.lim import Lim
from lim_server.models.lrm import Lrm
from lim_server.models.weights import load_lim, load_lrm

PRESET = "nano"
FOLDER = Path(lim_server.__path__[0]) / "weights"


@dataclass(frozen=True, eq=False)
class Models:
    """The LRM (which serves as its own twin, see training/recipes.py), LIM and LIM's twin, on one device.

    sha256  digest of the LRM's weights
    """

    lrm: Lrm
    lim: Lim
    twin: Lim
    sha256: str


@cache
def shipped(device: str) -> Models:
    """The default preset's; BadWeights where the files are damaged."""
    lrm, sha256 = load_lrm(FOLDER / f"{PRESET}-lrm.safetensors", PRESET)
    lim, twin = (load_lim(FOLDER / f"{PRESET}-{name}.safetensors", lrm, sha256) for name in ("lim", "xyz"))
    return Models(lrm.to(device), lim.to(device), twin.to(device), sha256)
