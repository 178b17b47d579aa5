"""Writers that are killed, starved, interrupted or sent to places that will not have them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import crash
import numpy as np
import pytest
from usd_assets import frames, left_overs, png, sheet, write

from lim_usd import atomic
from lim_usd.asset import AssetWriter, check_output
from lim_usd.atomic import DiskError, OutputError
from lim_usd.read import read_usd

HERE = Path(__file__).parent


@pytest.mark.slow
@pytest.mark.parametrize("kill", [crash.kill_assets, crash.kill_chunks])
def test_a_killed_writer_leaves_only_what_is_whole(tmp_path: Path, kill: Callable[..., Iterator[str]]):
    left = list(kill(tmp_path, 6, seed=1))
    assert len(left) == 6
    assert "left a folder to sweep" in left, "a writer that is never caught writing shows nothing"
    check_output(tmp_path / "a.usd")
    assert left_overs(tmp_path) == []


@pytest.mark.parametrize("what", ["asset", "chunks"])
def test_a_full_disk_is_told_and_what_was_there_is_intact(tmp_path: Path, what: str):
    assert len(list(crash.starve(what, tmp_path, 5))) == 5


def test_a_disk_too_full_for_the_texture_leaves_neither(tmp_path: Path):
    source = sheet(texture=png(size=400))
    process = subprocess.run(
        [sys.executable, "-c", TEXTURE_ALONE_IS_TOO_BIG, str(tmp_path / "a.usd"), str(HERE)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert len(source.texture.data) > 200_000
    assert "DiskError" in process.stderr.splitlines()[-1]
    assert "maps/a_color_" in process.stderr.splitlines()[-1]
    assert list(tmp_path.iterdir()) == []


TEXTURE_ALONE_IS_TOO_BIG = """
import resource, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from usd_assets import png, sheet, write
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
write(Path(sys.argv[1]), sheet(texture=png(size=400)))
"""


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_interrupted_block_leaves_nothing_and_the_earlier_file(tmp_path: Path, error: type[BaseException]):
    write(tmp_path / "a.usd", sheet(texture=png(1)))
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    source = sheet(texture=png(2))
    with pytest.raises(error), AssetWriter(tmp_path / "a.usd", source, fps=24, start=1, end=9) as writer:
        for frame in frames(source, range(1, 4)):
            writer.write(frame)
        raise error
    assert {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == before
    assert left_overs(tmp_path) == []


def test_an_interrupt_between_texture_and_file_leaves_neither(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    move = Path.replace

    def interrupted(self: Path, target: Path) -> Path:
        if target.suffix == ".usd":
            raise KeyboardInterrupt
        return move(self, target)

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "a.usd", sheet(texture=png()))
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_reads_back_wrong_is_not_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    source = sheet()
    with (
        pytest.raises(DiskError, match=r"does not read back as it was written: /a/geo/mesh\.normals differs at 3"),
        AssetWriter(tmp_path / "a.usd", source, fps=24, start=1, end=3) as writer,
    ):
        for frame in frames(source, [1, 2, 3]):
            writer.write(frame)
        wrong = np.array(writer._samples.layer.QueryTimeSample("/a/geo/mesh.normals", 3.0)) * 2
        from lim_usd.arrays import vectors

        writer._samples.layer.SetTimeSample("/a/geo/mesh.normals", 3.0, vectors(wrong))
    assert list(tmp_path.iterdir()) == []


def test_a_living_writers_file_is_not_swept(tmp_path: Path):
    source = sheet()
    with AssetWriter(tmp_path / "a.usd", source, fps=24, start=1, end=2) as ours:
        one, two = frames(source, [1, 2])
        ours.write(one)
        theirs = crash.start("asset", tmp_path / "a.usd", 1)
        theirs.communicate()
        assert theirs.returncode == 0
        assert len(left_overs(tmp_path)) == 1
        ours.write(two)
    assert read_usd(tmp_path / "a.usd", 2).mesh.points.shape == source.mesh.points.shape
    assert left_overs(tmp_path) == []


def test_only_our_own_left_overs_are_swept(tmp_path: Path):
    for name in (".a.usd.x1" + atomic.SCRATCH_SUFFIX, ".git"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "something").write_text("")
    atomic.sweep(tmp_path)
    assert left_overs(tmp_path) == [".git"]


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("a.usda", r"one binary file. End its name in .usd, .usdc, .usdz"),
        ("a.obj", r"one binary file"),
        ("gone/a.usd", r"the folder .*gone does not exist. Make it"),
        ("folder.usd", r"is a folder"),
    ],
)
def test_a_place_that_cannot_be_is_refused(tmp_path: Path, place: str, words: str):
    (tmp_path / "folder.usd").mkdir()
    for attempt in (check_output, lambda path: write(path, sheet())):
        with pytest.raises(OutputError, match=words):
            attempt(tmp_path / place)
    assert [path.name for path in tmp_path.iterdir()] == ["folder.usd"]


def _as_nobody(attempt: Callable[[], None]) -> str:
    """What an attempt of a user without any rights says; only root can become one, others are one already."""
    reading, writing = os.pipe()
    if child := os.fork():
        os.close(writing)
        with os.fdopen(reading) as answer:
            said = answer.read()
        os.waitpid(child, 0)
        return said
    try:
        if os.getuid() == 0:
            os.setuid(65534)
        attempt()
        said = "no error"
    except Exception as error:
        said = f"{type(error).__name__}: {error}"
    os.write(writing, said.encode())
    os._exit(0)


def test_a_read_only_folder_or_file_is_refused():
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.usd"
        path.write_text("precious")
        path.chmod(0o444)
        Path(folder).chmod(0o777)
        assert "is write-protected" in _as_nobody(lambda: check_output(path))
        Path(folder).chmod(0o555)
        said = _as_nobody(lambda: check_output(path.with_name("b.usd")))
        assert said.startswith("OutputError")
        assert "cannot write in" in said
        Path(folder).chmod(0o777)


def test_the_file_can_be_read_by_whom_other_new_files_can(tmp_path: Path):
    write(tmp_path / "a.usd", sheet(texture=png()))
    (tmp_path / "other").write_text("")
    modes = {file.stat().st_mode for file in tmp_path.rglob("*") if file.is_file()}
    assert len(modes) == 1
