"""Kills and starves writers at random: python -m tests.lim_usd.crash [--kills 200] [--sizes 20]

Half of the writers write assets, half chunks of one. After each kill everything under its final name must be whole, no
chunk that was told as finished may be gone, and the next writer must sweep what the last has left. A writer on a disk
that is full at some byte must say so and leave what was there as it was.
"""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from pxr import Sdf, Usd, UsdGeom

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from usd_assets import left_overs, png, sheet, write  # noqa: E402
from writer_process import CHUNK, FRAMES, write_chunks  # noqa: E402

from lim_usd.asset import check_output  # noqa: E402
from lim_usd.read import read_usd  # noqa: E402

LIFE = 0.2  # seconds: about what one asset takes, or all chunks


def start(what: str, path: Path, count: int, *limit: int) -> subprocess.Popen[str]:
    """A writer that has done its imports."""
    words = [sys.executable, HERE / "writer_process.py", what, path, count, *limit]
    process = subprocess.Popen(list(map(str, words)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n", process.communicate()[1]
    return process


def kill_assets(folder: Path, kills: int, seed: int = 0) -> Iterator[str]:
    """Kill writers that replace one asset by the next; yields what each left."""
    path = folder / "a.usd"
    write(path, sheet(texture=png()), range(1, 6))
    for trial in range(kills):
        _kill(start("asset", path, 1000), random.Random(f"{seed} {trial}"))
        assert_whole(path, 5, FRAMES)
        yield _left(folder)


def kill_chunks(folder: Path, kills: int, seed: int = 0) -> Iterator[str]:
    """Kill writers that go on with the chunks of one asset, each where the last was killed; then begin anew."""
    path, finished = folder / "b.usd", set[int]()
    for trial in range(kills):
        told = _kill(start("chunks", path, 1), random.Random(f"chunks {seed} {trial}"))
        finished |= {int(line) for line in told}
        for clip in sorted(folder.glob("clips/b_0*.usd")):
            number = int(clip.stem[-4:])
            assert_clip(clip, number)
            finished.add(number)
        assert all((folder / f"clips/b_{number:04}.usd").is_file() for number in finished), finished
        if path.exists():
            stage = Usd.Stage.Open(str(path))
            assert stage.GetPrimAtPath("/b/geo/mesh")
            del stage
        yield _left(folder)
        if len(finished) == FRAMES // CHUNK:
            shutil.rmtree(folder / "clips")
            finished.clear()


def starve(what: str, folder: Path, sizes: int) -> Iterator[str]:
    """Writers that may not write a file beyond some byte: each must say so and change nothing; yields what it said."""
    path = folder / ("a.usd" if what == "asset" else "b.usd")
    if what == "asset":
        write(path, sheet(side=40, texture=png(0, size=150)), range(1, FRAMES + 1))
    else:
        write_chunks(path)
        for clip in sorted(folder.glob("clips/b_0*.usd"))[3:]:
            clip.unlink()
    heaviest = max(file.stat().st_size for file in folder.rglob("*.usd"))
    before = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    for limit in np.linspace(0, 0.95 * heaviest, sizes).astype(int).tolist():
        _, errors = start(what, path, 1, limit).communicate()
        said = errors.strip().splitlines()[-1]
        assert said.startswith("lim_usd.atomic.DiskError:"), errors
        assert "File too large" in said or "does not read back" in said, said
        after = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
        assert after == before, sorted(map(str, set(after) ^ set(before)))
        yield said


def assert_whole(path: Path, *samples: int) -> None:
    """Every frame of the asset can be read to the last number, and so can its texture."""
    # A copy, since OpenUSD gives a file that it has open already as it was then.
    fresh = path.with_name(f"copy {time.monotonic_ns()}.usd")
    fresh.write_bytes(path.read_bytes())
    stage = Usd.Stage.Open(str(fresh))
    points = UsdGeom.Mesh.Get(stage, stage.GetDefaultPrim().GetPath().AppendPath("geo/mesh")).GetPointsAttr()
    assert points.GetNumTimeSamples() in samples
    assert all(np.isfinite(points.Get(each)).all() for each in points.GetTimeSamples())
    assert read_usd(fresh, 1).texture is not None
    fresh.unlink()


def assert_clip(path: Path, number: int) -> None:
    """A chunk has all its frames."""
    layer = Sdf.Layer.OpenAsAnonymous(str(path))
    times = layer.ListTimeSamplesForPath("/b/geo/mesh.points")
    assert times == [(number - 1) * CHUNK + 1.0 + frame for frame in range(CHUNK)]
    assert all(np.isfinite(layer.QueryTimeSample("/b/geo/mesh.points", each)).all() for each in times)


def _kill(process: subprocess.Popen[str], random: random.Random) -> list[str]:
    """Kill it at a random moment; what it had told."""
    time.sleep(random.uniform(0, LIFE))
    process.send_signal(signal.SIGKILL)
    return process.communicate()[0].split("\n")[:-1]


def _left(folder: Path) -> str:
    left = len(left_overs(folder))
    assert left <= 1, "the one before was not swept"
    return "left a folder to sweep" if left else "left nothing"


def main() -> None:
    from benchmarks.page import write_page

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--sizes", type=int, default=20)
    options = parser.parse_args()
    lines = ["| what | how often | what came of it |", "|---|---|---|"]
    trials = {
        "kill a writer of assets": lambda to: kill_assets(to, options.kills // 2),
        "kill a writer of chunks": lambda to: kill_chunks(to, options.kills - options.kills // 2),
        "a full disk, assets": lambda to: (said.split(":")[0] for said in starve("asset", to, options.sizes)),
        "a full disk, chunks": lambda to: (said.split(":")[0] for said in starve("chunks", to, options.sizes)),
    }
    for name, trial in trials.items():
        with tempfile.TemporaryDirectory() as folder:
            counts = Counter(trial(Path(folder)))
            check_output(Path(folder) / "z.usd")
            assert left_overs(Path(folder)) == []
        lines.append(f"| {name} | {counts.total()} | {', '.join(f'{what}: {n}' for what, n in counts.items())} |")
        print(lines[-1], flush=True)
    text = "After every one, all files under their final names were whole, and none that was finished was gone.\n\n"
    command = f"python -m tests.lim_usd.crash --kills {options.kills} --sizes {options.sizes}"
    write_page("usd_crash", "Killed and starved writers", text + "\n".join(lines), command)


if __name__ == "__main__":
    main()
