"""One step's loss of the flow with which the small presets' LIM begins, before LIM itself is trained over it."""

from __future__ import annotations

import torch
from jaxtyping import Int
from torch import Tensor

from lim_server.models.carve import Carved
from lim_server.training.flow_loss import flow_loss, ways, words_loss
from lim_server.training.losses import carved_loss, weighed
from lim_server.training.objective import LAST, MIDDLE, LimObjective, Parts, Prepared, truth


class FlowObjective(LimObjective):
    """Points of the surface where the clip has them, and what is carried against what the LRM carves of that frame."""

    def forward(self, ready: Prepared, samples: Int[Tensor, " b"], step: int, random: torch.Generator) -> Parts:  # noqa: ARG002
        """Loss by parts; "total" is what is trained on."""
        assert self.lim.sway is not None
        sway = self.lim.sway
        clip, _, back, time = self._drawn(ready, samples, random)
        near, far = self._carved(ready, clip, back)
        pair = sway.pair(near, far)
        middle = torch.full_like(clip, MIDDLE)
        frames = [LAST * back, middle, LAST * (1 - back)]
        parts = flow_loss(pair.keys.cells, pair.flow, ways(ready.block.scene, clip, frames, time))
        carved = sway.at(pair, time)
        parts |= carved_loss(carved, truth(ready.block.scene, clip, middle, torch.zeros_like(clip, dtype=torch.bool)))
        seen: Tensor = words_loss(sway.carve, carved, Carved.joined([ready.aside[k] for k in clip.tolist()]))
        parts["cells' words"] = seen
        parts["total"] = weighed(parts)
        return parts
