"""Stages as text, around one small mesh."""

from __future__ import annotations

import textwrap
from pathlib import Path

import numpy as np

# A square of two triangles and a quad beside it, facing +Z.
SQUARE = [(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0), (2, 0, 0), (2, 1, 0)]
FACES = "int[] faceVertexCounts = [3, 3, 4]\nint[] faceVertexIndices = [0, 1, 2, 0, 2, 3, 1, 4, 5, 2]"
POINTS = f"point3f[] points = {SQUARE}"

ST = ", ".join(f"({SQUARE[i][0] / 2}, {SQUARE[i][1] / 2})" for i in [0, 1, 2, 0, 2, 3, 1, 4, 5, 2])
FACE_VARYING = '] (interpolation = "faceVarying")'

TRANSLATED = 'uniform token[] xformOpOrder = ["xformOp:translate"]'
MOVING = f"double3 xformOp:translate.timeSamples = {{1: (0, 0, 0), 5: (0, 0, 4)}}\n{TRANSLATED}"


def mesh(name: str = "mesh", extra: str = "", points: str = POINTS, faces: str = FACES) -> str:
    body = textwrap.indent("\n".join([points, faces, 'uniform token subdivisionScheme = "none"', extra]), "    ")
    return f'def Mesh "{name}" {{\n{body}\n}}\n'


def stage(path: Path, body: str, metadata: str = "") -> Path:
    path.write_text(f"#usda 1.0\n({metadata})\n{body}")
    return path


def corners(source) -> np.ndarray:
    return source.mesh.points[source.mesh.face_indices]


def samples(times: dict[float, float]) -> str:
    """The points of a square that rises: its height at each time."""
    rows = [f"{time}: {[(x, y, height) for x, y, _ in SQUARE]}" for time, height in times.items()]
    return "point3f[] points.timeSamples = {" + ", ".join(rows) + "}"
