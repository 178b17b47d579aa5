"""LIM Keys (SOP): keyframes from files on disk, named as `lim track` names them."""

from __future__ import annotations

import shlex
from typing import Any

import hou
import numpy as np

from lim_cli.readers import FORMATS
from lim_cli.words import Key, resolve
from lim_houdini.errors import Refused, told
from lim_houdini.geometry import build
from lim_houdini.settings import number, text

NAME = "lim_keys"
READ_BY_US = (".gltf", ".glb", *(suffix for suffix, reader in FORMATS.items() if reader == "usd"))


def cook(node: hou.SopNode) -> None:
    """The key at the node's frame, or the last before it; the first where there is none before."""
    with told():
        words = (text(node, "files"), text(node, "keylist") or None, text(node, "prim") or None)
        keys, geometries = _kept(node, words)
        frame = number(node, "frame")
        place = max(int(np.searchsorted([key.time for key in keys], frame, side="right")) - 1, 0)
        key = keys[place]
        if key.time not in geometries:
            geometries[key.time] = _read(key, words[2])
    geometry = node.geometry()
    assert geometry is not None
    geometry.copy(geometries[key.time])
    for name, value in (("limkeys", " ".join(f"{k.time:.10g}" for k in keys)), ("limfile", str(key.path))):
        geometry.addAttrib(hou.attribType.Global, name, "")
        geometry.setGlobalAttribValue(name, value)


def reload(kwargs: dict[str, Any]) -> None:
    """Button: read the files again."""
    node = kwargs["node"]
    node.setCachedUserData(NAME, None)
    node.cook(force=True)


def _kept(node: hou.SopNode, words: tuple[str, str | None, str | None]) -> tuple[list[Key], dict[float, hou.Geometry]]:
    """Keys and what was read of them, as long as the words stay the same."""
    kept = node.cachedUserData(NAME)
    if not (isinstance(kept, tuple) and kept[0] == words):
        if not words[0].strip():
            raise Refused("Files: nothing is named. Write such as scan.####.obj, or 1001=a.obj 1009=b.ply.")
        keys, _ = resolve(shlex.split(words[0]), words[1], words[2])
        kept = (words, keys, {})
        node.setCachedUserData(NAME, kept)
    return kept[1], kept[2]


def _read(key: Key, prim: str | None) -> hou.Geometry:
    """A file as Houdini reads it; glTF and USD as `lim track` does."""
    if key.path.suffix.lower() in READ_BY_US:
        return build(_contents(key, prim))
    geometry = hou.Geometry()
    try:
        geometry.loadFromFile(str(key.path))
    except hou.OperationFailed as error:
        raise Refused(f"{key}: Houdini cannot read it: {error.instanceMessage()}") from None
    return geometry


def _contents(key: Key, prim: str | None) -> Any:
    from lim_cli.check import checked, sound
    from lim_cli.errors import BadInput
    from lim_cli.readers import is_usd, read

    try:
        contents = sound(read(key.path, key.time, prim))
        return checked(contents.part(prim) if prim and not is_usd(key.path) else contents).mesh
    except BadInput as error:
        raise Refused(f"{key}: {error}") from None
