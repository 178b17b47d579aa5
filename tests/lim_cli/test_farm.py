"""`lim farm`: bundles that Open Job Description's own runner takes, with a server per session and a task killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pxr import Usd, UsdGeom

from tests.conftest import tube, wait_for
from tests.lim_cli.mesh_files import write_obj

BIN = Path(sys.executable).parent
STAND_IN = Path(__file__).parents[1] / "lim_houdini" / "stand_in"


@pytest.fixture
def home(lim_home: dict[str, str]) -> dict[str, str]:
    return {**lim_home, "PATH": f"{BIN}:{os.environ['PATH']}", "LIM_SERVER": ""}


def run(home: dict[str, str], *words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [str(word) for word in words]
    return subprocess.run(command, env=home, capture_output=True, text=True, timeout=240, check=False)


def bundled(home: dict[str, str], job: Path, *words: str | Path) -> dict[str, Any]:
    done = run(home, "lim", "farm", "bundle", job, *words)
    assert done.returncode == 0, done.stderr
    template: dict[str, Any] = json.loads((job / "template.json").read_text())
    return template


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """Two keyframes, 47 frames apart."""
    folder = tmp_path / "keys"
    folder.mkdir()
    write_obj(folder / "scan.1001.obj", tube(6, 8))
    write_obj(folder / "scan.1048.obj", tube(7, 9, bend=0.5))
    return folder


def points(asset: Path) -> dict[float, np.ndarray]:
    """Of every quarter frame, so that what lies between samples counts too."""
    stage = Usd.Stage.Open(str(asset))
    (mesh,) = [UsdGeom.Mesh(prim) for prim in stage.Traverse() if prim.IsA(UsdGeom.Mesh)]
    return {time: np.asarray(mesh.GetPointsAttr().Get(time)) for time in np.arange(1001, 1048.25, 0.25)}


def processes(*words: str) -> list[int]:
    """Running processes with all of these words in their command lines."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            arguments = path.read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if all(any(word in argument for argument in arguments) for word in words):
            found.append(int(path.parent.name))
    return found


def test_a_job_of_48_frames_with_a_task_killed_and_run_again(home: dict[str, str], keys: Path, tmp_path: Path) -> None:
    out, job = tmp_path / "out", tmp_path / "job"
    out.mkdir()
    bundled(home, job, f"{keys}/scan.####.obj", "-o", out / "a.usd", "--chunk", "8")
    assert run(home, "openjd", "check", job / "template.json").returncode == 0
    mapped = [{"source_path_format": "POSIX", "source_path": "/studio/keys", "destination_path": str(keys)}]
    rules = json.dumps({"version": "pathmapping-1.0", "path_mapping_rules": mapped})
    words = ["openjd", "run", job / "template.json", "--path-mapping-rules", rules]
    words += ["-p", f"OutDir={out}", "-p", "KeysDir=/studio/keys"]

    first = subprocess.Popen([str(w) for w in [*words, "--step", "Track"]], env=home, stdout=subprocess.PIPE, text=True)
    third = (f"{out}/a.usd", "--chunks", "3-3")
    wait_for(lambda: bool(processes(*third)), 120)
    time.sleep(0.2)
    for pid in processes(*third):
        os.kill(pid, signal.SIGKILL)
    told = first.communicate(timeout=60)[0]
    assert first.returncode != 0, told
    assert "openjd_progress: 100.0" in told
    assert not processes("lim_server.serve", "/lim-"), "the session's server ended with it"
    clips = {clip.name: clip.stat().st_mtime_ns for clip in (out / "clips").glob("a_0*.usd")}
    assert sorted(clips) == ["a_0001.usd", "a_0002.usd"]

    again = run(home, *words, "--step", "Assemble", "--run-dependencies")
    assert again.returncode == 0, again.stdout[-3000:]
    assert "6 of 6 chunks are good; whole" in again.stdout
    assert {name: (out / "clips" / name).stat().st_mtime_ns for name in clips} == clips, "finished clips stay"
    assert [path.name for path in out.rglob("*lim-tmp*")] == []

    single = run(home, "lim", "track", f"{keys}/scan.####.obj", "-o", tmp_path / "single.usd", "--flat")
    assert single.returncode == 0, single.stderr
    wanted, found = points(tmp_path / "single.usd"), points(out / "a.usd")
    assert all(np.array_equal(wanted[time], found[time]) for time in wanted)
    assert run(home, "lim", "verify", out / "a.usd").returncode == 0


