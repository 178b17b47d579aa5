"""What another version of OpenUSD makes of our files, and writes itself: python host_process.py FOLDER

Prints one JSON object: its version; for each file of the folder the issues of its ComplianceChecker, where it has one,
and the sum of all points at the last frame; whether our schema is known; what an asset written by it holds.
"""

import json
import sys
from pathlib import Path

import numpy as np
from pxr import Usd, UsdGeom, UsdUtils

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "python3.11libs")]


def main(folder: Path) -> None:
    files = sorted(path for path in folder.iterdir() if path.suffix.startswith(".usd"))
    told = {
        "version": list(Usd.GetVersion()),
        "issues": {path.name: issues(path) for path in files},
        "points": {path.name: points(path) for path in files},
        "judged": can_judge(),
        "findings": {path.name: list(map(str, verify(path).findings)) for path in files},
        "schema": bool(Usd.SchemaRegistry().FindAppliedAPIPrimDefinition("LimTrackAPI")),
    }
    (folder / "written").mkdir()
    for name, make in MODES.items():
        make(folder / "written" / name)
        told["issues"][f"written {name}"] = issues(folder / "written" / name)
        told["points"][f"written {name}"] = points(folder / "written" / name)
    print(json.dumps(told))


def can_judge() -> bool:
    """The wheels of 25 come without the shaders that their own checker asks for, those of 26.11 without a checker."""
    return hasattr(UsdUtils, "ComplianceChecker") and Usd.GetVersion()[1] != 25


def issues(path: Path) -> list:
    if not can_judge():
        return []
    checker = UsdUtils.ComplianceChecker(skipARKitRootLayerCheck=True)
    checker.CheckCompliance(str(path))
    return [*checker.GetErrors(), *checker.GetFailedChecks(), *checker.GetWarnings()]


def points(path: Path) -> float:
    stage = Usd.Stage.Open(str(path))
    meshes = [UsdGeom.Mesh(prim) for prim in stage.Traverse() if UsdGeom.Mesh(prim)]
    return float(sum(np.sum(mesh.GetPointsAttr().Get(stage.GetEndTimeCode()), dtype=np.float64) for mesh in meshes))


def bake(path: Path) -> None:
    from lim_usd.bake import bake

    write(path, ball())
    bake(path, 1e-2)


if __name__ == "__main__":
    from verify_assets import ball, write, write_clips

    from lim_usd.verify.run import verify

    MODES = {
        "layers.usd": lambda path: write(path, ball(), velocities=True),
        "flat.usd": lambda path: write(path, ball(), flat=True, quality=True),
        "package.usdz": lambda path: write(path, ball()),
        "split.usd": lambda path: write(path, ball(), split_parts=True),
        "colours.usd": lambda path: write(path, ball(texture=False)),
        "clips.usd": lambda path: write_clips(path, ball()),
        "bake.usd": bake,
    }
    if sys.argv[2:]:  # only write
        for name, make in MODES.items():
            make(Path(sys.argv[1]) / name)
    else:
        main(Path(sys.argv[1]))
