"""`lim track`, as a person runs it: the real command, a real server, real files."""

from __future__ import annotations

import ctypes
import json
import os
import pty
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pxr import Gf, Sdf, Usd, UsdGeom

from lim_protocol.types import Mesh
from tests.conftest import tube, wait_for
from tests.lim_cli.mesh_files import png, tetra_obj
from tests.lim_usd.judges import issues

Lim = Callable[..., "subprocess.CompletedProcess[str]"]
COMMAND = [str(Path(sys.executable).with_name("lim"))]


@pytest.fixture
def lim(lim_home: dict[str, str], tmp_path: Path) -> Lim:
    """Runs the command in the test's folder."""

    def run(*words: str | Path, **more: Any) -> subprocess.CompletedProcess[str]:
        command = [*COMMAND, *map(str, words)]
        return subprocess.run(
            command, cwd=tmp_path, env=lim_home, capture_output=True, text=True, timeout=300, check=False, **more
        )

    return run


def write_obj(path: Path, mesh: Mesh, st: bool = False) -> None:
    colors = mesh.colors / 255 if mesh.colors is not None else np.zeros((len(mesh.points), 0))
    lines = ["v " + " ".join(f"{x:.9g}" for x in (*p, *c)) for p, c in zip(mesh.points, colors)]
    lines += [f"vt {p[0]:.6g} {p[2]:.6g}" for p in mesh.points] if st else []
    corners = np.split(mesh.face_indices + 1, np.cumsum(mesh.face_counts)[:-1])
    lines += ["f " + " ".join(f"{i}/{i}" if st else str(i) for i in face) for face in corners]
    path.write_text("\n".join(lines) + "\n")


@pytest.fixture
def keys(tmp_path: Path) -> list[str]:
    """Three keyframes, each of another topology."""
    meshes = [tube(), tube(15, 12, bend=0.4, shift=0.1), tube(10, 14, bend=0.8)]
    for frame, mesh in zip((1001, 1005, 1009), meshes):
        write_obj(tmp_path / f"scan.{frame}.obj", mesh)
    return ["scan.1001.obj", "scan.1005.obj", "scan.1009.obj"]


class Asset:
    """A written file that the validators have nothing to say about, opened: its stage and its one mesh."""

    def __init__(self, path: Path):
        assert issues(path) == []
        self.stage = Usd.Stage.Open(str(path))
        (prim,) = [p for p in self.stage.Traverse() if p.IsA(UsdGeom.Mesh)]
        self.mesh = UsdGeom.Mesh(prim)

    def times(self) -> list[float]:
        return list(self.mesh.GetPointsAttr().GetTimeSamples())

    def points(self, frame: float) -> np.ndarray:
        return np.asarray(self.mesh.GetPointsAttr().Get(frame))


def test_keys_in_one_mesh_out(lim: Lim, keys: list[str], tmp_path: Path) -> None:
    result = lim("track", *keys, "-o", "a.usd", "--json")
    assert result.returncode == 0, result.stderr
    told = json.loads(result.stdout)
    assert told["files"][0] == "a.usd"
    assert sorted(told["files"]) == sorted(
        str(f.relative_to(tmp_path)) for f in tmp_path.rglob("*.*") if "scan" not in f.name
    )
    assert told["frames"] == {"first": 1001.0, "last": 1009.0, "count": 9}
    assert [key["time"] for key in told["keys"]] == [1001.0, 1005.0, 1009.0]
    assert all(key["residual_p95"] < 0.01 for key in told["keys"])
    assert {"read", "connect", "write", "total"} <= told["seconds"]["client"].keys()
    asset = Asset(tmp_path / "a.usd")
    source = tube()
    assert np.array_equal(asset.mesh.GetFaceVertexCountsAttr().Get(), source.face_counts)
    assert np.array_equal(asset.mesh.GetFaceVertexIndicesAttr().Get(), source.face_indices)
    assert np.array_equal(asset.points(1001), source.points)
    assert (asset.stage.GetStartTimeCode(), asset.stage.GetEndTimeCode()) == (1001, 1009)
    assert asset.times() == [float(f) for f in range(1001, 1010)]
    moved = np.linalg.norm(asset.points(1009) - tube(bend=0.8).points, axis=1)
    assert np.median(moved) < 0.1, "its end swings by more than half a unit"


