"""Files that make no sense: whatever is in them is told, never raised."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import numpy as np
import pytest
from pxr import Sdf, Vt
from verify_assets import Layer, ball, write

from lim_usd.arrays import ints, pairs, vectors
from lim_usd.source import BadSource
from lim_usd.verify.run import verify

COUNTS = (0, 1, 2, 3, 73, 74, 75, 336, 1000)
NUMBERS = (0.0, 1.0, 1e30, float("nan"), 1e-40)


def nonsense(kind: str, rng: random.Random) -> object:
    """An array of a type, of any length and any numbers."""
    count = rng.choice(COUNTS)
    values = np.random.default_rng(rng.randrange(99)).normal(size=(count, 3)).astype(np.float32)
    values *= np.float32(rng.choice(NUMBERS))
    if kind in ("point3f[]", "normal3f[]", "vector3f[]", "float3[]", "color3f[]"):
        return vectors(values)
    if kind == "int[]":
        return ints(np.arange(count) * rng.choice((1, -1, 7)))
    if kind == "texCoord2f[]":
        return pairs(values[:, :2])
    return Vt.FloatArray(values[:, 0].tolist()) if kind == "float[]" else None


def spoil(layer: Sdf.Layer, path: Sdf.Path, rng: random.Random) -> None:
    """Do something to one spec."""
    spec = layer.GetObjectAtPath(path)
    if isinstance(spec, Sdf.AttributeSpec):
        value, way = nonsense(str(spec.typeName), rng), rng.random()
        if way < 0.25:
            spec.owner.RemoveProperty(spec)
        elif way < 0.6 and value is not None:
            spec.default = value
        elif way < 0.9 and value is not None:
            layer.SetTimeSample(path, rng.choice([1.0, 6.0, 6.5, 30.0]), value)
        elif str(spec.typeName).endswith("[]"):
            spec.SetInfo("interpolation", rng.choice(["constant", "uniform", "vertex", "faceVarying"]))
    elif isinstance(spec, Sdf.RelationshipSpec):
        spec.targetPathList.explicitItems = rng.choice([[], [Sdf.Path("/a/geo")], [Sdf.Path("/nowhere")]])
    elif isinstance(spec, Sdf.PrimSpec) and path != Sdf.Path("/"):
        if rng.random() < 0.5:
            spec.typeName = rng.choice(["Mesh", "Xform", "Shader", "Material", "Points", ""])
        else:
            del (spec.nameParent or layer.pseudoRoot).nameChildren[spec.name]


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("good") / "good.usd", ball(), velocities=True, quality=True, flat=True)


def test_nothing_in_a_file_makes_it_stumble(tmp_path: Path, good: Path):
    found = 0
    for trial in range(60):
        rng, path = random.Random(trial), tmp_path / f"{trial}.usd"
        shutil.copy(good, path)
        with Layer(path) as layer:
            specs: list[Sdf.Path] = []
            layer.layer.Traverse("/", specs.append)
            for _ in range(rng.randint(1, 3)):
                chosen = rng.choice(specs)
                if layer.layer.GetObjectAtPath(chosen):
                    spoil(layer.layer, chosen, rng)
        found += bool(verify(path).findings)
    assert found > 40


def test_broken_bytes_are_findings_or_unreadable(tmp_path: Path, good: Path):
    unreadable = 0
    for trial in range(20):
        rng, path = random.Random(trial), tmp_path / f"{trial}.usd"
        data = bytearray(good.read_bytes())
        for _ in range(rng.choice((1, 5, 50))):
            data[rng.randrange(len(data))] = rng.randrange(256)
        path.write_bytes(data)
        try:
            verify(path)
        except BadSource as error:
            assert "cannot be read as USD" in str(error)
            unreadable += 1
    assert 0 < unreadable < 20
