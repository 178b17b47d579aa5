from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lim_cli.errors import BadInput
from lim_cli.words import frame_in_name, resolve


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def made(*names):
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text("x")


def frames_of(words, keys=None):
    found, notes = resolve(words, keys)
    return [(key.time, str(key.path)) for key in found], notes


@pytest.mark.parametrize(
    ("name", "frame"),
    [
        ("scan.1001.obj", 1001),
        ("scan_1001.obj", 1001),
        ("scan-1001.obj", 1001),
        ("scan 12.obj", 12),
        ("1001.obj", 1001),
        ("v002/scan_1009.ply", 1009),
        ("scan_v002.1001.obj", 1001),
        ("shot_010_scan_1001.obj", 1001),
        ("shot.010.1001.obj", 1001),
        ("scan.1001.mesh.ply", 1001),
        ("scan_1001_lod0.obj", 1001),
        ("pose12.obj", 12),
        ("scan.-5.obj", -5),
        ("scan_-0005.obj", -5),
        ("scan.0000.obj", 0),
    ],
)
def test_frames_in_names(name, frame):
    assert frame_in_name(Path(name)) == frame


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("pose.obj", "pose.obj: no frame number in its name. Write FRAME=PATH, such as 1001=pose.obj."),
        (
            "scan_v002.obj",
            "scan_v002.obj: only the version v002 in its name. Write FRAME=PATH, such as 1001=scan_v002.obj.",
        ),
        (
            "scan.1001.5.obj",
            "scan.1001.5.obj: frame 5, or a subframe? The name does not say. Write FRAME=PATH, "
            "such as 1001.5=scan.1001.5.obj.",
        ),
        (
            "scan..obj",
            "scan..obj: no frame number in its name. Write FRAME=PATH, such as 1001=scan..obj. "
            "If this was a pattern, quote it: 'scan.$F4.obj'.",
        ),
    ],
)
def test_names_that_do_not_say_their_frame(name, message):
    with pytest.raises(BadInput) as error:
        frame_in_name(Path(name))
    assert str(error.value) == message


def test_words_with_frames_come_sorted_and_told(folder):
    made("a.obj", "b=c.ply", "d.1003.5x.stl", "e.1010.glb")
    found, notes = frames_of(["1020=a.obj", "-1.5=b=c.ply", "1003.25=d.1003.5x.stl", "e.1010.glb"])
    assert found == [(-1.5, "b=c.ply"), (1003.25, "d.1003.5x.stl"), (1010, "e.1010.glb"), (1020, "a.obj")]
    assert notes == ["keyframes out of order, sorted: -1.5, 1003.25, 1010, 1020"]


@pytest.mark.parametrize("pattern", ["scan.####.obj", "scan.%04d.obj", "scan.$F4.obj"])
def test_patterns_with_keys(folder, pattern):
    made(*[f"scan.{f:04d}.obj" for f in (-10, 7, 15, 23, 31)])
    assert frames_of([pattern], "7-31x8") == ([(f, f"scan.{f:04d}.obj") for f in (7, 15, 23, 31)], [])
    found, notes = frames_of([pattern], "31,-10,31")
    assert found == [(-10, "scan.-010.obj"), (31, "scan.0031.obj")]
    assert notes == ["--keys 31,-10,31: frames named twice count once", "keyframes out of order, sorted: -10, 31"]


def test_patterns_without_digits_and_in_folders(folder):
    made("v1/a.1.obj", "v1/a.20.obj", "v1/a.300.obj", "v1/a.04.obj")
    assert frames_of(["v1/a.$F.obj"], "1,300")[0] == [(1, "v1/a.1.obj"), (300, "v1/a.300.obj")]
    assert frames_of(["v1/a.%d.obj"])[0] == [(1, "v1/a.1.obj"), (20, "v1/a.20.obj"), (300, "v1/a.300.obj")]
    assert frames_of(["v1/a.##.obj"])[0] == [(4, "v1/a.04.obj"), (20, "v1/a.20.obj"), (300, "v1/a.300.obj")]


def test_a_number_in_the_folder_and_the_name(folder):
    made("p1/a.1.obj", "p2/a.2.obj", "p2/a.3.obj")
    assert frames_of(["p#/a.#.obj"])[0] == [(1, "p1/a.1.obj"), (2, "p2/a.2.obj")]


def test_all_files_of_a_pattern_are_told(folder):
    made("s[1].0001.obj", "s[1].0010.obj", "s[1].x.obj", "s1.0005.obj", "s[1].00011.obj")
    found, notes = frames_of(["s[1].####.obj"])
    assert found == [(1, "s[1].0001.obj"), (10, "s[1].0010.obj")]
    assert notes == ["s[1].####.obj: 2 files match and all are keyframes: 1, 10"]


def test_a_file_may_be_named_like_a_pattern(folder):
    made("scan #5.1.obj", "scan #5.2.obj")
    assert frames_of(["scan #5.1.obj", "scan #5.2.obj"])[0] == [(1, "scan #5.1.obj"), (2, "scan #5.2.obj")]


def bad(words, keys=None):
    with pytest.raises(BadInput) as error:
        resolve(words, keys)
    return str(error.value)