def test_a_second_run_is_answered_from_the_cache(lim: Lim, keys: list[str], tmp_path: Path) -> None:
    lim("track", *keys, "-o", "a.usd")
    again = json.loads(lim("track", *keys, "-o", "b.usd", "--json").stdout)
    assert again["from_cache"]
    first, second = (Asset(tmp_path / name) for name in ("a.usd", "b.usd"))
    for frame in range(1001, 1010):
        assert np.array_equal(first.points(frame), second.points(frame))


def test_an_asset_says_what_it_was_made_from(lim: Lim, keys: list[str], tmp_path: Path) -> None:
    said = []
    for name in ("a.usd", "b.usdz"):
        assert lim("track", *keys, "-o", name, "--flat").returncode == 0
        asset = Asset(tmp_path / name)
        root = asset.stage.GetDefaultPrim()
        said.append({each.GetName(): each.Get() for each in root.GetAttributes() if "provenance" in each.GetName()})
    assert said[0] == said[1], "the same request"
    assert list(said[0]["lim:provenance:inputs"]) == keys
    assert len({*said[0]["lim:provenance:inputsSha256"]}) == 3
    assert sorted(path.suffix for path in tmp_path.iterdir()) == ["", ".obj", ".obj", ".obj", ".usd", ".usdz"]


def test_half_frames_velocities_and_fps(lim: Lim, keys: list[str], tmp_path: Path) -> None:
    words = ("--frames", "1002-1008x0.5", "--fps", "30", "--velocities")
    assert lim("track", *keys, "-o", "a.usdc", *words).returncode == 0
    asset = Asset(tmp_path / "a.usdc")
    assert asset.stage.GetTimeCodesPerSecond() == 30
    times = asset.times()
    assert times == [1002 + 0.5 * i for i in range(13)]
    velocities = np.asarray(asset.mesh.GetVelocitiesAttr().Get(1003))
    measured = (asset.points(1003.5) - asset.points(1002.5)) * 30
    assert np.abs(velocities - measured).max() < 0.15 * np.abs(measured).max()


def test_machines_share_the_chunks_of_one_asset(lim: Lim, keys: list[str], tmp_path: Path) -> None:
    words = ("track", *keys, "-o", "a.usd", "--chunk", "4", "--hold", "--frames", "999-1011", "--json")
    first = lim(*words, "--chunks", "2,4")
    assert first.returncode == 0, first.stderr
    checked = lim("assemble", "a.usd")
    assert checked.returncode == 1
    assert re.search(r"chunk 1 \(frames 999 to 1002, .*a_0001.usd\): is missing", checked.stdout)
    assert "--chunks 1,3" in checked.stdout
    written = (tmp_path / "clips/a_0002.usd").stat().st_mtime_ns
    rest = lim(*words)
    assert rest.returncode == 0, rest.stderr
    assert (tmp_path / "clips/a_0002.usd").stat().st_mtime_ns == written, "a finished chunk stays"
    assert json.loads(lim("assemble", "a.usd", "--json").stdout)["complete"]
    assert lim("track", *keys, "-o", "b.usd", "--hold", "--frames", "999-1011").returncode == 0
    one, many = Asset(tmp_path / "b.usd"), Asset(tmp_path / "a.usd")
    for frame in (999, 1002.5, 1006.75, 1011):
        assert np.array_equal(one.points(frame), many.points(frame))
    assert many.mesh.GetPrim().GetAttribute("lim:track:method").Get() == "geometry"
    nothing = lim(*words)
    assert json.loads(nothing.stdout)["files"] == []
    assert lim("track", *keys, "-o", "a.usd", "--chunk", "4", "--chunks", "9").returncode == 2


