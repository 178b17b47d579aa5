"""Which code computes, with which weights: the digest is part of every result's name, so that no result outlives a
change of either."""

from __future__ import annotations

import hashlib
from pathlib import Path

import lim_protocol
import lim_server
from lim_server.places import weights_folder

PARTS = ("pipeline.py", "reconstruct.py", "stages", "geometry", "models", "render")


def code_digest() -> bytes:
    """sha256 over the sources and the weights that a result depends on."""
    server, protocol = (Path(module.__path__[0]) for module in (lim_server, lim_protocol))
    files = [protocol / "types.py", protocol / "records.py", protocol / "views.py"]
    for part in PARTS:
        files += sorted((server / part).rglob("*.py")) if (server / part).is_dir() else [server / part]
    files += sorted(weights_folder().glob("*.safetensors"))
    whole = hashlib.sha256()
    for file in files:
        if file.exists():
            whole.update(file.name.encode() + b"\0" + file.read_bytes())
    return whole.digest()
