"""Everything we write is a source or a key again."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "lim_usd"))

from usd_assets import png
from verify_assets import TIMES, ball, frames, write, write_clips

from lim_cli.keyframes import load_keyframes


def baked(path: Path) -> Path:
    """A shot of the compact variant."""
    from lim_usd.bake import bake

    bake(write(path, ball()), 1e-3)
    shot = path.with_name("shot.usda")
    shot.write_text(
        """#usda 1.0
        (defaultPrim = "a"; upAxis = "Y"; metersPerUnit = 0.1)
        def "a" (references = @./a.usd@; variants = {string geoRep = "bake"}) {}"""
    )
    return shot


MODES: dict[str, Callable[[Path], Path]] = {
    "layers": lambda to: write(to / "a.usd", ball()),
    "flat, velocities, quality": lambda to: write(to / "a.usd", ball(), flat=True, velocities=True, quality=True),
    "package": lambda to: write(to / "a.usdz", ball()),
    "clips": lambda to: write_clips(to / "a.usd", ball()),
    "bake": lambda to: baked(to / "a.usd"),
}


@pytest.mark.parametrize("mode", MODES)
def test_a_stage_gives_keys_and_a_source(tmp_path: Path, mode: str) -> None:
    path = MODES[mode](tmp_path)
    loaded = load_keyframes([str(path)], keys="1,5,12")
    off = 1e-3 * 3 if mode == "bake" else 0
    for key, frame in zip(loaded.keyframes, frames(ball(), [1.0, 5.0, 12.0]), strict=True):
        assert np.abs(key.mesh.points - frame.points).max() <= off
        assert np.array_equal(key.mesh.face_indices, ball().mesh.face_indices)
    source = loaded.source
    assert (source.up_axis, source.metres_per_unit) == ("Y", 0.1)
    assert source.texture is not None and source.texture.data == png()
    assert [part.name for part in source.parts] == ["south", "north"]
    assert loaded.notes == []
    assert load_keyframes([str(path)]).keyframes[-1].time == TIMES[-1], "without --keys, every sample is one"


def test_a_gltf_is_a_source(tmp_path: Path) -> None:
    from lim_usd.bake import bake_glb

    bake_glb(write(tmp_path / "a.usd", ball()), tmp_path / "a.glb", 1e-3)
    loaded = load_keyframes([f"1={tmp_path / 'a.glb'}", f"12={tmp_path / 'a.glb'}"])
    assert len(loaded.source.mesh.face_counts) == len(ball().mesh.triangles())
    assert loaded.source.texture is not None
    assert loaded.source.texture.data == png()
    print(loaded.notes)
