"""What validators say of every kind of asset."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from judges import issues
from pxr import Sdf
from usd_assets import jpeg, left_overs, plain, png, sheet, write

from lim_usd.source import Part

VARIANTS = {
    "textured": (sheet(texture=png()), {}),
    "jpeg": (sheet(texture=jpeg()), {}),
    "colours": (sheet(), {}),
    "one colour": (sheet(mesh=replace(sheet().mesh, colors=np.full_like(sheet().mesh.colors, 90))), {}),
    "bare": (plain(sheet()), {}),
    "one part": (sheet(parts=()), {}),
    "split": (sheet(texture=png()), {"split_parts": True}),
    "velocities": (sheet(texture=png()), {"velocities": True}),
    "z up in metres": (sheet(up_axis="Z", metres_per_unit=1.0), {"fps": 30}),
    "sub-frames": (sheet(texture=png()), {"times": np.arange(1, 3.01, 0.25)}),
    "flat": (sheet(texture=png()), {"flat": True}),
    "one frame": (sheet(texture=png()), {"times": [1001]}),
    "before zero": (sheet(), {"times": range(-2, 3)}),
    "overlapping islands": (sheet(mesh=replace(sheet().mesh, st=np.round(sheet().mesh.st * 4) / -4)), {}),
    "twin parts": (sheet(parts=(Part("9 lives", 10), Part("9 lives", 10), Part("9_lives", 17))), {}),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_no_validator_finds_an_issue(tmp_path: Path, name: str):
    source, how = VARIANTS[name]
    write(tmp_path / "creature.usd", source, **how)
    assert issues(tmp_path / "creature.usd") == []
    assert left_overs(tmp_path) == []


def test_the_judges_see_what_is_wrong(tmp_path: Path):
    write(tmp_path / "a.usd", sheet(texture=png()), flat=True)
    layer = Sdf.Layer.FindOrOpen(str(tmp_path / "a.usd"))
    layer.GetAttributeAtPath("/a/geo/mesh.subdivisionScheme").default = "catmullClark"
    layer.ClearDefaultPrim()
    layer.Save()
    assert len(issues(tmp_path / "a.usd")) >= 2
