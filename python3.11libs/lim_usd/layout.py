"""Which files an asset is made of, and where they lie beside its root."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from pxr import Sdf, Tf

from lim_usd.atomic import OutputError

EXTENSIONS = (".usd", ".usdc", ".usdz")
LAYERS, MAPS, CLIPS = "layers", "maps", "clips"


@dataclass(frozen=True)
class Layout:
    """Places of an asset's files. Folders are shared by all assets beside them, so every name begins with the asset's.

    root  the file that everyone opens: `creature.usd`
    flat  the root holds everything but images; else it has a payload, which has a look over a geometry layer
    """

    root: Path
    flat: bool

    @property
    def package(self) -> bool:
        """One .usdz with everything in it."""
        return self.root.suffix == ".usdz"

    @property
    def prim(self) -> Sdf.Path:
        """The root prim's path: the file's name, as USD can say it."""
        return Sdf.Path.absoluteRootPath.AppendChild(Tf.MakeValidIdentifier(self.root.stem))

    @property
    def payload(self) -> Path:
        """The layer that a shot may leave unloaded."""
        return self._layer("payload")

    @property
    def geometry(self) -> Path:
        """The layer with faces and samples: the heavy one."""
        return self._layer("geo")

    @property
    def look(self) -> Path:
        """The layer with the material and what is bound to it."""
        return self._layer("mtl")

    @property
    def thumbnail(self) -> Path:
        """A small picture of the first frame."""
        return self.root.parent / MAPS / f"{self.root.stem}_thumbnail.png"

    @property
    def manifest(self) -> Path:
        """The layer that names what the clips sample, and when."""
        return self.root.parent / CLIPS / f"{self.root.stem}_manifest.usd"

    def clip(self, number: int) -> Path:
        """The samples of one chunk, counted from 1."""
        return self.root.parent / CLIPS / f"{self.root.stem}_{number:04}.usd"

    def _layer(self, what: str) -> Path:
        return self.root.parent / LAYERS / f"{self.root.stem}_{what}.usd"


def layout_of(path: str | Path, flat: bool = False) -> Layout:
    """The layout of an asset at `path`; a package is flat inside. Raises OutputError for a name it cannot have."""
    suffix = Path(path).suffix
    if suffix not in EXTENSIONS:
        raise OutputError(f"{path}: an asset is one binary file. End its name in {', '.join(EXTENSIONS)}.")
    return Layout(Path(path), flat or suffix == ".usdz")


def anchored(file: Path, layer: Path) -> str:
    """The asset path of a file, relative to the layer that names it."""
    relative = Path(os.path.relpath(file, layer.parent)).as_posix()
    return relative if relative.startswith(".") else f"./{relative}"
