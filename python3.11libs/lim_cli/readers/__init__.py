"""Files into polygons, one module per format, each imported when its first file comes."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from lim_cli.errors import BadInput
from lim_cli.readers.contents import Contents
from lim_cli.readers.moving import Moving

Reader = Callable[[Path, float, "str | None"], Contents]

FORMATS = {
    ".obj": "obj",
    ".ply": "ply",
    ".stl": "stl",
    ".glb": "gltf",
    ".gltf": "gltf",
    ".usd": "usd",
    ".usda": "usd",
    ".usdc": "usd",
    ".usdz": "usd",
}
MOVING = ("gltf", "usd")  # of these, the ones with a clock


def known_format(path: Path) -> str:
    """The module that reads such a file. Raises BadInput for an unknown suffix."""
    try:
        return FORMATS[path.suffix.lower()]
    except KeyError:
        found = f"{path.suffix!r} is not a format" if path.suffix else "a name without a suffix is not of a format"
        raise BadInput(
            f"{found} that can be read. Known are {', '.join(FORMATS)}; export the mesh as one of them."
        ) from None


def is_usd(path: Path) -> bool:
    """Whether the file is of a USD flavour, which can hold many times and prims."""
    return FORMATS.get(path.suffix.lower()) == "usd"


def read(path: Path, time: float, prim: str | None) -> Contents:
    """What the file holds; time and prim are for files that hold many of either, and others ignore them.

    Raises BadInput, without the file's name in its message, for anything that cannot be read.
    """
    reader: Reader = importlib.import_module(f"{__name__}.{known_format(path)}").read
    with door(path):
        return reader(path, time, prim)


def moving_suffixes() -> tuple[str, ...]:
    """The suffixes of files that can hold animation."""
    return tuple(suffix for suffix, module in FORMATS.items() if module in MOVING)


def read_moving(path: Path) -> Moving:
    """What moves in a glTF or USD file, and how. Raises BadInput as `read` does, for other formats too."""
    module = known_format(path)
    if module not in MOVING:
        known = ", ".join(moving_suffixes())
        raise BadInput(f"{path.suffix} holds no animation. Known are {known}; export it as one of them.")
    reader: Callable[[Path], Moving] = importlib.import_module(f"{__name__}.{module}_moving").read
    with door(path):
        return reader(path)


@contextmanager
def door(path: Path) -> Iterator[None]:
    """Whatever goes wrong with what a file holds, as a BadInput without the file's name."""
    try:
        if path.stat().st_size == 0:
            raise BadInput("the file is empty. Export it again.")
        with np.errstate(invalid="ignore", over="ignore"):  # points that are not finite are refused by name later
            yield
    except BadInput:
        raise
    except OSError as error:
        raise BadInput(f"cannot be opened: {error.strerror or error}. Check its permissions.") from error
    except Exception as error:
        # Foreign bytes can break a parser in ways its authors did not foresee; this is the door they come by.
        what = re.sub(r"\s+", " ", str(error))[:200] or type(error).__name__
        raise BadInput(
            f"cannot be read as {path.suffix[1:].upper()}: {what}. It may be cut short or of another format; "
            "export it again."
        ) from error


def stage_samples(path: Path, prim: str | None) -> list[float]:
    """The times at which meshes of a USD stage have samples, sorted. Raises BadInput naming the stage."""
    samples: Callable[[Path, str | None], list[float]] = importlib.import_module(f"{__name__}.usd").samples
    return samples(path, prim)
