"""`lim track`, as a person runs it: the real command, a real server, real files."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from pxr import Gf, Sdf, Usd, UsdGeom

from tests.conftest import tube, wait_for
from tests.lim_cli.mesh_files import png, write_obj
from tests.lim_cli.tracking import COMMAND, Asset, Lim


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
