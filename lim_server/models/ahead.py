"""What LIM's stream begins with where it has a flow: the LRM's first blocks on image tokens and cells (lim.py)."""

from __future__ import annotations

import copy

from jaxtyping import Float
from torch import Tensor, nn

from lim_server.models.attention import Tokens
from lim_server.models.lrm import Lrm


class Ahead(nn.Module):
    """Image tokens to the first of a key's features; frozen, and the LRM's own."""

    places: Tensor

    def __init__(self, lrm: Lrm, count: int):
        super().__init__()
        self.tokens = nn.Parameter(lrm.tokens.detach().clone())
        assert lrm.carved is not None
        self.carved: nn.Linear = copy.deepcopy(lrm.carved)
        self.blocks: nn.ModuleList = copy.deepcopy(lrm.blocks[:-count])
        self.lines = lrm.preset.lines
        self.register_buffer("places", lrm.places.clone(), persistent=False)

    def forward(self, images: Tokens) -> Float[Tensor, "b n d"]:
        """Where the stream begins."""
        values = self.tokens + self.carved(images.values[:, -len(self.tokens) :])
        tokens = Tokens(values, self.places if self.lines else None)
        for block in self.blocks:
            tokens = block(tokens, images)
        return tokens.values

    def patches(self, images: Tokens) -> Tokens:
        """Image tokens but those of cells."""
        count = len(self.tokens)
        return Tokens(images.values[:, :-count], None if images.places is None else images.places[:, :-count])
