"""Value clips: each chunk a file that any machine may write, all together the same as one file."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from judges import issues
from pxr import Sdf, Usd, UsdGeom
from usd_assets import frames, left_overs, png, sheet, write, write_clips

from lim_usd.assemble import assemble
from lim_usd.atomic import OutputError
from lim_usd.clips import ClipAsset
from lim_usd.provenance import Provenance, read_quality
from lim_usd.read import read_usd, time_samples
from lim_usd.source import BadSource

TIMES = [1.0, 2.0, 2.5, *map(float, range(3, 14))]
REQUEST = Provenance("geometry", request_sha256="ab" * 32, inputs=[("rest.obj", 1.0, "00"), ("end.obj", 8.0, "11")])


def quarters() -> np.ndarray:
    return np.arange(0.5, 14, 0.25)


@pytest.mark.parametrize("split", [False, True])
def test_clips_equal_the_single_file_at_every_quarter_frame(tmp_path: Path, split: bool):
    source = sheet(texture=png())
    write(tmp_path / "one.usd", source, TIMES, velocities=True, split_parts=split, provenance=REQUEST)
    write_clips(tmp_path / "many.usd", source, TIMES, 5, velocities=True, split_parts=split, provenance=REQUEST)
    assert assemble(tmp_path / "many.usd").complete
    one, many = (Usd.Stage.Open(str(tmp_path / name)) for name in ("one.usd", "many.usd"))
    for prim in (prim for prim in one.Traverse() if UsdGeom.Mesh(prim)):
        other = many.GetPrimAtPath(str(prim.GetPath()).replace("/one", "/many"))
        for attribute in prim.GetAttributes():
            twin = other.GetAttribute(attribute.GetName())
            assert twin.GetTypeName() == attribute.GetTypeName()
            assert twin.GetTimeSamples() == attribute.GetTimeSamples(), attribute.GetName()
            for time in quarters() if attribute.GetNumTimeSamples() else [Usd.TimeCode.Default()]:
                assert twin.Get(time) == attribute.Get(time), (attribute.GetName(), time)
    assert read_quality(tmp_path / "many.usd") == read_quality(tmp_path / "one.usd") != {}


def test_the_quality_of_every_point_is_sampled_like_the_points(tmp_path: Path):
    import verify_assets as ball_assets

    source = ball_assets.ball()
    ball_assets.write(tmp_path / "one.usd", source, quality=True)
    ball_assets.write_clips(tmp_path / "many.usd", source, quality=True)
    for name in ("one", "many"):
        stage = Usd.Stage.Open(str(tmp_path / f"{name}.usd"))
        mesh = stage.GetPrimAtPath(f"/{name}/geo/mesh")
        for frame in ball_assets.frames(source, ball_assets.TIMES, quality=True):
            for array, attribute in (("residuals", "residual"), ("confidence", "confidence")):
                written = mesh.GetAttribute(f"lim:track:points:{attribute}").Get(frame.time)
                assert np.array_equal(written, getattr(frame, array))
        assert issues(tmp_path / f"{name}.usd") == []


def test_no_validator_finds_an_issue(tmp_path: Path):
    write_clips(tmp_path / "a.usd", sheet(texture=png()), TIMES, 4, provenance=REQUEST)
    assert assemble(tmp_path / "a.usd").complete
    assert issues(tmp_path / "a.usd") == []
    assert left_overs(tmp_path) == []


def test_the_root_stands_before_its_first_chunk_and_grows(tmp_path: Path):
    source = sheet()
    asset = ClipAsset(tmp_path / "a.usd", source, times=TIMES, chunk=5, fps=24, provenance=REQUEST)
    files = asset.begin()
    assert files[0] == tmp_path / "a.usd"
    assert all(file.is_file() for file in files)
    stage = Usd.Stage.Open(str(tmp_path / "a.usd"))
    mesh = UsdGeom.Mesh.Get(stage, "/a/geo/mesh")
    assert np.array_equal(mesh.GetPointsAttr().Get(), source.mesh.points), "at rest where no time is asked for"
    with pytest.raises(BadSource, match="has no points at frame 1: a clip may be missing"):
        read_usd(tmp_path / "a.usd")
    state = assemble(tmp_path / "a.usd")
    assert state.wrong == {1: "is missing", 2: "is missing", 3: "is missing"}
    _fill(asset, source, 2)
    assert assemble(tmp_path / "a.usd").wrong == {1: "is missing", 3: "is missing"}
    assert asset.is_written(asset.chunks[1])
    assert not asset.is_written(asset.chunks[0])
    at_five = read_usd(tmp_path / "a.usd", 5).mesh.points
    assert np.array_equal(at_five, next(frames(source, [5])).points)


def _fill(asset: ClipAsset, source, *numbers: int) -> None:
    for chunk in asset.chunks:
        if chunk.number in numbers:
            with asset.writer(chunk) as writer:
                for frame in frames(source, chunk.times):
                    writer.write(frame)


def test_assembling_tells_of_every_bad_chunk_and_leaves_the_root_alone(tmp_path: Path):
    source, path = sheet(), tmp_path / "a.usd"
    write_clips(path, source, TIMES, 3, provenance=REQUEST)
    clips = tmp_path / "clips"
    (clips / "a_0001.usd").unlink()
    (clips / "a_0002.usd").write_bytes((clips / "a_0002.usd").read_bytes()[:700])
    other = ClipAsset(path, source, times=TIMES, chunk=3, fps=24, provenance=replace(REQUEST, request_sha256="cd"))
    _fill(other, source, 3)
    layer = Sdf.Layer.FindOrOpen(str(clips / "a_0004.usd"))
    layer.EraseTimeSample("/a/geo/mesh.normals", 11.0)
    layer.Save()
    before = path.read_bytes()
    assert assemble(path).wrong == {
        1: "is missing",
        2: "cannot be read",
        3: "belongs to another request than the root",
        4: "/a/geo/mesh.normals has 2 of 3 samples",
    }
    assert path.read_bytes() == before


def test_assembling_gives_the_root_the_box_of_the_whole_range(tmp_path: Path):
    source = sheet()
    write_clips(tmp_path / "a.usd", source, TIMES, 4)
    assert assemble(tmp_path / "a.usd").complete
    first = (tmp_path / "a.usd").read_bytes()
    stage = Usd.Stage.Open(str(tmp_path / "a.usd"), Usd.Stage.LoadNone)
    points = np.concatenate([frame.points for frame in frames(source, TIMES)])
    assert np.array_equal(stage.GetDefaultPrim().GetAttribute("extentsHint").Get(), [points.min(0), points.max(0)])
    assert assemble(tmp_path / "a.usd").complete
    assert (tmp_path / "a.usd").read_bytes() == first


def test_a_machine_that_comes_later_leaves_what_stands(tmp_path: Path):
    source, path = sheet(), tmp_path / "a.usd"
    write_clips(path, source, TIMES, 4, provenance=REQUEST)
    assemble(path)
    before = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*") if file.is_file()}
    ClipAsset(path, source, times=TIMES, chunk=4, fps=24, provenance=REQUEST).begin()
    assert {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*") if file.is_file()} == before


WRITE_CHUNK = """
import sys
sys.path.insert(0, sys.argv[2])
from usd_assets import sheet
from test_clips import REQUEST, TIMES, _fill
from lim_usd.clips import ClipAsset
source = sheet()
asset = ClipAsset(sys.argv[1], source, times=TIMES, chunk=3, fps=24, provenance=REQUEST)
asset.begin()
_fill(asset, source, *map(int, sys.argv[3:]))
"""


def test_machines_write_side_by_side(tmp_path: Path):
    here = Path(__file__).parent
    words = [sys.executable, "-c", WRITE_CHUNK, tmp_path / "a.usd", here]
    machines = [subprocess.Popen([*words, *numbers]) for numbers in (["1", "3"], ["2", "4"], ["5"])]
    assert [machine.wait() for machine in machines] == [0, 0, 0]
    assert assemble(tmp_path / "a.usd").complete
    assert time_samples(tmp_path / "a.usd") == tuple(TIMES)
    assert left_overs(tmp_path) == []


def test_what_has_no_chunks_cannot_be_assembled(tmp_path: Path):
    write(tmp_path / "a.usd", sheet())
    with pytest.raises(BadSource, match=r"a\.usd: has no chunks"):
        assemble(tmp_path / "a.usd")
    with pytest.raises(BadSource, match=r"b\.usd: cannot be read"):
        assemble(tmp_path / "b.usd")
    with pytest.raises(OutputError, match="package"):
        ClipAsset(tmp_path / "a.usdz", sheet(), times=TIMES, chunk=3, fps=24)
