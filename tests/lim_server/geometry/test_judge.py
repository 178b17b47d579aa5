from __future__ import annotations

import numpy as np
import pytest

from lim_server.geometry.judge import Judge
from lim_server.geometry.shape import Frame
from lim_server.geometry.side import Side
from lim_server.geometry.spread import Spread
from tests.lim_server.geometry.things import about, box, together

BODY, NOSE = ((0.6, 0.5, 0.8), (0, 0, 0)), ((0.08, 0.08, 0.08), (0.34, 0.05, 0.2))


def judge(cuts: int) -> tuple[Judge, np.ndarray]:
    """Of a body with a nose against itself in another topology, and the source's points."""
    mesh, other = together(box(*BODY, 4), box(*NOSE, 2)), together(box(*BODY, cuts), box(*NOSE, 1))
    frame = Frame.of(mesh.points)
    source, target = Side.of(mesh, frame), Side.of(other, frame)
    return Judge(source, Spread.of(source.shape, 3000), target, "cpu"), source.shape.points


def test_where_it_belongs_costs_next_to_nothing() -> None:
    made, points = judge(5)
    assert made.cost(points) < 0.1
    assert made.cost(points + np.array([0.03, 0, 0])) > 5 * made.cost(points)


@pytest.mark.parametrize("cuts", [3, 5])
def test_a_body_turned_about_differs_by_its_nose(cuts: int) -> None:
    """A thousandth of the surface tells, where samples 0.03 apart would drown it."""
    made, points = judge(cuts)
    turned = points @ about((0, 0, 1), 180).T
    assert made.cost(turned) > made.cost(points) + 0.05


def test_what_is_far_off_counts_no_more_than_what_is_gone() -> None:
    made, points = judge(5)
    assert made.cost(points + 5) == pytest.approx(made.cost(points + 50), rel=0.1)
