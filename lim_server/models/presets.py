"""Sizes of the models."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Preset:
    """A size. Where the paper gives a number, `base` has it; what it does not tell is our decision (docs/models.md).

    width          channels of a triplane token; `heads` of width / heads channels each
    blocks         LRM blocks (N in the paper)
    lim_blocks     LIM blocks (L)
    tokens         triplane tokens are 3 x tokens x tokens
    upsample       each becomes upsample x upsample cells of the triplane
    channels       of a cell
    size, patch    an image's side and a patch's, in pixels
    image_width    channels of an image token; image_heads, image_blocks of the image encoder
    decoder        widths of the decoder's hidden layers
    lines          tokens know where in space they lie, by the lines that they stand for (ours, see encoding.py)
    carve          the triplane's tokens begin with what the views tell of the cells over them (ours, see carve.py)
    alpha          how alpha joins the features: "add" or "token" (facts: the poster adds, a reading appends)
    """

    name: str
    width: int
    heads: int
    blocks: int
    lim_blocks: int
    tokens: int
    upsample: int
    channels: int
    size: int
    patch: int
    image_width: int
    image_heads: int
    image_blocks: int
    decoder: tuple[int, ...]
    lines: bool
    carve: bool
    alpha: str = "add"

    @property
    def cells(self) -> int:
        """Side of a plane."""
        return self.tokens * self.upsample


def nano() -> Preset:
    """Trained and run on two CPU cores."""
    return Preset("nano", 128, 4, 4, 3, 10, 4, 16, 96, 16, 128, 4, 1, (64, 64), lines=True, carve=True)


def tiny() -> Preset:
    """Trained on one GPU in half an hour."""
    return Preset("tiny", 384, 6, 8, 4, 16, 4, 32, 128, 8, 384, 6, 6, (64, 64), lines=True, carve=True)


def base() -> Preset:
    """The paper's size: 12 + 6 blocks of width 1024 over 3 x 32 x 32 tokens, images by a ViT-B/14 as DINOv2 has it."""
    return Preset("base", 1024, 16, 12, 6, 32, 2, 40, 224, 14, 768, 12, 12, (64, 64, 64, 64), lines=False, carve=False)


def smoke() -> Preset:
    """Nano with little of everything: what tests train in a second."""
    small = replace(nano(), name="smoke", width=48, heads=2, blocks=3, lim_blocks=2, tokens=4, upsample=2, channels=8)
    return replace(small, size=24, patch=6, image_width=48, image_heads=2, image_blocks=1, decoder=(16,))


PRESETS = {"nano": nano, "tiny": tiny, "base": base, "smoke": smoke}
