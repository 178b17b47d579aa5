from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from lim_server.models.carry import lay_down
from lim_server.models.carve import Carve, Carved
from lim_server.models.flow import Flow
from lim_server.models.lrm import Lrm
from lim_server.models.sway import Pair, Sway
from tests.lim_server.models.networks import carved, key_of, network, shaken


@pytest.fixture(scope="module")
def lrm() -> Lrm:
    return network()


@pytest.fixture(scope="module")
def keys(lrm: Lrm) -> Carved:
    both = Carved.joined(carved(key_of(lrm, seed=1), key_of(lrm, seed=2)))
    return replace(both, field=both.field + 30 * torch.eye(4)[0])  # all solid


def still(keys: Carved, shift: Tensor | None = None) -> Flow:
    nothing = torch.zeros(len(keys.cells.at), 3)
    return Flow(nothing if shift is None else nothing + shift, nothing, nothing, keys.cells, [])


def sway(lrm: Lrm) -> Sway:
    torch.manual_seed(2)
    net = Sway(lrm)
    shaken(net.finder)
    shaken(net.carry)
    return net.eval().requires_grad_(False)


@pytest.mark.parametrize("key", [0, 1])
def test_what_does_not_move_is_laid_down_where_it_is(keys: Carved, key: int) -> None:
    laid = lay_down(keys, keys.values, still(keys), torch.tensor([0.5]))
    mine = keys.cells.at[:, 0] == key
    row = torch.full((keys.cells.side**3,), -1)
    row[laid.cells.flat] = torch.arange(len(laid.cells.at))
    at = row[keys.cells.flat[mine] - key * keys.cells.side**3]
    assert (at >= 0).all()
    assert torch.allclose((laid.near, laid.far)[key][at], keys.values[mine], atol=1e-4)
    assert torch.allclose(laid.much[at, key], torch.ones(1), atol=1e-4)
    assert torch.allclose(laid.much[:, key].sum(), mine.sum().float(), rtol=1e-4)


def test_a_cell_is_laid_down_between_where_the_flow_has_it(keys: Carved) -> None:
    """Two cells along x for the near key all the way, so one and a half at three quarters of it."""
    step = torch.tensor([2 * 2 / keys.cells.side, 0, 0])
    one = Carved.joined([keys.of(0), keys.of(0)])
    x, y, z = one.cells.at[0, 1:].tolist()
    field = torch.full_like(one.field, -30.0)
    field[0] = 30.0
    laid = lay_down(replace(one, field=field), one.values, still(one, step), torch.tensor([0.75]))
    assert len(laid.cells.at) == 2 and torch.allclose(laid.much[:, 0], torch.full((2,), 0.5), atol=1e-4)
    assert {tuple(at) for at in laid.cells.at[:, 1:].tolist()} == {(x + k, y, z) for k in (1, 2)}


def test_what_leaves_the_box_is_gone(keys: Carved) -> None:
    laid = lay_down(keys, keys.values, still(keys, torch.tensor([9.0, 0, 0])), torch.tensor([0.5]))
    assert len(laid.cells.at) == 0


def test_one_interval_serves_many_times(lrm: Lrm) -> None:
    net, (near, far) = sway(lrm), carved(key_of(lrm, seed=1), key_of(lrm, seed=2))
    pair, alpha = net.pair(near, far), torch.tensor([0.2, 0.7])
    together = net.at(pair, alpha)
    for k in (0, 1):
        alone = net.at(pair, alpha[k : k + 1])
        assert torch.allclose(together.tokens.values[k], alone.tokens.values[0], atol=1e-4)
        assert torch.equal(together.of(k).cells.at, alone.cells.at)


def test_the_twin_paints_the_far_key_with_where_the_flow_leads(lrm: Lrm) -> None:
    net, (near, far, home) = sway(lrm), carved(key_of(lrm, seed=1), key_of(lrm, seed=2), key_of(lrm, seed=1))
    pair: Pair = net.pair(near, far, home)
    there = pair.keys.cells.at[:, 0] == 1
    assert torch.equal(pair.values[~there], home.values)
    where = ((far.cells.places + pair.flow.shift[there]) / 2 + 0.5).clamp(0, 1)
    assert far.told is not None and isinstance(lrm.encoder.carve, Carve)
    told = far.told.clone()
    for first in (17, 22, 27):
        told[:, first : first + 3] = where
        told[:, first + 3] = 0
    told[:, 14:17] = 0
    assert torch.allclose(pair.values[there], lrm.encoder.carve.known(far.cells, told), atol=1e-5)


def test_a_place_goes_home_by_the_flow_of_the_cells_around_it(keys: Carved) -> None:
    far = keys.cells.at[:, 0] == 1
    flow = replace(still(keys), shift=torch.where(far[:, None], keys.cells.places, 9.0))  # nothing of the near key
    pair = Pair(keys, flow, keys.values)
    middles = keys.cells.places[far][None]
    assert torch.allclose(pair.home(middles), 2 * middles, atol=1e-5)
    outside = torch.tensor([[[5.0, 5.0, 5.0]]])
    assert torch.equal(pair.home(outside), outside)
