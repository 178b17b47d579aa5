"""Posed views to image tokens: a ViT that sees colour, mask and rays (the paper feeds RGB and Plücker to DINOv2)."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lim_server.models.attention import Attention, Mlp, Tokens, start_small
from lim_server.models.carve import Carve, Carved
from lim_server.models.columns import Columns
from lim_server.models.encoding import encode_rays
from lim_server.models.presets import Preset
from lim_server.render.cameras import Cameras, plucker

CHANNELS = 10
"""Colour 3, mask 1, Plücker 6."""


class ImageBlock(nn.Module):
    """Self-attention over the tokens of all views together, and an MLP."""

    def __init__(self, preset: Preset):
        super().__init__()
        width = preset.image_width
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, preset.image_heads, lines=preset.lines)
        self.mlp = Mlp(width)

    def forward(self, x: Tokens) -> Tokens:
        """The same tokens, having looked at each other."""
        seen = Tokens(self.norm1(x.values), x.places)
        values = x.values + self.attention(seen, self.attention.hold(seen))
        return Tokens(values + self.mlp(self.norm2(values)), x.places)


class ImageEncoder(nn.Module):
    """All views of a key at once."""

    def __init__(self, preset: Preset):
        super().__init__()
        self.preset = preset
        self.side = preset.size // preset.patch
        self.patches = nn.Linear(CHANNELS * preset.patch**2, preset.image_width)
        # where in its image a patch is; which camera it is from is in the rays
        self.position = nn.Parameter(0.02 * torch.randn(self.side**2, preset.image_width))
        self.blocks = nn.ModuleList(ImageBlock(preset) for _ in range(preset.image_blocks))
        self.norm = nn.LayerNorm(preset.image_width)
        start_small(self, preset.image_blocks)
        self.carve = Carve(preset) if preset.carve else Columns(preset) if preset.columns else None

    def forward(self, colour: Float[Tensor, "b v 3 s s"], mask: Float[Tensor, "b v 1 s s"], cameras: Cameras) -> Tokens:
        """Image tokens [b, v * side^2, image_width], then carved ones if any; colour 0..1, 0 outside the mask."""
        return self.see(colour, mask, cameras)[0]

    def see(
        self, colour: Float[Tensor, "b v 3 s s"], mask: Float[Tensor, "b v 1 s s"], cameras: Cameras
    ) -> tuple[Tokens, Carved | None]:
        """The same, and what was carved."""
        size, patch = self.preset.size, self.preset.patch
        with torch.autocast(colour.device.type, enabled=False):  # places need all their digits
            rays = plucker(*cameras.rays(size)).unflatten(-2, (size, size)).movedim(-1, -3)
            places = encode_rays(cameras, self.side, self.preset.image_width // self.preset.image_heads)
        whole = torch.cat((colour * 2 - mask, mask, rays), -3)
        cut = whole.unfold(-2, patch, patch).unfold(-2, patch, patch)  # b v c side side patch patch
        flat = cut.movedim(2, -3).flatten(4).flatten(2, 3)
        values = (self.patches(flat) + self.position).flatten(1, 2)
        tokens = Tokens(values, places if self.preset.lines else None)
        for block in self.blocks:
            tokens = block(tokens)
        tokens = Tokens(self.norm(tokens.values), tokens.places)
        if self.carve is None:
            return tokens, None
        carved: Carved | Tokens = self.carve(colour, mask, cameras)
        if isinstance(carved, Tokens):
            return tokens.joined(carved), None
        return tokens.joined(carved.tokens), carved
