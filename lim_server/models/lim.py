"""LIM: the triplane at any time between two keys (section 3.2 of the paper, figure 2 right).

T(k + alpha) = LIM(F_k, I_(k+1), alpha). The features F_k are the LRM's L + 1 token sets of key k: the first, joined
with the encoding of alpha, is the stream that L blocks refine; the others, one for each block, are attended to. Image
cross-attention sees the far key. Norm, upsampler and decoder are the LRM's own, frozen.

In the small presets but nano (ours) the stream begins with what the LRM's own first blocks make of cells that a flow
carries to alpha from both keys (sway.py). These stand among the image tokens too, where those of the far key's cells
were, and attention to features begins at nothing: LIM begins as the LRM, had it seen what the flow makes of alpha. The
twin then looks at canonical pictures of key k instead of the keys' RGB: what these tell is in the flow.

The twin reads the features of pictures of canonical coordinates of key k, and the RGB image tokens of both keys, one
after the other, told apart by a learned tag (how they are joined is not told in the paper: our decision).
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lim_server.models.ahead import Ahead
from lim_server.models.attention import Attention, Held, Mlp, Tokens
from lim_server.models.carve import Carved
from lim_server.models.encoding import encode_alpha
from lim_server.models.lrm import Lrm, LrmBlock, Planes
from lim_server.models.presets import Preset
from lim_server.models.sway import Pair, Sway


class LimBlock(nn.Module):
    """Cross-attention to images, to features, self-attention, MLP (the order is our decision, the modules the paper's).

    Initialised from an LRM block (supplement): features' attention from its self-attention, all others from their like.
    """

    def __init__(self, block: LrmBlock):
        super().__init__()
        self.norm1, self.norm2, self.norm3, self.norm4 = (
            copy.deepcopy(norm) for norm in (block.norm1, block.norm2, block.norm2, block.norm3)
        )
        self.cross: Attention = copy.deepcopy(block.cross)
        self.past: Attention = copy.deepcopy(block.self)
        self.self: Attention = copy.deepcopy(block.self)
        self.mlp: Mlp = copy.deepcopy(block.mlp)

    def hold(self, images: Tokens, features: Tokens) -> tuple[Held, Held]:
        """What stays the same for every alpha."""
        past = Tokens(self.norm2(features.values), features.places)
        return self.cross.hold(images), self.past.hold(past)

    def forward(self, x: Tokens, images: Held, features: Held, carved: Tokens | None = None) -> Tokens:
        """One step of refinement; `carved` are image tokens that differ from alpha to alpha."""
        places = x.places
        if carved is not None:
            more = self.cross.hold(carved)
            images = tuple(torch.cat((a.expand(len(b), -1, -1, -1), b), 2) for a, b in zip(images, more, strict=True))  # type: ignore[assignment]
        values = x.values + self.cross(Tokens(self.norm1(x.values), places), images)
        values = values + self.past(Tokens(self.norm2(values), places), features)
        seen = Tokens(self.norm3(values), places)
        values = values + self.self(seen, self.self.hold(seen))
        return Tokens(values + self.mlp(self.norm4(values)), places)


@dataclass(frozen=True, eq=False)
class Interval:
    """One interval, ready to be asked at any alpha: keys and values are computed once.

    stream  [b, n, width]  the features' first set
    images  image tokens, but for those of cells where there is a pair of keys that these are carried between
    held    per block, of the images and of the features
    """

    stream: Float[Tensor, "b n d"]
    images: Tokens
    pair: Pair | None
    held: list[tuple[Held, Held]]


@dataclass(frozen=True, eq=False)
class Between:
    """What LIM makes of an alpha; its own features serve a second pass (L_causal)."""

    features: list[Float[Tensor, "b n d"]]
    planes: Planes


class Lim(nn.Module):
    """The interpolator; `blocks` may be fewer than the preset's for the paper's ablation of depth (table 6)."""

    places: Tensor

    def __init__(self, lrm: Lrm, *, blocks: int | None = None, twin: bool = False):
        super().__init__()
        self.preset: Preset = lrm.preset
        width, count = self.preset.width, blocks or self.preset.lim_blocks
        self.blocks = nn.ModuleList(LimBlock(block) for block in list(lrm.blocks)[-count:])  # type: ignore[arg-type]
        self.ahead = Ahead(lrm, count).requires_grad_(False) if self.preset.flow else None
        self.sway = Sway(lrm) if self.preset.flow else None
        for last in [block.past.out for block in self._steps] if self.preset.flow else []:
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)
        self.alpha = nn.Linear(width, width)
        nn.init.zeros_(self.alpha.weight)
        nn.init.zeros_(self.alpha.bias)
        self.twin = twin
        tagged = twin and not self.preset.flow
        self.tag = nn.Parameter(torch.zeros(2, self.preset.image_width)) if tagged else None
        self.head = copy.deepcopy(lrm.head).requires_grad_(False)
        self.register_buffer("places", lrm.places.clone(), persistent=False)

    def learn(self, *, flow: bool = False) -> None:
        """All of it may change but what is the LRM's own, and the flow; or the flow alone."""
        self.requires_grad_(not flow).head.requires_grad_(False)
        if self.ahead is not None and self.sway is not None:
            self.ahead.requires_grad_(False)
            self.sway.learn(flow=flow)

    def interval(
        self,
        features: list[Float[Tensor, "b n d"]],
        far: Tokens,
        near: Tokens | None = None,
        carved: Sequence[Carved] = (),
    ) -> Interval:
        """Features of key k (L + 1 sets), image tokens of key k + 1; for the twin, those of key k too.

        With a flow these of key k are of its canonical pictures; and wanted is what was carved from both keys' colours,
        for the twin also from key k's canonical coordinates.
        """
        images, pair = far, None
        if self.twin:
            assert near is not None
            images = near
        if self.sway is not None and self.ahead is not None:
            pair, images = self.sway.pair(*carved), self.ahead.patches(images)
        if self.tag is not None:
            tagged = (Tokens(seen.values + tag, seen.places) for seen, tag in zip((images, far), self.tag, strict=True))
            images = next(tagged).joined(next(tagged))
        count = len(self.blocks)
        held = [
            block.hold(images, Tokens(past, self._places))
            for block, past in zip(self._steps, features[-count:], strict=True)
        ]
        return Interval(features[-count - 1], images, pair, held)

    def forward(
        self, interval: Interval, alpha: Float[Tensor, " a"], carried: Float[Tensor, " a"] | None = None
    ) -> Between:
        """At as many alphas as the interval has rows, or at any number of them where it has one.

        `carried` is alpha as the pair of keys has it, where the features are not of a key (L_causal).
        """
        code = self.alpha(encode_alpha(alpha, self.preset.width))[:, None]
        stream, carved = interval.stream.expand(len(alpha), -1, -1), None
        if interval.pair is not None and self.sway is not None and self.ahead is not None:
            carved = self.sway.at(interval.pair, alpha if carried is None else carried).tokens
            images = interval.images.values.expand(len(alpha), -1, -1)
            stream = self.ahead(Tokens(images, interval.images.places).joined(carved))
            code = code * stream.square().mean((1, 2), keepdim=True).sqrt()  # heard, however large features are
        n = stream.shape[1]
        tokens = self._join(stream, code)
        sets = [stream]
        for block, (seen, past) in zip(self._steps, interval.held, strict=True):
            tokens = block(tokens, seen, past, carved)
            sets.append(tokens.values[:, :n])
        return Between(sets, self.head(sets[-1]))

    @property
    def _steps(self) -> list[LimBlock]:
        return list(self.blocks)  # type: ignore[arg-type]

    @property
    def _places(self) -> Tensor | None:
        return self.places if self.preset.lines else None

    def _join(self, stream: Float[Tensor, "a n d"], code: Float[Tensor, "a 1 d"]) -> Tokens:
        if self.preset.alpha == "add":
            return Tokens(stream + code, self._places)
        places = None if self._places is None else nn.functional.pad(self._places, (0, 0, 0, 1))
        return Tokens(torch.cat((stream, code), 1), places)
