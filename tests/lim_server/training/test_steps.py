from __future__ import annotations

from dataclasses import replace

import torch
from torch.optim import AdamW, Muon

from lim_server.models.lrm import Lrm
from lim_server.models.presets import smoke
from lim_server.training.recipes import smoke_lrm
from lim_server.training.steps import Steps


def test_every_weight_has_one_optimizer_and_the_tokens_layers_have_muon() -> None:
    lrm = Lrm(smoke())
    (adam, _), (muon, _) = Steps(lrm, smoke_lrm()).all
    assert isinstance(adam, AdamW) and isinstance(muon, Muon)
    mine, theirs = ([id(p) for g in o.param_groups for p in g["params"]] for o in (muon, adam))
    assert sorted(mine + theirs) == sorted(map(id, lrm.parameters()))
    assert id(lrm.blocks[0].cross.kv.weight) in mine  # type: ignore[union-attr]
    assert {id(lrm.tokens), id(lrm.decoder.layers[0].weight), id(lrm.head.up.bias)} <= set(theirs)
    assert len(Steps(lrm, replace(smoke_lrm(), muon=0.0)).all) == 1


def test_a_step_moves_every_weight_by_its_share_of_the_rate() -> None:
    moved = []
    for share in (1.0, 0.5):
        lrm = Lrm(smoke())
        before = [p.detach().clone() for p in lrm.parameters()]
        steps = Steps(lrm, replace(smoke_lrm(), weight_decay=0.0))
        for p in lrm.parameters():
            p.grad = torch.ones_like(p)
        steps.take(share)
        assert all(p.grad is None for p in lrm.parameters())
        moved.append([(p - b).abs().max().item() for p, b in zip(lrm.parameters(), before, strict=True)])
    assert all(0 < half < 0.6 * whole for whole, half in zip(*moved, strict=True))
