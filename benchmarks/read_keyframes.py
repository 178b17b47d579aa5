"""How long a keyframe of each format takes to read, against only reading the bytes of its file (out of
the page cache, so the ratio is the cost of parsing).

    python benchmarks/read_keyframes.py [--points 200000] [--rounds 5]

Every file holds the same wavy grid of quads (of triangles where the format has no quads), with texture coordinates
or vertex colours where it can, and one of the GLBs has a texture of 4096 x 4096. `read` is the reader alone; `door`
also checks the mesh, looks for odd faces, and finds a colour for every point. Times are medians, after one run that
is not counted; the imports of the libraries are not in them.
Prints a table and writes it to benchmarks/results/read_keyframes.md.
"""

from __future__ import annotations

import argparse
import datetime
import io
import json
import os
import platform
import statistics
import struct
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pxr import Sdf, Usd, UsdGeom, Vt

from lim_cli.keyframes import load_keyframes
from lim_cli.readers import read

RESULTS = Path(__file__).parent / "results" / "read_keyframes.md"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        grid = Grid(options.points)
        files = [writer(Path(folder), grid) for writer in WRITERS]
        rows = [_row(path, options.rounds) for path in files]
    table = "\n".join(
        ["| file | MB | bytes ms | read ms | door ms | read / bytes |", "|---|---|---|---|---|---|", *rows]
    )
    page = (
        f"# Reading a keyframe of {len(grid.points):,} points\n\n{table}\n\n"
        f"{datetime.date.today()}, {platform.machine()}, {os.cpu_count()} shared cores, Python "
        f"{platform.python_version()}\n\n`python benchmarks/read_keyframes.py --points {options.points} --rounds "
        f"{options.rounds}`\n"
    )
    print(page)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(page)


class Grid:
    """A square grid of quads in waves, with its texture coordinates and colours."""

    def __init__(self, points: int) -> None:
        side = int(np.sqrt(points))
        u, v = (a.ravel() for a in np.meshgrid(np.linspace(0, 1, side), np.linspace(0, 1, side)))
        self.points = np.stack([u, v, 0.1 * np.sin(20 * u) * np.cos(15 * v)], axis=1).astype(np.float32)
        self.st = np.stack([u, v], axis=1).astype(np.float32)
        self.colors = (np.stack([u, v, 1 - u], axis=1) * 255).astype(np.uint8)
        first = (np.arange(side - 1)[:, None] * side + np.arange(side - 1)).ravel()
        self.quads = np.stack([first, first + 1, first + side + 1, first + side], axis=1).astype(np.int32)
        self.triangles = np.concatenate([self.quads[:, :3], self.quads[:, [0, 2, 3]]])


def obj(folder: Path, grid: Grid) -> Path:
    """Text, `f v/vt`."""
    lines = [f"v {x:.7g} {y:.7g} {z:.7g}\n" for x, y, z in grid.points.tolist()]
    lines += [f"vt {u:.7g} {v:.7g}\n" for u, v in grid.st.tolist()]
    lines += ["f " + " ".join(f"{i}/{i}" for i in quad) + "\n" for quad in (grid.quads + 1).tolist()]
    (folder / "quads and st.obj").write_text("".join(lines))
    return folder / "quads and st.obj"


PLY = (
    "ply\nformat {} 1.0\nelement vertex {}\nproperty float x\nproperty float y\nproperty float z\n"
    "property uchar red\nproperty uchar green\nproperty uchar blue\nelement face {}\n"
    "property list uchar int vertex_indices\nend_header\n"
)


def ply_binary(folder: Path, grid: Grid) -> Path:
    """Quads and vertex colours."""
    points = np.zeros(len(grid.points), [("p", "<f4", 3), ("c", "u1", 3)])
    points["p"], points["c"] = grid.points, grid.colors
    faces = np.zeros(len(grid.quads), [("n", "u1"), ("i", "<i4", 4)])
    faces["n"], faces["i"] = 4, grid.quads
    head = PLY.format("binary_little_endian", len(points), len(faces)).encode()
    (folder / "quads and colours, binary.ply").write_bytes(head + points.tobytes() + faces.tobytes())
    return folder / "quads and colours, binary.ply"


def ply_ascii(folder: Path, grid: Grid) -> Path:
    """Quads and vertex colours."""
    rows = zip(grid.points.tolist(), grid.colors.tolist(), strict=True)
    lines = [f"{p[0]:.7g} {p[1]:.7g} {p[2]:.7g} {c[0]} {c[1]} {c[2]}\n" for p, c in rows]
    lines += [f"4 {a} {b} {c} {d}\n" for a, b, c, d in grid.quads.tolist()]
    head = PLY.format("ascii", len(grid.points), len(grid.quads))
    (folder / "quads and colours, text.ply").write_text(head + "".join(lines))
    return folder / "quads and colours, text.ply"