def test_the_same_by_hython_on_a_recorded_network(home: dict[str, str], tmp_path: Path) -> None:
    record = (
        "import hou, hou_nodes, numpy\nfrom tests.lim_houdini.conftest import *\n"
        "make_track('/obj/geo1/track1', poses(FIRST, LAST), None)\n"
        f"hou.hipFile.save({str(tmp_path / 'shot.hip')!r})\n"
    )
    environment = {**home, "PYTHONPATH": f"{STAND_IN}:{Path(__file__).parents[2]}"}
    subprocess.run([sys.executable, "-c", record], env=environment, check=True)
    hython = tmp_path / "hython"
    hython.write_text(f'#!/bin/sh\nPYTHONPATH={STAND_IN} exec {sys.executable} "$@"\n')
    hython.chmod(0o755)
    words = ("--hip", tmp_path / "shot.hip", "--node", "/obj/geo1/track1", "--frames", "1-9", "--chunk", "3")
    words = (*words, "--input", tmp_path / "scan.bgeo")
    bundled(home, tmp_path / "job", *words, "-o", tmp_path / "b.usd", "--together", "2", "--velocities")
    references = json.loads((tmp_path / "job" / "asset_references.json").read_text())["assetReferences"]
    assert references["inputs"]["filenames"] == [str(tmp_path / "shot.hip"), str(tmp_path / "scan.bgeo")]
    values = json.loads((tmp_path / "job" / "parameter_values.json").read_text())["parameterValues"]
    given = [f"-p{each['name']}={each['value']}" for each in values]
    template = tmp_path / "job" / "template.json"
    done = run(
        home, "openjd", "run", template, "--step", "Assemble", "--run-dependencies", f"-pHython={hython}", *given
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert "Chunks run: 3" in done.stdout, "two clips, one clip, and the assembly"
    stage = Usd.Stage.Open(str(tmp_path / "b.usd"))
    (mesh,) = [UsdGeom.Mesh(prim) for prim in stage.Traverse() if prim.IsA(UsdGeom.Mesh)]
    assert list(mesh.GetVelocitiesAttr().GetTimeSamples()) == [float(frame) for frame in range(1, 10)]


def test_what_a_machine_must_have_and_how_long_it_may_take(home: dict[str, str], keys: Path, tmp_path: Path) -> None:
    words = (f"{keys}/scan.####.obj", "-o", tmp_path / "a.usd", "--chunk", "10", "--option", "--fps 25 --units cm")
    template = bundled(home, tmp_path / "job", *words, "--timeout", "1234")
    track, join = template["steps"]
    action = track["script"]["actions"]["onRun"]
    assert track["hostRequirements"] == {"amounts": [{"name": "amount.worker.gpu", "min": 1}]}
    assert action["timeout"] == 1234
    assert action["args"][action["args"].index("--fps") :][:4] == ["--fps", "25", "--units", "cm"]
    assert "1-5" in [each.get("default") for each in template["parameterDefinitions"]]
    assert join["dependencies"] == [{"dependsOn": "Track"}]
    assert str(tmp_path) not in json.dumps(template), "paths are parameters, which a farm can map"
    references = json.loads((tmp_path / "job" / "asset_references.json").read_text())["assetReferences"]
    assert len(references["inputs"]["filenames"]) == 2
    summary = run(home, "openjd", "summary", tmp_path / "job" / "template.json", "-p", "OutDir=/o", "-p", "KeysDir=/k")
    assert summary.returncode == 0, summary.stdout
    assert "hostRequirements" not in bundled(home, tmp_path / "any", *words, "--gpus", "0")["steps"][0]


def test_other_queues_get_the_same_commands(home: dict[str, str], keys: Path, tmp_path: Path) -> None:
    words = (f"{keys}/scan.####.obj", "-o", tmp_path / "a.usd", "--chunk", "8", "--together", "4", "--format")
    assert run(home, "lim", "farm", "bundle", tmp_path, *words, "tractor").returncode == 0
    job = (tmp_path / "job.alf").read_text()
    assert job.count("{") == job.count("}")
    assert [clips in job for clips in ("{--chunks} {1-4}", "{--chunks} {5-6}")] == [True, True]
    assert "{lim} {assemble}" in job
    assert run(home, "lim", "farm", "bundle", tmp_path, *words, "opencue").returncode == 0
    script = (tmp_path / "submit_opencue.py").read_text()
    compile(script, "submit_opencue.py", "exec")
    assert "'#FRAME_START#-#FRAME_END#'" in script and "chunk=4" in script and "range='1-6'" in script


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "give either keyframes"),
        (("1=a.obj", "9=b.obj", "--hip", "shot.hip"), "give either keyframes"),
        (("1=a.obj", "9=b.obj"), "no such file"),
        (("--hip", "shot.hip"), "--node /obj/geo1/track1 and --frames"),
        (("--hip", "shot.hip", "--node", "/obj/a", "--frames", "1-9"), "shot.hip: no such file"),
        (("1=a.obj", "9=b.obj", "--format", "slurm"), "'slurm' is none"),
        (("1=a.obj", "9=b.obj", "--chunk", "0"), "use 1 or more"),
    ],
)
def test_every_refusal_is_one_line(home: dict[str, str], tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    done = run(home, "lim", "farm", "bundle", tmp_path / "job", *words)
    assert done.returncode == 2
    assert said in done.stderr
    assert not (tmp_path / "job").exists()
