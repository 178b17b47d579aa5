from __future__ import annotations

import numpy as np
import pytest
import torch

from lim_server.geometry.coarse import SWING, unpivoted
from tests.lim_server.geometry.things import about

JOINT = torch.tensor([0.1, 0.2, 0.3], dtype=torch.float64)


def swung(pivot: torch.Tensor, degrees: float, shift: tuple[float, float, float] = (0, 0, 0)) -> float:
    """How far a joint is torn where one side stays and the other turns about x, through a pivot, and is shifted."""
    turn = torch.as_tensor(about((1, 0, 0), degrees))
    tear = turn @ (JOINT - pivot) + pivot + torch.tensor(shift, dtype=torch.float64) - JOINT
    return float(unpivoted(tear, turn - torch.eye(3, dtype=torch.float64)).sqrt())


def test_a_turn_about_a_place_near_the_joint_costs_no_more_than_how_near() -> None:
    hip = JOINT + torch.tensor([0, 0.1, 0])
    assert swung(JOINT, 60) < 1e-9
    assert 0.2 * SWING * 0.1 < swung(hip, 60) <= SWING * 0.1 + 1e-9
    assert swung(hip, 60) < 0.5 * float(torch.linalg.vector_norm(torch.as_tensor(about((1, 0, 0), 60)) @ hip - hip))


@pytest.mark.parametrize("degrees", [0.0, 60.0, 180.0])
def test_no_turn_explains_a_shift_along_its_axis(degrees: float) -> None:
    assert swung(JOINT, degrees, (0.07, 0, 0)) == pytest.approx(0.07)


def test_nothing_is_explained_where_nothing_turns() -> None:
    tear = torch.as_tensor(np.random.default_rng(0).normal(size=(2, 5, 3)))
    assert torch.allclose(unpivoted(tear, torch.zeros(2, 5, 3, 3, dtype=torch.float64)), tear.square().sum(-1))
