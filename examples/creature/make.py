"""Makes the demo's keyframes and its ground truth: `python -m examples.creature.make FOLDER`.

Four poses of one leap, each a mesh of its own in a format of its own, and where the first one's points truly are
at every frame.
"""

from __future__ import annotations

import argparse
import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from examples.creature import remesh
from examples.creature.body import Points
from examples.creature.coat import coat
from examples.creature.export import write_glb, write_obj, write_ply, write_usd
from examples.creature.motion import FRAMES, KEYS, Skin
from lim_protocol.types import Mesh, UInt8
from lim_server.geometry.unwrap import unwrap
from lim_server.geometry.uv_raster import paint

TEXTURE_SIZE = 1024


@dataclass(frozen=True)
class Demo:
    """What was made: the keyframes in order, and `truth`, an npz with `frames` [frames] and `points`
    [frames, points, 3] of the first keyframe's mesh."""

    keys: tuple[Path, ...]
    truth: Path


def made_once(folder: Path) -> Demo:
    """What `make` writes; where it stands already, from the same code, nothing is done."""
    demo, stamp = _places(folder), folder / "made_by"
    code = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py"))))
    there = all(path.is_file() for path in (*demo.keys, demo.truth, stamp))
    if not there or stamp.read_text() != code.hexdigest():
        make(folder)
        stamp.write_text(code.hexdigest())
    return demo


def make(folder: Path, size: int = TEXTURE_SIZE) -> Demo:
    """Writes everything into a folder, the same bytes each time."""
    folder.mkdir(parents=True, exist_ok=True)
    demo = _places(folder)
    keys = demo.keys
    rest = meshes_at_rest()
    skins = [Skin(mesh.points.astype(np.float64)) for mesh in rest]
    source, scan, low, cells = (
        replace(mesh, points=skin.at(key).astype(np.float32)) for mesh, skin, key in zip(rest, skins, KEYS, strict=True)
    )
    write_obj(keys[0], *_textured(rest[0], source, size))
    write_ply(keys[1], _coloured(rest[1], scan))
    write_glb(keys[2], *_textured(rest[2], low, size))
    write_usd(keys[3], _coloured(rest[3], cells))
    points = np.stack([skins[0].at(frame) for frame in FRAMES]).astype(np.float32)
    np.savez(demo.truth, frames=np.array(FRAMES, np.float64), points=points)
    return demo


def _places(folder: Path) -> Demo:
    names = [f"creature.{key}.{kind}" for key, kind in zip(KEYS, ("obj", "ply", "glb", "usd"), strict=True)]
    return Demo(tuple(folder / name for name in names), folder / "truth.npz")


def meshes_at_rest() -> tuple[Mesh, Mesh, Mesh, Mesh]:
    """The body for each keyframe, before it is posed."""
    return (
        remesh.quads(0.0235, 0.4),
        remesh.triangles(0.0128, (0.3, 0.5, 0.2)),
        remesh.coarse_triangles(6000, (0.7, -0.3, 0.4)),
        remesh.honeycomb(9000, (-0.4, 0.6, 0.1)),
    )


def _coloured(rest: Mesh, mesh: Mesh) -> Mesh:
    return replace(mesh, colors=np.rint(coat(rest.points.astype(np.float64))).astype(np.uint8))


def _textured(rest: Mesh, mesh: Mesh, size: int) -> tuple[Mesh, UInt8]:
    st, st_indices = unwrap(rest.points, rest.face_counts, rest.face_indices, size)
    corners = Mesh(rest.points, rest.face_counts, st_indices).triangles()
    places = rest.points.astype(np.float64)[rest.triangles()]

    def sample(triangle: np.ndarray, weights: np.ndarray) -> Points:
        return coat(np.einsum("nk,nkc->nc", weights, places[triangle]))

    return replace(mesh, st=st, st_indices=st_indices), paint(st[corners].astype(np.float64), sample, size)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Make the demo's keyframes and its ground truth.")
    parser.add_argument("folder", type=Path)
    for path in (made := make(parser.parse_args().folder)).keys:
        print(path)
    print(made.truth)


if __name__ == "__main__":
    main()
