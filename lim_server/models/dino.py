"""DINO's ViT under the names that its published weights have: the image encoder of TripoSR and of InstantMesh.

The module tree repeats those names (`encoder.layer.0.attention.attention.query` ...), so that keys load as they are.
InstantMesh's has a modulation in each block that the camera steers.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import gelu, interpolate, scaled_dot_product_attention

MEAN = (0.485, 0.456, 0.406)
DEVIATION = (0.229, 0.224, 0.225)
EPSILON = 1e-12


@dataclass(frozen=True)
class DinoSize:
    """Sizes of ViT-B/16; `grid` is the side, in patches, of the images that it was trained on."""

    width: int = 768
    heads: int = 12
    blocks: int = 12
    patch: int = 16
    grid: int = 14


class Dense(nn.Module):
    """A linear layer one name further down."""

    def __init__(self, of: int, to: int):
        super().__init__()
        self.dense = nn.Linear(of, to)


class Projections(nn.Module):
    """Queries, keys and values."""

    def __init__(self, width: int):
        super().__init__()
        self.query, self.key, self.value = nn.Linear(width, width), nn.Linear(width, width), nn.Linear(width, width)


class DinoAttention(nn.Module):
    """Multi-head self-attention."""

    def __init__(self, size: DinoSize):
        super().__init__()
        self.heads = size.heads
        self.attention = Projections(size.width)
        self.output = Dense(size.width, size.width)

    def forward(self, x: Float[Tensor, "b n d"]) -> Float[Tensor, "b n d"]:
        """What each token gathers."""
        at = self.attention
        q, k, v = (part(x).unflatten(2, (self.heads, -1)).transpose(1, 2) for part in (at.query, at.key, at.value))
        return self.output.dense(scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class DinoBlock(nn.Module):
    """Self-attention and MLP; where it is steered, both LayerNorms are shifted and scaled by a vector."""

    def __init__(self, size: DinoSize, steered: bool):
        super().__init__()
        width = size.width
        self.layernorm_before = nn.LayerNorm(width, EPSILON)
        self.attention = DinoAttention(size)
        self.layernorm_after = nn.LayerNorm(width, EPSILON)
        self.intermediate, self.output = Dense(width, 4 * width), Dense(4 * width, width)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 4 * width)) if steered else None

    def forward(self, x: Float[Tensor, "b n d"], steering: Float[Tensor, "b d"] | None) -> Float[Tensor, "b n d"]:
        """The same tokens, having looked at each other."""
        before, after = self.layernorm_before, self.layernorm_after
        if self.adaLN_modulation is None or steering is None:
            x = x + self.attention(before(x))
            return x + self._mlp(after(x))
        shift, scale, shift2, scale2 = self.adaLN_modulation(steering)[:, None].chunk(4, -1)
        x = x + self.attention(before(x) * (1 + scale) + shift)
        return x + self._mlp(after(x) * (1 + scale2) + shift2)

    def _mlp(self, x: Float[Tensor, "b n d"]) -> Float[Tensor, "b n d"]:
        return self.output.dense(gelu(self.intermediate.dense(x)))


class Patches(nn.Module):
    """Each patch of an image becomes a token."""

    def __init__(self, size: DinoSize):
        super().__init__()
        self.projection = nn.Conv2d(3, size.width, size.patch, size.patch)


class Embeddings(nn.Module):
    """Patches, a token for the whole image before them, and where each patch is."""

    def __init__(self, size: DinoSize):
        super().__init__()
        self.size = size
        self.cls_token = nn.Parameter(torch.zeros(1, 1, size.width))
        self.position_embeddings = nn.Parameter(torch.zeros(1, 1 + size.grid**2, size.width))
        self.patch_embeddings = Patches(size)

    def forward(self, images: Float[Tensor, "b 3 s s"]) -> Float[Tensor, "b n d"]:
        """Images 0..1 to tokens, the one for the whole image first."""
        mean, deviation = (images.new_tensor(c)[:, None, None] for c in (MEAN, DEVIATION))
        patches = self.patch_embeddings.projection((images - mean) / deviation)
        values = patches.flatten(2).mT + self.positions(patches.shape[-1])
        whole = (self.cls_token + self.position_embeddings[:, :1]).expand(len(images), -1, -1)
        return torch.cat((whole, values), 1)

    def positions(self, side: int) -> Float[Tensor, "1 n d"]:
        """The patches' positions, bicubic between those of the images that it was trained on."""
        grid, known = self.size.grid, self.position_embeddings[:, 1:]
        if side == grid:
            return known
        # A tenth of a patch too much, as when the published models were trained: it moves every sample a little.
        scale = (side + 0.1) / grid
        wide = interpolate(known.mT.unflatten(2, (grid, grid)), scale_factor=(scale, scale), mode="bicubic")
        return wide.flatten(2).mT


class Layers(nn.Module):
    """The blocks."""

    def __init__(self, size: DinoSize, steered: bool):
        super().__init__()
        self.layer = nn.ModuleList(DinoBlock(size, steered) for _ in range(size.blocks))


class Dino(nn.Module):
    """Images to tokens; `pooler` holds weights that some files have and nobody reads."""

    def __init__(self, size: DinoSize, *, steered: bool = False, pooler: bool = False):
        super().__init__()
        self.embeddings = Embeddings(size)
        self.encoder = Layers(size, steered)
        self.layernorm = nn.LayerNorm(size.width, EPSILON)
        if pooler:
            self.pooler = Dense(size.width, size.width)

    def forward(
        self, images: Float[Tensor, "b 3 s s"], steering: Float[Tensor, "b d"] | None = None
    ) -> Float[Tensor, "b n d"]:
        """Images 0..1, sides a multiple of the patch, to 1 + (side / patch)^2 tokens each."""
        x = self.embeddings(images)
        for block in self.encoder.layer:
            x = block(x, steering)
        return self.layernorm(x)
