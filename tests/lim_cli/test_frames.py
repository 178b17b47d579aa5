from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lim_cli.errors import BadInput
from lim_cli.frames import frame_text, listed_frames, parse_frames, within


@pytest.mark.parametrize(
    ("text", "frames"),
    [
        ("1001", (1001,)),
        ("1001-1004", (1001, 1002, 1003, 1004)),
        ("1001-1002x0.25", (1001, 1001.25, 1001.5, 1001.75, 1002)),
        ("1001-1006x2", (1001, 1003, 1005)),
        ("1001,1003,1010-1012", (1001, 1003, 1010, 1011, 1012)),
        ("5,1,3,1", (1, 3, 5)),
        (" 1 - 3 , 7 ", (1, 2, 3, 7)),
        ("-3--1", (-3, -2, -1)),
        ("-1-1", (-1, 0, 1)),
        ("+2", (2,)),
        ("1.5-2.5", (1.5, 2.5)),
        (".5-1.5x.5", (0.5, 1, 1.5)),
    ],
)
def test_lists_of_frames(text, frames):
    assert parse_frames(text) == frames


def test_steps_do_not_drift():
    frames = parse_frames("0-1000x0.1")
    assert len(frames) == 10001
    assert all(frame == float(Fraction(i, 10)) for i, frame in enumerate(frames))


def test_order_and_repeats_are_kept_where_they_matter():
    assert listed_frames("9,1-2,9", "--keys") == [9, 1, 2, 9]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "--frames: '' is not a list of frames. Write frames as 1001-1024, 1001-1024x0.5, or 1001,1003,1010-1012."),
        (
            "1-2,a",
            "--frames: 'a' in '1-2,a' is not a list of frames. "
            "Write frames as 1001-1024, 1001-1024x0.5, or 1001,1003,1010-1012.",
        ),
        ("1024-1001", "--frames: '1024-1001' runs backwards. Write 1001-1024."),
        ("1-2x0", "--frames: the step of '1-2x0' is 0. A step must be above zero."),
        ("1-2x-1", "--frames: the step of '1-2x-1' is -1. A step must be above zero."),
        (
            "1-9000000x0.001",
            "--frames: '1-9000000x0.001' is more than 100,000 frames. Ask for fewer, or take a larger step.",
        ),
    ],
)
def test_bad_lists_are_refused_with_words(text, message):
    with pytest.raises(BadInput) as error:
        parse_frames(text)
    assert str(error.value) == message


@settings(deadline=None)
@given(st.text(alphabet="0123456789-+x,. a=", max_size=40))
def test_any_text_is_frames_or_bad_input(text):
    try:
        frames = parse_frames(text)
    except BadInput as error:
        assert "--frames" in str(error)
    else:
        assert list(frames) == sorted(set(frames)) and frames


@settings(deadline=None)
@given(st.integers(-5000, 5000), st.integers(0, 20), st.fractions(Fraction(1, 100), 7).map(lambda f: round(f, 3)))
def test_a_range_written_out_reads_back(first, length, step):
    text = f"{first}-{first + length}x{float(step)}"
    frames = parse_frames(text)
    assert frames == tuple(float(first + i * step) for i in range(len(frames)))
    assert first + length - step < frames[-1] <= first + length
    assert parse_frames(",".join(frame_text(frame) for frame in frames)) == frames


def test_frames_outside_the_keys_are_refused_or_held():
    assert within([3, 1, 2, 2], 1, 3) == (1, 2, 3)
    assert within([0, 2, 3, 4, 9], 1, 3, hold=True) == (1, 2, 3)
    with pytest.raises(BadInput) as error:
        within(parse_frames("1000-1012"), 1001, 1009)
    assert str(error.value) == (
        "--frames: 4 frames (1000, 1010, 1011, ...) lie outside the keyframes, which run from 1001 to 1009. Ask for "
        "frames in that range, add a keyframe, or hold the end poses with --hold."
    )
