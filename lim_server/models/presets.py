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
    depth          that many layers along a plane's third axis share the channels out: 1 is a triplane, more a tri-grid
                   (ours, see field.py)
    size, patch    an image's side and a patch's, in pixels
    image_width    channels of an image token; image_heads, image_blocks of the image encoder
    decoder        widths of the decoder's hidden layers
    lines          tokens know where in space they lie, by the lines that they stand for (ours, see encoding.py)
    columns        the triplane's tokens begin with what the views tell of the cells over them, by one linear map (ours,
                   see columns.py)
    carve          the triplane's tokens begin with what the views tell of the cells over them: widths of the networks
                   that look at cells, ever larger ones (ours, see carve.py); none: no such tokens
    flow           widths of the networks that find where carved cells go from key to key, with which LIM's stream
                   begins (ours, see flow.py and sway.py); none: it begins at key k, as in the paper
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
    depth: int
    size: int
    patch: int
    image_width: int
    image_heads: int
    image_blocks: int
    decoder: tuple[int, ...]
    lines: bool
    columns: bool
    carve: tuple[int, ...]
    flow: tuple[int, ...]
    alpha: str = "add"

    @property
    def cells(self) -> int:
        """Side of a plane."""
        return self.tokens * self.upsample


def nano() -> Preset:
    """Trained and run on two CPU cores; LIM and its twin are shipped in this size."""
    two = 64, 64
    return Preset(
        "nano", 128, 4, 4, 3, 10, 4, 16, 1, 96, 16, 128, 4, 1, two, lines=True, columns=True, carve=(), flow=()
    )


def micro() -> Preset:
    """As quick, and sharper: cells looked at in space, planes with layers. Only its LRM is shipped, for reconstruct."""
    deep = replace(nano(), name="micro", width=160, heads=5, channels=60, depth=10)
    return replace(deep, columns=False, carve=(32, 64, 128), flow=(64, 128))


def tiny() -> Preset:
    """Trained on one GPU in half an hour."""
    deep, two = (32, 64, 128), (64, 64)
    return Preset(
        "tiny",
        384,
        6,
        8,
        4,
        16,
        4,
        96,
        16,
        128,
        8,
        384,
        6,
        6,
        two,
        lines=True,
        columns=False,
        carve=deep,
        flow=deep[1:],
    )


def base() -> Preset:
    """The paper's size: 12 + 6 blocks of width 1024 over 3 x 32 x 32 tokens, images by a ViT-B/14 as DINOv2 has it."""
    four = 64, 64, 64, 64
    return Preset(
        "base", 1024, 16, 12, 6, 32, 2, 40, 1, 224, 14, 768, 12, 12, four, lines=False, columns=False, carve=(), flow=()
    )


def smoke() -> Preset:
    """Micro with little of everything: what tests train in a second."""
    small = replace(micro(), name="smoke", width=48, heads=2, blocks=3, lim_blocks=2, tokens=4, upsample=2, channels=8)
    small = replace(small, depth=4, size=24, patch=6, image_width=48, image_heads=2, image_blocks=1, decoder=(16,))
    return replace(small, carve=(8, 16), flow=(8, 16))


PRESETS = {"nano": nano, "micro": micro, "tiny": tiny, "base": base, "smoke": smoke}
