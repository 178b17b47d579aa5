"""LRM: posed views of one key to its triplane (section 3.1 of the paper, figure 2 left).

Tokens that are learned, one for each patch of the three planes, are refined by N blocks: cross-attention to the image
tokens, self-attention, MLP, a LayerNorm before each. The outputs of the last blocks are the features that LIM reads.
The XYZ twin is the same network on pictures of canonical coordinates.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lim_server.models.attention import Attention, Mlp, Tokens, start_small
from lim_server.models.carve import Carved
from lim_server.models.encoding import encode_planes
from lim_server.models.field import Decoder
from lim_server.models.images import ImageEncoder
from lim_server.models.presets import Preset
from lim_server.render.cameras import Cameras

Planes = Float[Tensor, "b 3 channels cells cells"]


class LrmBlock(nn.Module):
    """Cross-attention to the images, self-attention, MLP."""

    def __init__(self, preset: Preset):
        super().__init__()
        width, heads = preset.width, preset.heads
        self.norm1, self.norm2, self.norm3 = nn.LayerNorm(width), nn.LayerNorm(width), nn.LayerNorm(width)
        self.cross = Attention(width, heads, preset.image_width, lines=preset.lines)
        self.self = Attention(width, heads, lines=preset.lines)
        self.mlp = Mlp(width)

    def forward(self, x: Tokens, images: Tokens) -> Tokens:
        """One step of refinement."""
        places = x.places
        values = x.values + self.cross(Tokens(self.norm1(x.values), places), self.cross.hold(images))
        seen = Tokens(self.norm2(values), places)
        values = values + self.self(seen, self.self.hold(seen))
        return Tokens(values + self.mlp(self.norm3(values)), places)


class ToPlanes(nn.Module):
    """Tokens to the triplane: norm, and each token's patch of cells."""

    def __init__(self, preset: Preset):
        super().__init__()
        self.preset = preset
        self.norm = nn.LayerNorm(preset.width)
        self.up = nn.Linear(preset.width, preset.channels * preset.upsample**2)

    def forward(self, tokens: Float[Tensor, "b n d"]) -> Planes:
        """Planes xy, xz and yz."""
        side, up, channels = self.preset.tokens, self.preset.upsample, self.preset.channels
        cells = self.up(self.norm(tokens)).unflatten(2, (channels, up, up)).unflatten(1, (3, side, side))
        return cells.permute(0, 1, 4, 2, 5, 3, 6).flatten(5, 6).flatten(3, 4)


@dataclass(frozen=True, eq=False)
class Key:
    """What the LRM makes of one key.

    features  the tokens before the first of its last L blocks and after each of them: F_k, L + 1 sets [b, n, width]
    images    image tokens
    planes    the triplane T_k
    carved    what was carved from its views, where that is asked
    """

    features: list[Float[Tensor, "b n d"]]
    images: Tokens
    planes: Planes
    carved: Carved | None = None


class Lrm(nn.Module):
    """The reconstruction model; frozen while LIM trains."""

    places: Tensor

    def __init__(self, preset: Preset):
        super().__init__()
        self.preset = preset
        self.encoder = ImageEncoder(preset)
        self.tokens = nn.Parameter(0.02 * torch.randn(3 * preset.tokens**2, preset.width))
        self.blocks = nn.ModuleList(LrmBlock(preset) for _ in range(preset.blocks))
        self.carved = nn.Linear(preset.image_width, preset.width) if preset.carve or preset.columns else None
        self.head = ToPlanes(preset)
        self.decoder = Decoder(preset)
        start_small(self.blocks, preset.blocks)
        places = encode_planes(preset.tokens, preset.width // preset.heads)
        self.register_buffer("places", places[None], persistent=False)

    def forward(self, colour: Float[Tensor, "b v 3 s s"], mask: Float[Tensor, "b v 1 s s"], cameras: Cameras) -> Key:
        """Views to triplane."""
        images, carved = self.encoder.see(colour, mask, cameras)
        return self.from_images(images, carved)

    def from_images(self, images: Tokens, carved: Carved | None = None) -> Key:
        """Image tokens to triplane."""
        values = self.tokens.expand(len(images.values), -1, -1)
        if self.carved is not None:
            values = values + self.carved(images.values[:, -values.shape[1] :])
        tokens = Tokens(values, self.places if self.preset.lines else None)
        sets = [values]
        for block in self.blocks:
            tokens = block(tokens, images)
            sets.append(tokens.values)
        return Key(sets[-self.preset.lim_blocks - 1 :], images, self.head(tokens.values), carved)
