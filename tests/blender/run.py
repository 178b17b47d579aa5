"""Blender opens what we write, and `lim verify` what Blender writes: python tests/blender/run.py BLENDER_PYTHON

Writes assets with this interpreter, and lets one that has `bpy` (an environment of its own, whose numpy is older)
import them and hold them against the arrays that were written. Prints a table; exit code 1 if any differs.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "lim_usd"))

from usd_assets import frames, jpeg, png, sheet, write, write_clips  # noqa: E402

from lim_usd.assemble import assemble  # noqa: E402
from lim_usd.bake import bake, bake_glb  # noqa: E402
from lim_usd.color import linear  # noqa: E402
from lim_usd.source import Source  # noqa: E402
from lim_usd.verify.run import verify  # noqa: E402

TIMES = [float(time) for time in range(1, 9)]

ASSETS = {
    "textured": (sheet(side=20, texture=png(size=64)), {}),
    "jpeg_z_up_metres": (sheet(side=20, texture=jpeg(), up_axis="Z", metres_per_unit=1.0), {"fps": 30}),
    "split": (sheet(side=20, texture=png(size=64)), {"split_parts": True}),
    "velocities": (sheet(side=20, texture=png(size=64)), {"velocities": True}),
    "flat": (sheet(side=20, texture=png(size=64)), {"flat": True}),
    "clips": (sheet(side=20, texture=png(size=64)), {"chunk": 3}),
    "colours": (sheet(side=20), {}),
}


def main(blender_python: str) -> int:
    wrong = verify_exports(blender_python)
    with TemporaryDirectory() as folder:
        for name, (source, how) in ASSETS.items():
            if chunk := how.pop("chunk", 0):
                write_clips(Path(folder) / f"{name}.usd", source, TIMES, chunk, **how)
                assert assemble(Path(folder) / f"{name}.usd").complete
            else:
                write(Path(folder) / f"{name}.usd", source, TIMES, **how)
            _save_truth(Path(folder) / f"{name}.npz", source)
        _bake(Path(folder))
        return wrong | subprocess.run([blender_python, HERE / "check_imports.py", folder], check=False).returncode


def verify_exports(blender_python: str) -> int:
    """Whether `lim verify` has nothing to say about what Blender exports."""
    wrong = 0
    with TemporaryDirectory() as folder:
        words = [blender_python, HERE / "export_meshes.py", folder]
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
        for path in sorted(Path(folder).glob("*.usdc")):
            report = verify(path)
            wrong |= bool(report.findings) or not report.topology
            found = "; ".join(map(str, report.findings)) or str(report.topology[0])
            print(f"verify {path.name:12} {found}")
    return int(wrong)


def _bake(folder: Path) -> None:
    """An asset of one compact variant, and the same as glTF, each with its stated error."""
    source = sheet(side=20, texture=png(size=64))
    hidden = folder / "baked"
    hidden.mkdir()
    write(hidden / "baked.usd", source, TIMES)
    made = bake(hidden / "baked.usd", 2e-3)
    (folder / "bake.usda").write_text(
        """#usda 1.0
        (upAxis = "Y"; metersPerUnit = 0.01; startTimeCode = 1; endTimeCode = 8; timeCodesPerSecond = 24)
        def "a" (references = @./baked/baked.usd@; variants = {string geoRep = "bake"}) {}"""
    )
    size = np.ptp([frame.points for frame in frames(source, TIMES)], axis=(0, 1))
    off = made.error_max * np.linalg.norm(size)
    _save_truth(folder / "bake.npz", source, off=off)
    bake_glb(hidden / "baked.usd", folder / "gltf.glb", 2e-3)
    triangles = source.mesh.triangles().ravel()
    _save_truth(folder / "gltf.npz", source, off=off, face_indices=triangles, times=np.arange(len(TIMES)))


def _save_truth(path: Path, source: Source, **more: object) -> None:
    mesh, image = source.mesh, source.texture
    truth: dict[str, object] = {
        "times": TIMES,
        "points": [frame.points for frame in frames(source, TIMES)],
        "face_indices": mesh.face_indices,
        "face_counts": mesh.face_counts,
        "st": mesh.st[mesh.st_indices],
        "colors": linear(mesh.colors)[mesh.face_indices],
        "up_axis": source.up_axis,
        "metres_per_unit": source.metres_per_unit,
        "image": np.frombuffer(image.data, np.uint8) if image else [],
    }
    np.savez(path, **{**truth, **more})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
