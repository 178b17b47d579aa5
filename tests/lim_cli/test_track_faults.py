"""What goes wrong under `lim track`, what it says then, and what it leaves."""

from __future__ import annotations

import ctypes
import json
import os
import re
import resource
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import tube, wait_for
from tests.lim_cli.mesh_files import png, tetra_obj
from tests.lim_cli.tracking import COMMAND, Asset, Lim

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