def test_bad_words(folder):
    made("a.1001.obj", "b.1001.obj", "c.1009.obj", "s.0001.obj", "s.0002.obj")
    assert bad([]) == "no keyframes. Name at least two, such as 1001=a.obj 1024=b.obj."
    assert bad(["a.1001.obj"]) == (
        "one keyframe only: keyframe 1001 (a.1001.obj). A track runs between at least two; add another."
    )
    assert bad(["a.1001.obj", "b.1001.obj"]) == (
        "two keyframes at frame 1001: a.1001.obj and b.1001.obj. Keep one of them, or say another frame: "
        "FRAME=b.1001.obj."
    )
    assert bad(["a.1001.obj", "1009=d.obj"]) == (
        "keyframe 1009 (d.obj): no such file. That folder holds a.1001.obj, b.1001.obj, c.1009.obj. Check the path."
    )
    assert bad(["a.1001.obj", "1009=d.stl"]) == (
        "keyframe 1009 (d.stl): no such file. That folder holds no *.stl. Check the path."
    )
    assert bad(["a.1001.obj", "1009=no/d.stl"]) == (
        "keyframe 1009 (no/d.stl): no such file, as there is no folder no. Check the path."
    )
    assert bad(["a.1001.obj", "1009=."]) == "keyframe 1009 (.): is a folder. Name a file in it."
    assert bad(["a.1001.obj", "1009="]) == "1009=: no path after the frame. Write FRAME=PATH, such as 1009=scan.obj."
    assert bad(["a.1001.obj", "1e3=c.1009.obj"]) == (
        "1e3=c.1009.obj: '1e3' is not a frame. Write FRAME=PATH, such as 1001=scan.obj or 12.5=b.ply."
    )
    assert bad(["s.####.obj", "c.1009.obj"]) == (
        "s.####.obj: a pattern stands alone, but there are 2 words. Give one pattern with --keys, or name each file: "
        "FRAME=PATH."
    )
    assert bad(["a.1001.obj", "c.1009.obj"], "1,2") == (
        "--keys 1,2: goes with one pattern (scan.####.obj) or one USD stage, but there are 2 words, the first "
        "a.1001.obj. Name each file with its frame instead: FRAME=PATH."
    )
    assert bad(["t.####.obj"]) == "t.####.obj: no file matches. Check the folder and the number of digits."
    assert bad(["s.####.obj"], "1-4") == (
        "--keys 1-4: 2 of 4 files are missing, the first s.0003.obj. Frames on disk for s.####.obj: 1, 2."
    )
    assert bad(["s.####.obj"], "1.5,2") == (
        "--keys 1.5,2: 1.5 is no whole frame, and s.####.obj has only whole ones. Name that file: 1.5=PATH."
    )
    assert bad(["s.####.obj"], "2-1") == "--keys: '2-1' runs backwards. Write 1-2."


def test_a_home_folder_after_an_equals_sign(folder, monkeypatch):
    made("a.obj", "b.obj")
    monkeypatch.setenv("HOME", str(folder))
    assert frames_of(["1=~/a.obj", "2=b.obj"])[0] == [(1, str(folder / "a.obj")), (2, "b.obj")]


def test_too_many_files_for_keyframes_nobody_named(folder):
    made(*[f"s.{i}.obj" for i in range(201)])
    assert bad(["s.#.obj"]) == (
        "s.#.obj: 201 files match, more than 200. Pick the keyframes with --keys, such as --keys 0-200x10."
    )


def test_a_name_too_long_for_the_disk(folder):
    made("a.1001.obj")
    assert bad(["a.1001.obj", f"1={'x' * 5000}.obj"]).endswith("xxx.obj: File name too long. Check the path.")


words = st.text(alphabet=st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30)
near_words = st.from_regex(r"[0-9.=+\-]{0,8}[a-z_.#%$F0-9/]{0,12}(\.obj|\.usd)?", fullmatch=True)


@settings(deadline=None)
@given(st.lists(words | near_words, max_size=4), st.none() | st.text("0123456789-x,.", max_size=12))
def test_any_words_are_keys_or_bad_input(tmp_path_factory, given_words, keys):
    here = tmp_path_factory.getbasetemp() / "empty"
    here.mkdir(exist_ok=True)
    before = Path.cwd()
    os.chdir(here)
    try:
        found, _ = resolve(given_words, keys)
    except BadInput as error:
        assert len(str(error)) > 10
    else:
        raise AssertionError(f"an empty folder has no keyframes: {found}")
    finally:
        os.chdir(before)


@settings(deadline=None, max_examples=30)
@given(st.sets(st.integers(-999, 99999), min_size=2, max_size=12), st.integers(1, 6), st.randoms())
def test_numbered_files_read_back(tmp_path_factory, frames, digits, random):
    folder = tmp_path_factory.mktemp("numbered")
    paths = {f: folder / f"a.{f:0{digits}d}.obj" for f in frames}
    for path in paths.values():
        path.write_text("x")
    listed = [str(path) for path in paths.values()]
    random.shuffle(listed)
    by_name = [(key.time, key.path) for key in resolve(listed, None)[0]]
    by_pattern = [(key.time, key.path) for key in resolve([str(folder / f"a.{'#' * digits}.obj")], None)[0]]
    by_word = [(key.time, key.path) for key in resolve([f"{f}={path}" for f, path in paths.items()], None)[0]]
    assert by_name == by_pattern == by_word == sorted((float(f), path) for f, path in paths.items())