def stl_binary(folder: Path, grid: Grid) -> Path:
    """Loose triangles."""
    soup = np.zeros(len(grid.triangles), [("n", "<f4", 3), ("v", "<f4", (3, 3)), ("a", "<u2")])
    soup["v"] = grid.points[grid.triangles]
    (folder / "binary.stl").write_bytes(bytes(80) + struct.pack("<I", len(soup)) + soup.tobytes())
    return folder / "binary.stl"


def stl_ascii(folder: Path, grid: Grid) -> Path:
    """Loose triangles."""
    facet = "facet normal 0 0 1\nouter loop\n" + "vertex {:.7g} {:.7g} {:.7g}\n" * 3 + "endloop\nendfacet\n"
    facets = [facet.format(*corners) for corners in grid.points[grid.triangles].reshape(-1, 9).tolist()]
    (folder / "text.stl").write_text("solid grid\n" + "".join(facets) + "endsolid grid\n")
    return folder / "text.stl"


def glb(folder: Path, grid: Grid) -> Path:
    """Triangles and texture coordinates."""
    return _glb(folder / "st.glb", grid, b"")


def glb_textured(folder: Path, grid: Grid) -> Path:
    """The same with a JPEG of 16 megapixels."""
    pixels = np.random.default_rng(0).integers(0, 255, (512, 512, 3)).astype(np.uint8)
    image = io.BytesIO()
    Image.fromarray(pixels).resize((4096, 4096)).save(image, "JPEG", quality=90)
    return _glb(folder / "st and texture.glb", grid, image.getvalue())


def _glb(path: Path, grid: Grid, image: bytes) -> Path:
    chunks: list[tuple[NDArray[np.generic], int, str]] = [
        (grid.points, 5126, "VEC3"),
        (grid.st, 5126, "VEC2"),
        (grid.triangles.ravel().astype(np.uint32), 5125, "SCALAR"),
    ]
    data, views, accessors = b"", [], []
    for i, (array, kind, shape) in enumerate(chunks):
        views.append({"buffer": 0, "byteOffset": len(data), "byteLength": array.nbytes})
        accessors.append({"bufferView": i, "componentType": kind, "count": len(array), "type": shape})
        data += array.tobytes()
    primitive = {"attributes": {"POSITION": 0, "TEXCOORD_0": 1}, "indices": 2, "material": 0}
    tree = {
        "asset": {"version": "2.0"},
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [primitive]}],
        "accessors": accessors,
        "bufferViews": views,
        "materials": [{}],
    }
    if image:
        views.append({"buffer": 0, "byteOffset": len(data), "byteLength": len(image)})
        data += image
        tree["materials"] = [{"pbrMetallicRoughness": {"baseColorTexture": {"index": 0}}}]
        tree |= {"textures": [{"source": 0}], "images": [{"bufferView": 3, "mimeType": "image/jpeg"}]}
    data += bytes(-len(data) % 4)
    tree["buffers"] = [{"byteLength": len(data)}]
    text = json.dumps(tree).encode()
    text += b" " * (-len(text) % 4)
    body = struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(data), b"BIN\0") + data
    path.write_bytes(b"glTF" + struct.pack("<II", 2, 12 + len(body)) + body)
    return path


def usdc(folder: Path, grid: Grid) -> Path:
    """Quads and indexed texture coordinates."""
    path = folder / "quads and st.usdc"
    stage = Usd.Stage.CreateNew(str(path))
    mesh = UsdGeom.Mesh.Define(stage, "/grid")
    mesh.GetPointsAttr().Set(Vt.Vec3fArray.FromNumpy(grid.points))
    mesh.GetFaceVertexCountsAttr().Set(Vt.IntArray.FromNumpy(np.full(len(grid.quads), 4, np.int32)))
    mesh.GetFaceVertexIndicesAttr().Set(Vt.IntArray.FromNumpy(grid.quads.ravel()))
    kind = Sdf.ValueTypeNames.TexCoord2fArray
    st = UsdGeom.PrimvarsAPI(mesh).CreatePrimvar("st", kind, UsdGeom.Tokens.faceVarying)
    st.Set(Vt.Vec2fArray.FromNumpy(grid.st))
    st.SetIndices(Vt.IntArray.FromNumpy(grid.quads.ravel()))
    stage.Save()
    return path


WRITERS = (obj, ply_binary, ply_ascii, stl_binary, stl_ascii, glb, glb_textured, usdc)


def _row(path: Path, rounds: int) -> str:
    read(path, 1.0, None)
    size = path.stat().st_size / 1e6
    raw = _median(lambda: path.read_bytes(), rounds)
    alone = _median(lambda: read(path, 1.0, None), rounds)
    door = _median(lambda: load_keyframes([f"1={path}", f"2={path}"]), rounds) / 2
    times = f"{raw * 1e3:.1f} | {alone * 1e3:.0f} | {door * 1e3:.0f}"
    return f"| {path.name} | {size:.1f} | {times} | {alone / raw:.0f} |"


def _median(work: Callable[[], object], rounds: int) -> float:
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


if __name__ == "__main__":
    main()
