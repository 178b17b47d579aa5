"""The modules that all blocks are made of: LayerNorm before each, a residual around it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lim_server.models.attend import attend

SCALES = (1.6, 1.1, 0.6, 0.0)
"""How much the first heads heed where tokens are, to begin with; it is learned from there."""


@dataclass(frozen=True, eq=False)
class Tokens:
    """Tokens and, where they have one, their place in space (encoding.py), as wide as a head."""

    values: Float[Tensor, "b n d"]
    places: Float[Tensor, "#b n h"] | None = None

    def joined(self, other: Tokens) -> Tokens:
        """Both, one after the other."""
        values = torch.cat((self.values, other.values), 1)
        if self.places is None or other.places is None:
            return Tokens(values)
        mine, theirs = (t.places.expand(len(values), -1, -1) for t in (self, other) if t.places is not None)
        return Tokens(values, torch.cat((mine, theirs), 1))


Held = tuple[Float[Tensor, "c heads _ h"], Float[Tensor, "c heads _ h"]]
"""Keys and values that serve many queries."""


class Attention(nn.Module):
    """Multi-head attention from one set of tokens to another, or to itself."""

    def __init__(self, width: int, heads: int, of: int | None = None, *, lines: bool = False):
        super().__init__()
        self.heads = heads
        self.q = nn.Linear(width, width)
        self.kv = nn.Linear(of or width, 2 * width)
        self.out = nn.Linear(width, width)
        self.place = nn.Parameter(torch.tensor([SCALES[h % len(SCALES)] for h in range(heads)])) if lines else None

    def hold(self, tokens: Tokens) -> Held:
        """Keys and values of what is attended to."""
        k, v = self._heads(self.kv(tokens.values)).chunk(2, 1)
        return self._placed(k, tokens.places), v

    def forward(self, queries: Tokens, held: Held) -> Float[Tensor, "b n d"]:
        """What the queries gather."""
        q = self._placed(self._heads(self.q(queries.values)), queries.places)
        k, v = (t.expand(len(q), -1, -1, -1) for t in held)
        return self.out(attend(q, k, v).transpose(1, 2).flatten(2))

    def _heads(self, x: Float[Tensor, "b n c"]) -> Float[Tensor, "b m n h"]:
        return x.unflatten(2, (-1, self.q.out_features // self.heads)).transpose(1, 2)

    def _placed(self, x: Float[Tensor, "b m n h"], places: Float[Tensor, "#b n h"] | None) -> Tensor:
        if self.place is None or places is None:
            return x
        return x + (self.place[:, None, None] * places[:, None]).to(x.dtype)


class Mlp(nn.Sequential):
    """Four times as wide in between."""

    def __init__(self, width: int):
        super().__init__(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))


def start_small(module: nn.Module, depth: int) -> None:
    """Weights from N(0, .02), what a residual adds smaller the more of them there are."""
    for name, weight in module.named_parameters():
        if weight.ndim == 2:
            last = name.endswith(("out.weight", "mlp.2.weight"))
            nn.init.normal_(weight, std=0.02 / (2 * depth) ** 0.5 if last else 0.02)
        elif name.endswith("bias"):
            nn.init.zeros_(weight)
