"""What a GPU does, against its plain twin on a CPU."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial import cKDTree

from lim_server.geometry.arap import Rigidity
from lim_server.geometry.equations import Equations
from lim_server.geometry.fine import Fine
from lim_server.geometry.landmarks import Landmarks
from lim_server.geometry.lifted import Blend, Lifted, nearest_row
from lim_server.geometry.shape import Frame, Shape
from tests.lim_server.geometry.things import ball, shape, together
from tests.lim_server.stages.creatures import limb


def equations() -> Equations:
    thing, random = shape(together(ball(1.0))), np.random.default_rng(0)
    n = len(thing.points)
    corner = torch.from_numpy(thing.triangles[random.integers(len(thing.triangles), size=800)])
    blend = Blend(corner, torch.from_numpy(random.dirichlet([1, 1, 1], 800)))
    elastic = Rigidity(thing.points, thing.triangles).elastic
    held = torch.from_numpy(random.random(n) / n)
    return Equations([(blend, torch.from_numpy(random.random(800) / 800))], elastic, 1e-4, held)


def test_gradients_reach_what_factors_give() -> None:
    made, random = equations(), np.random.default_rng(1)
    right = torch.from_numpy(random.normal(size=(len(made.held), 3))) * made.diagonal()[:, None]
    exact = made.solver()(right, torch.zeros_like(right))
    assert torch.allclose(made.times(exact), right, atol=1e-9)
    start = exact + 0.01 * torch.from_numpy(random.normal(size=exact.shape))
    off = (made.iterated(right, start) - exact).norm(dim=1)
    assert off.max() < 0.01 * 0.01


def test_the_matrix_has_its_diagonal() -> None:
    made = equations()
    assert np.allclose(made.matrix().diagonal(), made.diagonal().numpy())


def test_all_compared_with_all_find_what_a_tree_finds() -> None:
    rows, others = torch.from_numpy(np.random.default_rng(2).normal(size=(2, 3000, 9)))
    assert np.array_equal(nearest_row(rows, others).numpy(), cKDTree(others.numpy()).query(rows.numpy())[1])


def test_a_fit_by_gradients_is_the_fit_by_factors(monkeypatch: pytest.MonkeyPatch) -> None:
    source, key = limb(40, 24, 0.0, True), limb(36, 26, 0.4, True)
    frame = Frame.of(source.points)
    mine, theirs = Shape.of(source, frame), Shape.of(key, frame)
    there = Lifted.target(theirs, "cpu", colored=True)
    given = there, mine.points, np.ones(len(mine.points)), Landmarks.of(mine, key, frame), lambda *_: None
    exact = Fine(mine, "cpu").onto(*given)
    monkeypatch.setattr(Equations, "solver", lambda made: made.iterated)
    apart = np.linalg.norm(Fine(mine, "cpu").onto(*given) - exact, axis=1)
    assert apart.mean() < 2e-5 and apart.max() < 2e-3
    assert np.linalg.norm(exact - mine.points, axis=1).mean() > 0.01
