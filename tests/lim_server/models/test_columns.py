from __future__ import annotations

from dataclasses import replace

import torch

from lim_server.models.columns import Columns, evidence
from lim_server.models.presets import smoke
from lim_server.render.cameras import ring
from tests.lim_server.models.networks import shaken, views

SMALL = replace(smoke(), columns=True, carve=(), flow=(), depth=1)


def test_inside_all_masks_and_seen_alike_is_told_of_every_cell() -> None:
    mask = torch.ones(1, 4, 1, 24, 24)
    colour = torch.tensor((0.2, 0.4, 0.6))[:, None, None].expand(1, 4, 3, 24, 24)
    found = evidence(colour, mask, ring()[None], 8)[0, :, 4, 4, 4]
    assert torch.allclose(found, torch.tensor((1, 0.2, 0.4, 0.6, 0)), atol=1e-3)
    mask[:, 2] = 0
    assert evidence(colour * mask, mask, ring()[None], 8)[0, 0].max() == 0


def test_a_token_for_each_of_the_triplanes_whatever_the_order_of_views() -> None:
    torch.manual_seed(0)
    net = Columns(SMALL)
    shaken(net)
    colour, mask = views(SMALL, 2, 0)
    rig = ring()[None][torch.zeros(2, dtype=torch.long)]
    order = torch.tensor((3, 0, 2, 1))
    tokens, again = net(colour, mask, rig), net(colour[:, order], mask[:, order], rig[:, order])
    assert tokens.values.shape == (2, 3 * SMALL.tokens**2, SMALL.image_width)
    assert torch.allclose(tokens.values, again.values, atol=1e-4)
    assert not torch.allclose(tokens.values[0], tokens.values[1], atol=1e-2)
