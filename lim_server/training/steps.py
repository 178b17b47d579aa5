"""What turns gradients into steps: Muon for the matrices of the tokens' layers, AdamW for all else.

Muon (Jordan 2024; with the step sizes of Liu et al. 2025, "Muon is scalable for LLM training") makes all singular
values of a matrix's step alike. What it brings is in docs/training.md.
"""

from __future__ import annotations

from torch import nn
from torch.optim import AdamW, Muon, Optimizer

from lim_server.training.recipes import Recipe

APART = ("decoder", "alpha")
"""Layers that are not between tokens: their matrices are AdamW's too."""


class Steps:
    """The optimizers of a model, each with its own full rate."""

    def __init__(self, model: nn.Module, recipe: Recipe):
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        layers = [m for name, m in model.named_modules() if isinstance(m, nn.Linear) and not name.startswith(APART)]
        matrices = [m.weight for m in layers if m.weight.requires_grad] if recipe.muon else []
        among = {id(p) for p in matrices}
        rest = [p for p in self.parameters if id(p) not in among]
        decay = recipe.weight_decay
        adam = AdamW(rest, recipe.rate, (0.9, 0.98), weight_decay=decay)
        self.all: list[tuple[Optimizer, float]] = [(adam, recipe.rate)]
        if matrices:
            muon = Muon(matrices, recipe.muon, weight_decay=decay, adjust_lr_fn="match_rms_adamw")
            self.all.append((muon, recipe.muon))

    def take(self, share: float) -> None:
        """One step at a share of the full rates, clipped; gradients are gone after it."""
        nn.utils.clip_grad_norm_(self.parameters, 1.0)
        for optimizer, rate in self.all:
            for group in optimizer.param_groups:
                group["lr"] = rate * share
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