def test_hold_keeps_the_end_poses(lim: Lim, keys: list[str], tmp_path: Path) -> None:
    refused = lim("track", *keys, "-o", "a.usd", "--frames", "999-1011")
    assert refused.returncode == 2
    assert "--hold" in refused.stderr
    assert lim("track", *keys, "-o", "a.usd", "--frames", "999-1011", "--hold", "--velocities").returncode == 0
    asset = Asset(tmp_path / "a.usd")
    assert asset.times() == [float(f) for f in range(999, 1012)]
    assert np.array_equal(asset.points(999), asset.points(1001))
    assert np.array_equal(asset.points(1011), asset.points(1009))
    assert not np.any(asset.mesh.GetVelocitiesAttr().Get(1000))


def test_a_stage_with_samples_is_a_list_of_keys(lim: Lim, keys: list[str], tmp_path: Path) -> None:
    stage = Usd.Stage.CreateNew(str(tmp_path / "anim.usda"))
    UsdGeom.SetStageMetersPerUnit(stage, 0.01)
    UsdGeom.SetStageUpAxis(stage, "Z")
    mesh = UsdGeom.Mesh.Define(stage, "/tube")
    for frame, bend in ((1, 0.0), (5, 0.3)):
        one = tube(bend=bend)
        mesh.GetPointsAttr().Set([Gf.Vec3f(*map(float, p)) for p in one.points], frame)
    mesh.GetFaceVertexCountsAttr().Set(one.face_counts.tolist())
    mesh.GetFaceVertexIndicesAttr().Set(one.face_indices.tolist())
    stage.GetRootLayer().Save()
    result = lim("track", "anim.usda", "--keys", "1,5", "-o", "out.usd")
    assert result.returncode == 0, result.stderr
    written = Asset(tmp_path / "out.usd").stage
    assert UsdGeom.GetStageMetersPerUnit(written) == 0.01
    assert UsdGeom.GetStageUpAxis(written) == "Z"


def test_a_stage_says_what_stays_and_what_is_stiff(lim: Lim, tmp_path: Path) -> None:
    source = tube(9, 8)
    stays = source.points[:, 2] < 0.4
    assert 0 < stays.sum() < len(stays)
    stage = Usd.Stage.CreateNew(str(tmp_path / "source.usda"))
    mesh = UsdGeom.Mesh.Define(stage, "/tube")
    mesh.CreatePointsAttr(source.points)
    mesh.CreateFaceVertexCountsAttr(source.face_counts)
    mesh.CreateFaceVertexIndicesAttr(source.face_indices)
    primvars = UsdGeom.PrimvarsAPI(mesh)
    primvars.CreatePrimvar("lim:pinned", Sdf.ValueTypeNames.IntArray, "vertex").Set(stays.astype(np.int32))
    primvars.CreatePrimvar("lim:stiffness", Sdf.ValueTypeNames.FloatArray, "constant").Set([2.0])
    stage.Save()
    write_obj(tmp_path / "bent.obj", tube(11, 9, bend=0.4, shift=0.05))
    words = ("1=source.usda", "9=bent.obj", "--frames", "1,4.5,9", "-o", "out.usd", "--flat", "--stiffness", "500")
    result = lim("track", *words)
    assert result.returncode == 0, result.stderr
    asset = Asset(tmp_path / "out.usd")
    for frame in (1, 4.5, 9):
        assert np.array_equal(asset.points(frame)[stays], source.points[stays])
    t = source.triangles()
    before, after = (np.linalg.norm(p[t] - np.roll(p[t], 1, axis=1), axis=-1) for p in (source.points, asset.points(9)))
    assert 1e-4 < np.abs(after / before - 1).mean() < 0.02, "bent by little: what is as stiff can hardly"


