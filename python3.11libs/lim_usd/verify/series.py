"""All frames of a mesh against each other: jumps, frozen frames, samples that are missing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pxr import Usd, UsdGeom

from lim_usd.verify.findings import Findings
from lim_usd.verify.motion import Series

# A jump turns the motion and turns it back at once. A start, a stop or a hit turns it once, however hard.
_BACK = -0.4
_JUMP, _JUMP_OVER_USUAL = 0.05, 8.0  # of the diagonal per frame; times the middle frame's
_SPIKE, _SPIKE_OVER_USUAL = 0.08, 8.0
_END_JUMP = 0.25
_FEW = 4.0  # the point that turns most over the mean: above it, some points jump and not the mesh

_MOVES = 1e-4  # of the diagonal per frame
_ABRUPT = 0.25  # of the usual step, right before and right after
_ONWARDS = 0.5  # cosine between these two: else it is a turn, or a pose that is held
_STEPPED = 0.3  # of the frames: whoever holds so many animates on twos
_AGAIN = "Make these frames anew"


def check_series(path: object, series: Series, findings: Findings) -> None:
    """What only shows from frame to frame."""
    if len(series.times) < 3:
        return
    _check_jumps(path, series, findings)
    _check_frozen(path, series, findings)


def check_samples(mesh: UsdGeom.Mesh, start: float, end: float, ours: bool, findings: Findings) -> None:
    """Frames that one attribute has and another lacks, gaps in an even step, a range that is not the samples'."""
    points = mesh.GetPointsAttr()
    times = points.GetTimeSamples()
    if len(times) < 2:
        return
    _check_gaps(points, times, findings)
    for attribute in (
        mesh.GetNormalsAttr(),
        mesh.GetExtentAttr(),
        mesh.GetVelocitiesAttr(),
        mesh.GetAccelerationsAttr(),
    ):
        samples = attribute.GetTimeSamples()
        if samples:
            _check_missing(attribute, samples, sorted(set(times) - set(samples)), findings)
            _check_missing(points, times, sorted(set(samples) - set(times)), findings)
        elif attribute.GetName() == "extent" and attribute.HasAuthoredValue():
            words = "has one extent for all frames, though its points move"
            findings.add("extent-static", mesh.GetPath(), words, "Write one for every frame")
    _check_default(mesh, findings)
    _check_span(mesh, times, start, end, ours, findings)


def _check_jumps(path: object, series: Series, findings: Findings) -> None:
    turn, back = np.nan_to_num(series.turn), np.nan_to_num(series.back)
    turn_max, back_max = np.nan_to_num(series.turn_max), np.nan_to_num(series.back_max)
    hard = _stands_out(turn, _JUMP, _JUMP_OVER_USUAL) & (turn_max < _FEW * turn)
    for place in _peaks((hard & np.roll(hard, 1) & (back < _BACK)), turn):
        words = f"jumps by {100 * series.step[place - 1]:.0f} % of its size from one frame to the next"
        findings.add("jump", path, words, _AGAIN, series.times[place - 1])
    step = np.nan_to_num(series.step)
    if step[-1] > _END_JUMP and step[-1] > _SPIKE_OVER_USUAL * np.median(step[1:-1]):
        words = f"jumps by {100 * step[-1]:.0f} % of its size at its last frame"
        findings.add("jump", path, words, _AGAIN, series.times[-1])
    hard = _stands_out(turn_max, _SPIKE, _SPIKE_OVER_USUAL)
    for place in _peaks(hard & np.roll(hard, 1) & (back_max < _BACK), turn_max):
        if not findings.has("jump", path):
            words = f"has points that jump by {100 * turn_max[place]:.0f} % of its size and back"
            findings.add("spike", path, words, _AGAIN, series.times[place - 1])


def _stands_out(values: NDArray[np.float64], least: float, over_usual: float) -> NDArray[np.bool_]:
    return np.asarray(values > np.maximum(least, over_usual * np.median(values)))


def _peaks(marked: NDArray[np.bool_], heights: NDArray[np.float64]) -> list[int]:
    """The highest place of each run of marked places: there the motion turns back, and the frame before is bad."""
    peaks: list[int] = []
    for place in np.flatnonzero(marked).tolist():
        if peaks and place - peaks[-1] <= 2:
            peaks[-1] = max(peaks[-1], place, key=lambda each: float(heights[each]))
        else:
            peaks.append(place)
    return peaks


def _check_frozen(path: object, series: Series, findings: Findings) -> None:
    step, same = np.nan_to_num(series.step), np.array(series.same)
    moving = step[(step > _MOVES)]
    if not len(moving) or same[1:].mean() > _STEPPED:
        return
    usual = max(_MOVES, _ABRUPT * float(np.median(moving)))
    place = 1
    while place < len(same):
        if not same[place]:
            place += 1
            continue
        end = place
        while end < len(same) and same[end]:
            end += 1
        abrupt = end < len(same) and step[place - 1] > usual and step[end] > usual and series.along[end] > _ONWARDS
        for frozen in range(place, end) if abrupt else ():
            words = "stands still, between frames that move on"
            findings.add("frozen", path, words, _AGAIN, series.times[frozen])
        place = end


def _check_gaps(points: Usd.Attribute, times: list[float], findings: Findings) -> None:
    steps = np.diff(times)
    usual = float(np.median(steps))
    even = np.abs(steps - usual) < 1e-3 * usual
    if even.mean() < 0.8:
        return
    for place in np.flatnonzero(steps > 1.5 * usual).tolist():
        if points.Get(times[place]) != points.Get(times[place + 1]):  # a hold needs no samples in between
            for missing in np.arange(times[place] + usual, times[place + 1] - usual / 2, usual):
                words = f"has no sample, in a row of one every {usual:g} frames"
                findings.add("missing-sample", points.GetPath(), words, "Write the missing frames", float(missing))


def _check_missing(attribute: Usd.Attribute, samples: list[float], missing: list[float], findings: Findings) -> None:
    """Times that others have. A writer leaves out what is as before; then what stands there is the sample before."""
    for time in missing:
        before = max((each for each in samples if each < time), default=None)
        if before is None or attribute.Get(time) != attribute.Get(before):
            words = "has no sample where the mesh has others"
            findings.add("missing-sample", attribute.GetPath(), words, "Write the missing frames", time)


def _check_default(mesh: UsdGeom.Mesh, findings: Findings) -> None:
    others = (mesh.GetNormalsAttr(), mesh.GetExtentAttr())
    if not _has_default(mesh.GetPointsAttr()) and any(_has_default(each) for each in others):
        words = "has normals or extent outside of time and no points, so hosts that ask for none find a broken mesh"
        findings.add("no-default-points", mesh.GetPath(), words, "Write the first frame as the default value too")


def _has_default(attribute: Usd.Attribute) -> bool:
    return attribute.Get() is not None


def _check_span(
    mesh: UsdGeom.Mesh, times: list[float], start: float, end: float, ours: bool, findings: Findings
) -> None:
    stage = mesh.GetPrim().GetStage()
    if not stage.HasAuthoredTimeCodeRange():
        words = f"moves from frame {times[0]:g} to {times[-1]:g}, and the layer does not say its range"
        findings.add("no-range", mesh.GetPath(), words, "Say startTimeCode and endTimeCode")
        return
    apart = times[0] > end or times[-1] < start
    short = ours and (times[0] > start or times[-1] < end)
    if apart or short:
        words = f"has samples from frame {times[0]:g} to {times[-1]:g} where the layer says {start:g} to {end:g}"
        findings.add("range", mesh.GetPath(), words, "Write the missing frames, or mend the range")
