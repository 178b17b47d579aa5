from __future__ import annotations

import pytest
import torch
from torch import Tensor

from lim_server.models.carve import Carved
from lim_server.models.flow import Flow, FlowFinder
from lim_server.models.lrm import Lrm
from tests.lim_server.models.networks import carved, key_of, network, shaken


@pytest.fixture(scope="module")
def lrm() -> Lrm:
    return network()


def finder(lrm: Lrm) -> FlowFinder:
    torch.manual_seed(2)
    net = FlowFinder(lrm.preset)
    shaken(net)
    return net.eval().requires_grad_(False)


def keys(lrm: Lrm, *seeds: int) -> Carved:
    return Carved.joined(carved(*(key_of(lrm, seed=seed) for seed in seeds)))


def of(found: Flow, of_keys: Carved, key: int) -> Tensor:
    return torch.cat((found.shift, found.arc, found.matched), 1)[of_keys.cells.at[:, 0] == key]


def test_intervals_of_a_batch_do_not_mix(lrm: Lrm) -> None:
    net, both = finder(lrm), keys(lrm, 1, 2, 3, 4)  # from 1 to 3, and from 2 to 4
    found = net(both)
    for first in (0, 1):
        alone = keys(lrm, 1 + first, 3 + first)
        mine = net(alone)
        for key in (0, 1):
            assert torch.allclose(of(found, both, first + 2 * key), of(mine, alone, key), atol=1e-4)


def test_near_and_far_are_treated_alike(lrm: Lrm) -> None:
    net, there, back = finder(lrm), keys(lrm, 1, 3), keys(lrm, 3, 1)
    one, other = net(there), net(back)
    assert torch.allclose(of(one, there, 0), of(other, back, 1), atol=1e-4)
    assert torch.allclose(one.likely[0], other.likely[1], atol=1e-4)


def test_each_key_is_looked_for_in_the_other(lrm: Lrm) -> None:
    net, one, other = finder(lrm), keys(lrm, 1, 3), keys(lrm, 1, 4)
    assert not torch.allclose(of(net(one), one, 0), of(net(other), other, 0), atol=1e-2)


def test_a_match_is_a_place_of_the_other_key(lrm: Lrm) -> None:
    net, both = finder(lrm), keys(lrm, 1, 3)
    net.sharp.fill_(20.0)  # one cell takes it all
    found = net(both)
    far = found.large.places[found.large.at[:, 0] == 1]
    mine = both.cells.at[:, 0] == 0
    # of the larger cell that each is part of
    parent = (both.cells.at[mine, 1:] // 2 * 2 + 1) / (both.cells.side / 2) - 1
    assert torch.cdist(parent + found.matched[mine], far).amin(1).max() < 1e-4