def test_landmarks_say_which_way_round(lim: Lim, tmp_path: Path) -> None:
    there, back = (replace(tube(9, 8), colors=None) for _ in range(2))
    write_obj(tmp_path / "1.obj", there)
    write_obj(tmp_path / "9.obj", back)
    # the same tube, taken to have turned by half a turn about its own length
    opposite = [[ring * 8 + i, ring * 8 + (i + 4) % 8] for ring in (0, 4, 8) for i in (0, 2)]
    (tmp_path / "marks.json").write_text(json.dumps({"9": opposite}))
    words = ("1=1.obj", "9=9.obj", "--frames", "9", "--flat", "--json")
    results = [lim("track", *words, "-o", "a.usd"), lim("track", *words, "-o", "b.usd", "--landmarks", "marks.json")]
    assert [r.returncode for r in results] == [0, 0], results[1].stderr
    assert not json.loads(results[1].stdout)["from_cache"], "another request"
    as_it_is, turned = (Asset(tmp_path / name).points(9) for name in ("a.usd", "b.usd"))
    assert np.abs(as_it_is - there.points).max() < 0.05
    for mine, its in opposite:
        assert np.linalg.norm(turned[mine] - back.points[its]) < 0.05


def test_a_texture_of_ones_own(lim: Lim, tmp_path: Path) -> None:
    for frame, bend in ((1, 0.0), (5, 0.3)):
        write_obj(tmp_path / f"t.{frame}.obj", tube(bend=bend), st=True)
    (tmp_path / "skin.png").write_bytes(png([[[255, 0, 0], [0, 255, 0]]]))
    assert lim("track", "t.1.obj", "t.5.obj", "-o", "a.usd", "--texture", "skin.png").returncode == 0
    (image,) = (tmp_path / "maps").glob("a_color_*")
    assert image.read_bytes() == (tmp_path / "skin.png").read_bytes()
    asset = Asset(tmp_path / "a.usd")
    st = UsdGeom.PrimvarsAPI(asset.mesh).GetPrimvar("st")
    assert np.allclose(st.ComputeFlattened(), tube().points[tube().face_indices][:, [0, 2]], atol=1e-5)


