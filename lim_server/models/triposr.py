"""TripoSR (Tochilkin et al. 2024): one picture to a triplane, its front towards +z; under its published names.

The picture stands on grey, the object filling about 85 % of it. What it shows is reconstructed as seen: the camera
is not asked.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import gelu, scaled_dot_product_attention

from lim_server.models.dino import Dino, DinoSize
from lim_server.models.lrm import Planes
from lim_server.models.published import PublishedLrm, on_ground, upsampled
from lim_server.render.cameras import Cameras

GROUND = 0.5
BIAS = -1.0
THRESHOLD = 25.0
"""Density of the published surface."""
CHORD = 2.0
"""Published density counts per chord, however long; ours per unit length: equal along the axes of the box."""


@dataclass(frozen=True)
class TriposrSize:
    """The published sizes.

    image           side of the picture in pixels
    width, heads    of a triplane token; 3 x tokens x tokens of them through `blocks` blocks
    channels        of a cell; each token becomes 2 x 2 cells
    hidden, layers  width and number of the decoder's hidden layers
    """

    image: int = 512
    dino: DinoSize = field(default_factory=DinoSize)
    width: int = 1024
    heads: int = 16
    blocks: int = 16
    tokens: int = 32
    channels: int = 40
    hidden: int = 64
    layers: int = 9


class TriposrAttention(nn.Module):
    """Multi-head attention whose queries, keys and values have no bias."""

    def __init__(self, width: int, heads: int, of: int):
        super().__init__()
        self.heads = heads
        self.to_q = nn.Linear(width, width, bias=False)
        self.to_k, self.to_v = nn.Linear(of, width, bias=False), nn.Linear(of, width, bias=False)
        self.to_out = nn.ModuleList([nn.Linear(width, width)])

    def forward(self, x: Float[Tensor, "b n d"], of: Float[Tensor, "b m c"]) -> Float[Tensor, "b n d"]:
        """What each token gathers."""
        pairs = ((self.to_q, x), (self.to_k, of), (self.to_v, of))
        q, k, v = (part(tokens).unflatten(2, (self.heads, -1)).transpose(1, 2) for part, tokens in pairs)
        return self.to_out[0](scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class Gated(nn.Module):
    """One half of the channels, times GELU of the other (GEGLU, Shazeer 2020)."""

    def __init__(self, width: int):
        super().__init__()
        self.proj = nn.Linear(width, 8 * width)

    def forward(self, x: Float[Tensor, "b n d"]) -> Float[Tensor, "b n 4*d"]:
        """Four times as wide."""
        value, gate = self.proj(x).chunk(2, -1)
        return value * gelu(gate)


class FeedForward(nn.Module):
    """The MLP of a block."""

    def __init__(self, width: int):
        super().__init__()
        self.net = nn.Sequential(Gated(width), nn.Identity(), nn.Linear(4 * width, width))


class TriposrBlock(nn.Module):
    """Self-attention, cross-attention to the picture, MLP."""

    def __init__(self, size: TriposrSize):
        super().__init__()
        width = size.width
        self.norm1, self.norm2, self.norm3 = nn.LayerNorm(width), nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn1 = TriposrAttention(width, size.heads, width)
        self.attn2 = TriposrAttention(width, size.heads, size.dino.width)
        self.ff = FeedForward(width)

    def forward(self, x: Float[Tensor, "b n d"], image: Float[Tensor, "b m c"]) -> Float[Tensor, "b n d"]:
        """One step of refinement."""
        seen = self.norm1(x)
        x = x + self.attn1(seen, seen)
        x = x + self.attn2(self.norm2(x), image)
        return x + self.ff.net(self.norm3(x))


class Backbone(nn.Module):
    """Learned tokens, refined; a residual around all of it."""

    def __init__(self, size: TriposrSize):
        super().__init__()
        self.norm = nn.GroupNorm(32, size.width, 1e-6)
        self.proj_in, self.proj_out = nn.Linear(size.width, size.width), nn.Linear(size.width, size.width)
        self.transformer_blocks = nn.ModuleList(TriposrBlock(size) for _ in range(size.blocks))

    def forward(self, tokens: Float[Tensor, "b n d"], image: Float[Tensor, "b m c"]) -> Float[Tensor, "b n d"]:
        """Tokens of the triplane."""
        x = self.proj_in(self.norm(tokens.mT).mT)
        for block in self.transformer_blocks:
            x = block(x, image)
        return self.proj_out(x) + tokens


class ImageTokenizer(nn.Module):
    """DINO."""

    def __init__(self, size: DinoSize):
        super().__init__()
        self.model = Dino(size, pooler=True)


class Tokenizer(nn.Module):
    """The learned tokens of the three planes."""

    def __init__(self, size: TriposrSize):
        super().__init__()
        self.embeddings = nn.Parameter(torch.zeros(3, size.width, size.tokens, size.tokens))


class Upsample(nn.Module):
    """Tokens to cells."""

    def __init__(self, size: TriposrSize):
        super().__init__()
        self.upsample = nn.ConvTranspose2d(size.width, size.channels, 2, 2)


class TriposrDecoder(nn.Module):
    """A triplane's values to density and three colours, before their activations."""

    def __init__(self, size: TriposrSize):
        super().__init__()
        layers: list[nn.Module] = [nn.Linear(3 * size.channels, size.hidden), nn.SiLU()]
        for _ in range(size.layers - 1):
            layers += [nn.Linear(size.hidden, size.hidden), nn.SiLU()]
        self.layers = nn.Sequential(*layers, nn.Linear(size.hidden, 4))


class Triposr(PublishedLrm):
    """The whole network."""

    views = (1, 1)
    axes = ((2, 0), (2, 1), (0, 1))  # their xy, xz and yz
    surface = THRESHOLD / CHORD

    def __init__(self, size: TriposrSize | None = None):
        super().__init__()
        self.size = size = size or TriposrSize()
        self.image_tokenizer = ImageTokenizer(size.dino)
        self.tokenizer = Tokenizer(size)
        self.backbone = Backbone(size)
        self.post_processor = Upsample(size)
        self.decoder = TriposrDecoder(size)

    def forward(
        self,
        colour: Float[Tensor, "b v 3 s s"],
        mask: Float[Tensor, "b v 1 s s"],
        cameras: Cameras | None = None,  # noqa: ARG002 - the models' common call
    ) -> Planes:
        """One picture to triplane; the camera is not asked. ValueError for more than one."""
        self.expect(colour.shape[1])
        image = self.image_tokenizer.model(on_ground(colour, mask, GROUND, self.size.image, "bilinear"))
        tokens = self.tokenizer.embeddings.transpose(0, 1).flatten(1).mT.expand(len(image), -1, -1)
        return upsampled(self.post_processor.upsample, self.backbone(tokens, image))

    def density_and_colour(
        self, planes: Planes, points: Float[Tensor, "b n 3"]
    ) -> tuple[Float[Tensor, "b n"], Float[Tensor, "b n 3"]]:
        """Opacity per unit length, and colour; the box [-1, 1] is their box of radius 0.87."""
        out = self.decoder.layers(self.sample(planes, points))
        return (out[..., 0] + BIAS).exp() / CHORD, out[..., 1:].sigmoid()
