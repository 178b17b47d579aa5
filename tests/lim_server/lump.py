"""An LRM with weights that nobody trained: whatever it sees, it says there is a ball."""

from __future__ import annotations

import torch

from lim_server.models.lrm import Lrm
from lim_server.models.presets import Preset

LARGE = 10.0


def lump(preset: Preset, radius: float) -> Lrm:
    """Its logit is radius^2 - |place|^2, twice; a radius below 0 is a ball that is nowhere."""
    lrm = Lrm(preset)
    with torch.no_grad():
        for weight in lrm.parameters():
            weight.zero_()
        at = (torch.arange(preset.tokens) + 0.5) * (2 / preset.tokens) - 1
        row, column = torch.meshgrid(at, at, indexing="ij")
        # each value and its negative, so that the norm takes off nothing; and a large one, so that it scales all alike
        parts = [column**2 + row**2, column, row, torch.full_like(row, LARGE)]
        held = torch.stack([sign * part.flatten() for part in parts for sign in (1, -1)], -1)
        lrm.tokens[:, : held.shape[1]] = held.repeat(3, 1)
        lrm.head.norm.weight.fill_((2 * LARGE**2 / preset.width) ** 0.5)
        step = ((torch.arange(preset.upsample) + 0.5) / preset.upsample - 0.5) * (2 / preset.tokens)
        down, across = torch.meshgrid(step, step, indexing="ij")
        cells = preset.depth * preset.upsample**2  # the first value's come first, layer by layer
        lrm.head.up.weight[:cells, 0] = 1
        lrm.head.up.weight[:cells, 2] = 2 * across.flatten().repeat(preset.depth)
        lrm.head.up.weight[:cells, 4] = 2 * down.flatten().repeat(preset.depth)
        lrm.head.up.bias[:cells] = (across**2 + down**2).flatten().repeat(preset.depth)
        values = preset.channels // preset.depth
        first, *others = [layer for layer in lrm.decoder.layers if isinstance(layer, torch.nn.Linear)]
        first.weight[0, ::values], first.bias[0] = -1, 2 * radius * abs(radius)
        first.weight[1, ::values], first.bias[1] = 1, -2 * radius * abs(radius)
        for layer in others:  # silu(x) - silu(-x) is x
            layer.weight[0, :2] = torch.tensor([1.0, -1.0])
            if layer is not others[-1]:
                layer.weight[1, :2] = torch.tensor([-1.0, 1.0])
    return lrm.eval().requires_grad_(False)
