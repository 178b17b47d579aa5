"""A layer and its images as one .usdz: a zip without compression, so that readers map it where it lies."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

from pxr import Sdf, Usd

from lim_usd.atomic import DiskError

# It was Usd's until 24.11.
_ARCHIVE = Sdf.ZipFileWriter if hasattr(Sdf, "ZipFileWriter") else Usd.ZipFileWriter


def pack(folder: Path, layer: Path, name: str, images: Mapping[str, bytes]) -> Path:
    """Make `package.usdz` in `folder` and read it back.

    layer   the file that becomes the package's root, under `name`
    images  encoded files by their path in the package, as the layer names them

    Raises DiskError where the package is not whole.
    """
    path = folder / "package.usdz"
    with _ARCHIVE.CreateNew(str(path)) as archive:
        archive.AddFile(str(layer), name)
        for place, data in images.items():
            loose = folder / Path(place).name
            loose.write_bytes(data)
            archive.AddFile(str(loose), place.removeprefix("./"))
    try:
        with zipfile.ZipFile(path) as written:
            damaged = written.testzip()
    except (OSError, zipfile.BadZipFile) as error:
        raise DiskError(f"{path}: the package is not whole: {error}") from error
    if damaged:
        raise DiskError(f"{path}: {damaged} does not read back as it was written")
    return path
