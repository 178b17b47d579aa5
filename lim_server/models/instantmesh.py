"""InstantMesh's first stage, InstantNeRF (Xu et al. 2024): posed views to a triplane, under its published names.

The views stand on white. Their cameras steer DINO's blocks; all views' tokens are attended to together. It was trained
with six views at random around the object and runs with fewer.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import softplus

from lim_server.models.dino import Dino, DinoSize
from lim_server.models.lrm import Planes
from lim_server.models.published import TURN, PublishedLrm, on_ground, upsampled
from lim_server.render.cameras import Cameras

GROUND = 1.0
MARGIN = 0.001
"""Colours may leave 0..1 by this much (as in Mip-NeRF)."""


@dataclass(frozen=True)
class InstantNerfSize:
    """The published sizes of instant_nerf_base.

    image           side of the views in pixels
    width, heads    of a triplane token; 3 x tokens x tokens of them through `blocks` blocks
    channels        of a cell; each token becomes 2 x 2 cells
    hidden          width of the decoder's three hidden layers
    """

    image: int = 320
    dino: DinoSize = field(default_factory=DinoSize)
    width: int = 1024
    heads: int = 16
    blocks: int = 12
    tokens: int = 32
    channels: int = 40
    hidden: int = 64


class PosedDino(nn.Module):
    """DINO, steered by what 16 numbers say of the camera."""

    def __init__(self, size: DinoSize):
        super().__init__()
        self.model = Dino(size, steered=True)
        self.camera_embedder = nn.Sequential(nn.Linear(16, size.width), nn.SiLU(), nn.Linear(size.width, size.width))

    def forward(self, images: Float[Tensor, "bv 3 s s"], cameras: Float[Tensor, "bv 16"]) -> Float[Tensor, "bv n c"]:
        """Tokens of each view."""
        return self.model(images, self.camera_embedder(cameras))


class InstantNerfBlock(nn.Module):
    """Cross-attention to the views, self-attention, MLP."""

    def __init__(self, size: InstantNerfSize):
        super().__init__()
        width, of = size.width, size.dino.width
        self.norm1, self.norm2, self.norm3 = nn.LayerNorm(width), nn.LayerNorm(width), nn.LayerNorm(width)
        self.cross_attn = nn.MultiheadAttention(width, size.heads, bias=False, kdim=of, vdim=of, batch_first=True)
        self.self_attn = nn.MultiheadAttention(width, size.heads, bias=False, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Identity(), nn.Linear(4 * width, width))

    def forward(self, x: Float[Tensor, "b n d"], images: Float[Tensor, "b m c"]) -> Float[Tensor, "b n d"]:
        """One step of refinement."""
        x = x + self.cross_attn(self.norm1(x), images, images, need_weights=False)[0]
        seen = self.norm2(x)
        x = x + self.self_attn(seen, seen, seen, need_weights=False)[0]
        return x + self.mlp(self.norm3(x))


class TriplaneTransformer(nn.Module):
    """Learned tokens, refined, to the triplane."""

    def __init__(self, size: InstantNerfSize):
        super().__init__()
        self.pos_embed = nn.Parameter(torch.zeros(1, 3 * size.tokens**2, size.width))
        self.layers = nn.ModuleList(InstantNerfBlock(size) for _ in range(size.blocks))
        self.norm = nn.LayerNorm(size.width, 1e-6)
        self.deconv = nn.ConvTranspose2d(size.width, size.channels, 2, 2)

    def forward(self, images: Float[Tensor, "b m c"]) -> Planes:
        """Tokens of all views to triplane."""
        x = self.pos_embed.expand(len(images), -1, -1)
        for block in self.layers:
            x = block(x, images)
        return upsampled(self.deconv, self.norm(x))


class InstantNerfDecoder(nn.Module):
    """A triplane's values to density and three colours, before their activations."""

    def __init__(self, size: InstantNerfSize):
        super().__init__()
        layers: list[nn.Module] = [nn.Linear(3 * size.channels, size.hidden), nn.ReLU()]
        for _ in range(2):
            layers += [nn.Linear(size.hidden, size.hidden), nn.ReLU()]
        self.net = nn.Sequential(*layers, nn.Linear(size.hidden, 4))


class Synthesizer(nn.Module):
    """The decoder."""

    def __init__(self, size: InstantNerfSize):
        super().__init__()
        self.decoder = InstantNerfDecoder(size)


class InstantNerf(PublishedLrm):
    """The whole network."""

    views = (1, 6)
    axes = ((2, 0), (2, 1), (1, 0))  # their xy, xz and zy
    surface = 10.0

    def __init__(self, size: InstantNerfSize | None = None):
        super().__init__()
        self.size = size = size or InstantNerfSize()
        self.encoder = PosedDino(size.dino)
        self.transformer = TriplaneTransformer(size)
        self.synthesizer = Synthesizer(size)

    def forward(self, colour: Float[Tensor, "b v 3 s s"], mask: Float[Tensor, "b v 1 s s"], cameras: Cameras) -> Planes:
        """Posed views to triplane. ValueError for more than six."""
        views = colour.shape[1]
        self.expect(views)
        images = on_ground(colour, mask, GROUND, self.size.image, "bicubic")
        tokens = self.encoder(images, camera_numbers(cameras).expand(len(colour), views, -1).flatten(0, 1))
        return self.transformer(tokens.unflatten(0, (-1, views)).flatten(1, 2))

    def density_and_colour(
        self, planes: Planes, points: Float[Tensor, "b n 3"]
    ) -> tuple[Float[Tensor, "b n"], Float[Tensor, "b n 3"]]:
        """Opacity per unit length, and colour."""
        out = self.synthesizer.decoder.net(self.sample(planes, points))
        colour = out[..., 1:].sigmoid() * (1 + 2 * MARGIN) - MARGIN
        return softplus(out[..., 0] - 1), colour.clamp(0, 1)


def camera_numbers(cameras: Cameras) -> Float[Tensor, "*b 16"]:
    """Camera to world, row by row, z up; focal lengths and centre in widths and heights of the image, from the top."""
    world = cameras.world[..., list(TURN), :].flatten(-2)
    right, up = cameras.centre.unbind(-1)
    centre = torch.stack(((1 + right) / 2, (1 - up) / 2), -1)
    return torch.cat((world, cameras.focal / 2, centre), -1)
