from __future__ import annotations

from lim_server.geometry.visibility import seen
from tests.lim_server.geometry.things import ball, shape, together


def test_what_lies_inside_is_not_seen() -> None:
    outer, inner = ball(1.0), ball(0.5)
    both = shape(together(outer, inner))
    visible = seen(both, both.points, both.normals)
    assert visible[: len(outer[0])].all()
    assert not visible[len(outer[0]) :].any()
