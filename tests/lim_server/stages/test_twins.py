from __future__ import annotations

import numpy as np
import pytest

from lim_protocol.types import Keyframe, Mesh
from lim_server.geometry import search
from lim_server.geometry.limbs import twins
from lim_server.geometry.shape import Frame
from lim_server.geometry.side import Side
from lim_server.geometry.trades import Trades
from lim_server.stages import track
from tests.lim_server.stages.walkers import puppet, walker


def error(source: Mesh, target: Mesh, truth: Mesh) -> float:
    """Mean, in diagonals."""
    keys = [Keyframe(1.0, source, "source"), Keyframe(9.0, target, "target")]
    moved = dict(track.track_keys(keys, device="cpu", step=lambda *_: None))[1].points
    diagonal = np.linalg.norm(np.ptp(source.points, axis=0))
    return float(np.linalg.norm(moved - truth.points, axis=1).mean() / diagonal)


def side(mesh: Mesh) -> Side:
    return Side.of(mesh, Frame.of(mesh.points))


def test_legs_of_a_puppet_swing_about_their_hips_and_are_not_exchanged() -> None:
    assert error(puppet(35, 3), puppet(-35, 4), puppet(-35, 3)) < 0.01


def test_legs_of_one_surface_that_cross_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    source, target, truth = walker(26, 44), walker(-26, 52), walker(-26, 44)
    assert error(source, target, truth) < 0.01
    monkeypatch.setattr(search, "CHANGES", 0)
    assert error(source, target, truth) > 0.02, "they are not taken for each other anyway: try a harder one"


def test_limbs_that_mirror_each_other_are_found() -> None:
    source = side(walker(0, 44))
    pairs = [(source.points[pair.one].mean(axis=0), source.points[pair.other].mean(axis=0)) for pair in twins(source)]
    mirrored = [(a, b) for a, b in pairs if np.linalg.norm(a * [-1, 1, 1] - b) < 0.03 and abs(a[0]) > 0.05]
    assert {a[2] > 0 for a, _ in mirrored} == {True, False}, "front legs and hind legs"


def test_what_has_no_twins_has_no_trades() -> None:
    source = side(walker(0, 36))
    assert Trades.of(source, "cpu").trades == []


def test_each_trade_undoes_itself() -> None:
    """A leg takes the other's place, and that one its: done twice, all is as it was."""
    source = side(puppet(0, 3))
    trades = Trades.of(source, "cpu")
    problem = search.problem_of(
        source, source, search.Landmarks.of(source.shape, puppet(0, 3), Frame.of(puppet(0, 3).points)), "cpu"
    )
    eye = np.broadcast_to(np.eye(3), (len(problem.nodes), 3, 3)).copy()
    still = search.Guesses(problem, search.torch.as_tensor(eye, dtype=problem.rest.dtype)[None], problem.nodes[None])
    legs = [k for k, trade in enumerate(trades.trades) if trade.parts[0] != trade.parts[1]]
    assert legs, "two legs and nothing else alike"
    made = trades.made(still)
    assert made is not None
    for k in legs:
        once = made.only(k)
        assert float((once.place - still.place).abs().max()) > 0.1
        again = trades.made(once)
        assert again is not None
        assert float((again.only(k).place - still.place).abs().max()) < 0.02