BAD: dict[str, tuple[list[str], str]] = {
    "missing file": (["1=none.obj", "2=b.obj"], r"keyframe 1 .*none\.obj.*no such file"),
    "one key only": (["1=a.obj"], "one keyframe only"),
    "two keys at one frame": (["1=a.obj", "1=b.obj"], r"two keyframes at frame 1: .*a\.obj and .*b\.obj"),
    "unknown format": (["1=a.fbx", "2=b.obj"], r"'\.fbx' is not a format"),
    "empty mesh": (["1=empty.obj", "2=b.obj"], r"keyframe 1 .*empty\.obj.*empty"),
    "points only": (["1=points.obj", "2=b.obj"], r"no faces"),
    "NaN": (["1=nan.obj", "2=b.obj"], r"keyframe 1 .*nan\.obj.*finite"),
    "bad index": (["1=index.obj", "2=b.obj"], r"keyframe 1 .*index\.obj.*face 4"),
    "scale": (["1=a.obj", "2=huge.obj"], r"1,000 times larger.*--units"),
    "frames outside": (["1=a.obj", "5=b.obj", "--frames", "1-9"], r"outside the keyframes.*1 to 5.*--hold"),
    "frames nonsense": (["1=a.obj", "5=b.obj", "--frames", "x"], r"--frames: 'x' is not a list of frames"),
    "texture unreadable": (["1=a.obj", "5=b.obj", "--texture", "a.obj"], r"a\.obj"),
    "texture without st": (["1=a.obj", "5=b.obj", "--texture", "skin.png"], r"--texture.*texture coordinates"),
    "method": (["1=a.obj", "5=b.obj", "--method", "magic"], r"--method: 'magic'"),
    "fps": (["1=a.obj", "5=b.obj", "--fps", "0"], "--fps: 0"),
    "stiffness": (["1=a.obj", "5=b.obj", "--stiffness", "-1"], r"--stiffness: -1\.0 is none.*above zero"),
    "landmarks": (
        ["1=a.obj", "5=b.obj", "--landmarks", "m.json"],
        r"m\.json: frame 5, pair 2: the source has no point 99",
    ),
    "server": (["1=a.obj", "5=b.obj", "--server", "nowhere"], "--server: 'nowhere' is no server"),
    "extension": (["1=a.obj", "5=b.obj", "-o", "out.abc"], r"out\.abc.*\.usd"),
    "no such folder": (["1=a.obj", "5=b.obj", "-o", "none/out.usd"], r"none"),
    "no such option": (["1=a.obj", "5=b.obj", "--frmes", "3"], "--frmes"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_named_and_leaves_nothing(lim: Lim, tmp_path: Path, name: str) -> None:
    (tmp_path / "a.obj").write_text(tetra_obj())
    (tmp_path / "b.obj").write_text(tetra_obj(1.1))
    (tmp_path / "huge.obj").write_text(tetra_obj(1000))
    (tmp_path / "a.fbx").write_text("?")
    (tmp_path / "empty.obj").write_text("# nothing\n")
    (tmp_path / "points.obj").write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\n")
    (tmp_path / "nan.obj").write_text(tetra_obj().replace("v 1 0 0", "v nan 0 0"))
    (tmp_path / "index.obj").write_text(tetra_obj() + "f 1 2 99\n")
    (tmp_path / "skin.png").write_bytes(png([[[255, 0, 0]]]))
    (tmp_path / "m.json").write_text('{"5": [[0, 0], [99, 0]]}')
    before = sorted(tmp_path.iterdir())
    words, message = BAD[name]
    result = lim("track", *words, *([] if "-o" in words else ["-o", "out.usd"]))
    assert result.returncode == 2, result.stderr
    assert re.search(message, " ".join(result.stderr.split())), result.stderr
    assert "Traceback" not in result.stderr
    assert sorted(tmp_path.iterdir()) == before


def like_anybody() -> None:
    """Let permissions count for root too: without CAP_DAC_OVERRIDE in the bounding set."""
    pr_capbset_drop, cap_dac_override = 24, 1
    ctypes.CDLL(None).prctl(pr_capbset_drop, cap_dac_override, 0, 0, 0)


def test_a_read_only_folder(lim: Lim, keys: list[str], tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    result = lim("track", *keys, "-o", "locked/out.usd", preexec_fn=like_anybody)
    assert result.returncode == 2, result.stderr
    assert "locked" in result.stderr


def test_keys_out_of_order_are_sorted_and_told(lim: Lim, keys: list[str]) -> None:
    result = lim("track", *reversed(keys), "-o", "a.usd")
    assert result.returncode == 0
    assert "out of order" in result.stderr


def test_odd_faces_are_handled_and_told(lim: Lim, keys: list[str], tmp_path: Path) -> None:
    with (tmp_path / keys[0]).open("a") as file:
        file.write("f 1 2 12 11\nf 1 2 12 11\nf 5 5 5\n")
    result = lim("track", *keys, "-o", "a.usd")
    assert result.returncode == 0, result.stderr
    assert "faces repeated" in result.stderr or "repeated" in result.stderr
    asset = Asset(tmp_path / "a.usd")
    assert len(asset.mesh.GetFaceVertexCountsAttr().Get()) == len(tube().face_counts) + 3, "the source's faces are kept"
    assert np.isfinite(asset.points(1009)).all()


def test_a_full_disk_is_said_and_the_earlier_file_stays(lim: Lim, keys: list[str], tmp_path: Path) -> None:
    assert lim("track", *keys, "-o", "a.usd").returncode == 0
    good, files = (tmp_path / "a.usd").read_bytes(), sorted(tmp_path.rglob("*"))

    def little_room() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    result = lim("track", *keys, "-o", "a.usd", "--frames", "1001-1009x0.05", preexec_fn=little_room)
    assert result.returncode == 4, result.stderr
    assert "a.usd" in result.stderr
    assert (tmp_path / "a.usd").read_bytes() == good
    assert sorted(tmp_path.rglob("*")) == files


def test_ctrl_c_leaves_no_partial_file(lim: Lim, lim_home: dict[str, str], keys: list[str], tmp_path: Path) -> None:
    lim("track", *keys, "-o", "a.usd")  # the server is warm, the keys are tracked
    (tmp_path / "a.usd").unlink()
    files = sorted(tmp_path.rglob("*"))
    words = [*COMMAND, "track", *keys, "-o", "a.usd", "--frames", "1001-1009x0.0001"]
    process = subprocess.Popen(words, cwd=tmp_path, env=lim_home, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if "frame 1001" in line:
            break
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 130
    process.stderr.close()
    assert sorted(tmp_path.rglob("*")) == files

    def idle() -> bool:
        report = json.loads(lim("status", "--json").stdout)
        return report["jobs"] == [] and report["workers"][0]["state"] == "idle"

    wait_for(idle)


def test_a_server_killed_under_the_command_is_started_again(
    lim: Lim, lim_home: dict[str, str], keys: list[str], tmp_path: Path
) -> None:
    assert lim("track", *keys, "-o", "whole.usd", "--frames", "1001-1009x0.01").returncode == 0
    words = [*COMMAND, "track", *keys, "-o", "a.usd", "--frames", "1001-1009x0.005"]
    process = subprocess.Popen(words, cwd=tmp_path, env=lim_home, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if "frame 1001" in line:
            break
    pid = int((Path(lim_home["LIM_RUNTIME_DIR"]) / "server.ipc.lock").read_text())
    os.kill(pid, signal.SIGKILL)
    process.stderr.read()
    assert process.wait(120) == 0
    process.stderr.close()
    whole = Asset(tmp_path / "whole.usd")
    asset = Asset(tmp_path / "a.usd")
    assert len(asset.times()) == 1601
    for frame in (1001, 1003.25, 1004.5, 1009):
        assert np.array_equal(asset.points(frame), whole.points(frame))


def test_on_a_terminal_there_is_a_bar(lim_home: dict[str, str], keys: list[str], tmp_path: Path) -> None:
    master, slave = pty.openpty()
    words = [*COMMAND, "track", *keys, "-o", "a.usd"]
    process = subprocess.Popen(words, cwd=tmp_path, env={**lim_home, "TERM": "xterm"}, stderr=slave, stdout=slave)
    os.close(slave)
    seen = b""
    with os.fdopen(master, "rb", buffering=0) as terminal:
        while True:
            try:
                piece = terminal.read(4096)
            except OSError:
                break
            seen += piece
    assert process.wait(60) == 0
    assert b"\x1b[" in seen
    assert b"residual" in seen


def test_status_stop_and_start_again(lim: Lim, keys: list[str]) -> None:
    lim("track", *keys, "-o", "a.usd")
    wait_for(lambda: json.loads(lim("status", "--json").stdout)["ready"])
    assert json.loads(lim("status", "--json").stdout)["cache"]["used"] > 0
    assert "state      ready" in lim("status").stdout
    assert lim("stop").stdout == "stopped\n"
    away = lim("status")
    assert away.returncode == 3
    assert "lim serve" in away.stderr
    assert lim("stop").returncode == 0
    started = time.monotonic()
    assert lim("track", *keys, "-o", "b.usd").returncode == 0, "one is started where none runs"
    assert time.monotonic() - started < 60


def test_help_and_completion_are_there(lim: Lim, lim_home: dict[str, str]) -> None:
    for command in ((), ("track",), ("serve",), ("status",), ("stop",), ("keys",)):
        text = lim(*command, "--help").stdout
        assert len(text.splitlines()) > 5
    assert "Exit codes" in lim("--help").stdout
    shells = {**lim_home, "_LIM_COMPLETE": "complete_bash", "COMP_WORDS": "lim tr", "COMP_CWORD": "1"}
    offered = subprocess.run(COMMAND, env=shells, capture_output=True, text=True, check=False).stdout.split()
    assert offered == ["track", "train"]
