from __future__ import annotations

import pytest
import torch
from torch import nn

from lim_server.models.lim import Lim
from lim_server.models.lrm import Lrm
from lim_server.models.presets import PRESETS, base

MILLION = 1e6


def count(module: nn.Module) -> float:
    return sum(p.numel() for p in module.parameters()) / MILLION


def test_base_has_the_papers_size() -> None:
    with torch.device("meta"):
        lrm = Lrm(base())
        lim = Lim(lrm)
    blocks = [count(block) for block in lim.blocks]
    # 1024 wide over image tokens 768 wide: ~20.5 M for a block, ~123 M for six
    assert len(blocks) == 6 and all(abs(block - 20.5) < 0.1 for block in blocks)
    assert abs(sum(blocks) - 123.0) < 0.5
    assert len(lrm.blocks) == 12 and abs(count(lrm.blocks) / 12 - 16.3) < 0.1
    assert abs(count(lrm.encoder) - 86) < 2  # a ViT-B: 86 M
    assert lrm.tokens.shape == (3 * 32 * 32, 1024)


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_every_preset_is_whole(name: str) -> None:
    preset = PRESETS[name]()
    assert preset.name == name
    assert preset.width % preset.heads == 0 and preset.image_width % preset.image_heads == 0
    assert preset.width // preset.heads == preset.image_width // preset.image_heads or not preset.lines
    assert preset.size % preset.patch == 0 and preset.lim_blocks < preset.blocks
    with torch.device("meta"):
        lim = Lim(Lrm(preset))
    assert len(lim.blocks) == preset.lim_blocks
