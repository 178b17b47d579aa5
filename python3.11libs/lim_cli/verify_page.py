"""The report of `lim verify` as one HTML page that needs nothing beside it."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterator, Sequence
from html import escape
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pxr import UsdGeom

    from lim_usd.verify.findings import Finding
    from lim_usd.verify.motion import Series
    from lim_usd.verify.run import Report

WIDTH, HEIGHT = 760, 90
MOST_PICTURES = 8

STYLE = """
body{font:14px/1.45 system-ui,sans-serif;max-width:860px;margin:2em auto;padding:0 1em;color:#222;background:#fff}
h1{font-size:1.3em}h2{font-size:1.05em;margin-top:2em;font-family:monospace}
.clean{color:#17703a}.wrong{color:#b3261e}
li{margin:.5em 0}code{background:#f2f2f2;padding:1px 4px;border-radius:3px}
figure{display:inline-block;margin:4px;text-align:center;font-size:12px}figure.bad{color:#b3261e}
img{display:block;width:160px;height:160px;border-radius:4px}
svg{display:block;margin:2px 0 14px;background:#fafafa;border:1px solid #e4e4e4}
table{border-collapse:collapse}td,th{padding:3px 10px;border-bottom:1px solid #e4e4e4;text-align:left}
"""


def page(report: Report) -> str:
    """The whole page: verdict, findings, then plots and pictures of each mesh."""
    count = len(report.findings)
    verdict = '<b class="clean">clean</b>' if not count else f'<b class="wrong">{count} findings</b>'
    body = [f"<h1>{escape(str(report.path))}: {verdict}</h1>"]
    if count:
        body.append("<ol>" + "".join(_finding(each) for each in report.findings) + "</ol>")
    body.append(_topology(report))
    for path, series in report.series.items():
        body += [f"<h2>{escape(path)}</h2>", *_pictures(report, path), *_plots(series, _marked(report, path))]
    title = escape(report.path.name)
    head = f'<meta charset="utf-8"><title>{title}: lim verify</title><style>{STYLE}</style>'
    return f"<!DOCTYPE html><html><head>{head}</head><body>{''.join(body)}</body></html>\n"


def _finding(found: Finding) -> str:
    from lim_usd.verify.findings import frames_text

    at = f" at {frames_text(found.times)}" if found.times else ""
    place = f"<code>{escape(found.where)}</code>"
    return f'<li><b class="wrong">{found.code}</b>{at}<br>{place} {escape(found.what)}.<br>{escape(found.fix)}.</li>'


def _topology(report: Report) -> str:
    rows = "".join(f"<tr><td>{escape(str(each))}</td></tr>" for each in report.topology)
    return f"<table><tr><th>topology</th></tr>{rows}</table>"


def _marked(report: Report, path: str) -> set[float]:
    return {time for found in report.findings if found.where.startswith(path) for time in found.times}


def _plots(series: Series, marked: set[float]) -> Iterator[str]:
    if len(series.times) < 2:
        return
    yield _plot("size: diagonal of the bounding box", series.times, series.size, marked)
    yield _plot("step: what points move per frame, in parts of the size", series.times, series.step, marked)
    yield _plot("turn: what the step changes by", series.times, series.turn, marked)


def _plot(name: str, times: Sequence[float], values: Sequence[float], marked: set[float]) -> str:
    known = [value for value in values if math.isfinite(value)]
    top, first, last = max(known, default=0) or 1.0, times[0], times[-1]

    def place(time: float) -> float:
        return 4 + (WIDTH - 8) * (time - first) / ((last - first) or 1)

    spots = [
        f"{place(time):.1f},{HEIGHT - 4 - (HEIGHT - 22) * value / top:.1f}"
        for time, value in zip(times, values)
        if math.isfinite(value)
    ]
    bars = "".join(
        f'<line x1="{place(time):.1f}" x2="{place(time):.1f}" y1="0" y2="{HEIGHT}" stroke="#e9a49f" stroke-width="2"/>'
        for time in sorted(marked)
        if first <= time <= last
    )
    label = f'<text x="6" y="13" font-size="11" fill="#555">{escape(name)}; most {top:.4g}</text>'
    line = f'<polyline points="{" ".join(spots)}" fill="none" stroke="#2460a7" stroke-width="1.3"/>'
    return f'<svg width="{WIDTH}" height="{HEIGHT}">{bars}{line}{label}</svg>'


def _pictures(report: Report, path: str) -> Iterator[str]:
    """The first, middle and last frame, and those at which something was found."""
    from pxr import Usd, UsdGeom

    times = report.series[path].times
    if not times:
        return
    marked = [time for time in sorted(_marked(report, path)) if time in set(times)][: MOST_PICTURES - 3]
    stage = Usd.Stage.Open(str(report.path))
    mesh = UsdGeom.Mesh.Get(stage, path)
    for time in sorted({times[0], times[len(times) // 2], times[-1], *marked}):
        if image := _picture(mesh, time):
            words = ' class="bad"' if time in marked else ""
            data = base64.b64encode(image).decode()
            yield f'<figure{words}><img src="data:image/png;base64,{data}" alt="">frame {time:g}</figure>'


def _picture(mesh: UsdGeom.Mesh, time: float) -> bytes | None:
    from pxr import UsdGeom

    from lim_protocol.png import png
    from lim_protocol.types import fan
    from lim_usd.picture import draw

    points = np.asarray(mesh.GetPointsAttr().Get(time) or [], np.float32)
    counts = np.asarray(mesh.GetFaceVertexCountsAttr().Get(time) or [], np.int32)
    indices = np.asarray(mesh.GetFaceVertexIndicesAttr().Get(time) or [], np.int32)
    if points.ndim != 2 or not len(counts) or (counts < 3).any() or int(counts.sum()) != len(indices):
        return None
    triangles = fan(counts, indices)
    inside = ((triangles >= 0) & (triangles < len(points))).all(1)
    whole = triangles[inside]
    whole = whole[np.isfinite(points[whole]).all((1, 2))]
    if not len(whole):
        return None
    up = UsdGeom.GetStageUpAxis(mesh.GetPrim().GetStage())
    return png(draw(points, whole, None, str(up), 160))
