"""The weights that come with the package, opened once per process."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from lim_server.models.lim import Lim
from lim_server.models.lrm import Lrm
from lim_server.models.weights import BadWeights, load_lim, load_lrm, read_card
from lim_server.places import weights_folder

PRESET = SHARP = "micro"
"""What LIM is shipped in, and what the LRM alone, for reconstruct."""
FOLDER = weights_folder()


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
def shipped(device: str) -> Models | None:
    """The default preset's, None where one is not there; BadWeights where the files are damaged."""
    if not all((FOLDER / f"{PRESET}-{name}.safetensors").exists() for name in ("lrm", "lim", "xyz")):
        return None
    lrm, sha256 = load_lrm(FOLDER / f"{PRESET}-lrm.safetensors", PRESET)
    lim, twin = (load_lim(FOLDER / f"{PRESET}-{name}.safetensors", lrm, sha256) for name in ("lim", "xyz"))
    return Models(lrm.to(device), lim.to(device), twin.to(device), sha256)


def shipped_lrm_digest() -> str:
    """Of the weights that `shipped_lrm` opens; BadWeights where there are none."""
    path = FOLDER / f"{SHARP}-lrm.safetensors"
    if not path.exists():
        raise BadWeights(f"{path}: no such file. Start the server with LIM_WEIGHTS_DIR, a folder that has it.")
    return read_card(path)[1]


@cache
def shipped_lrm(device: str) -> Lrm:
    """The sharper preset's LRM; BadWeights where the file is damaged."""
    return load_lrm(FOLDER / f"{SHARP}-lrm.safetensors", SHARP)[0].to(device)


def shipped_digest() -> str:
    """Of all weights that `shipped` opens: part of the name of what they lead to."""
    return " ".join(read_card(path)[1] for path in sorted(FOLDER.glob(f"{PRESET}-*.safetensors")))


def shipped_names() -> list[str]:
    """For status: which models there are, without opening them."""
    return sorted(path.stem for path in FOLDER.glob("*.safetensors"))
