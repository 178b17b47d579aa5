"""Names and shapes of the published checkpoints' tensors, written out from what their files hold."""

from __future__ import annotations

import torch
from torch import Tensor

from lim_server.models.dino import DinoSize
from lim_server.models.instantmesh import InstantNerfSize
from lim_server.models.triposr import TriposrSize

Shapes = dict[str, tuple[int, ...]]

DINO = DinoSize(width=48, heads=4, blocks=2, patch=16, grid=3)
SMALL_TRIPOSR = TriposrSize(image=64, dino=DINO, width=64, heads=4, blocks=2, tokens=4, channels=5, hidden=16)
SMALL_INSTANT = InstantNerfSize(image=64, dino=DINO, width=64, heads=4, blocks=2, tokens=4, channels=5, hidden=16)


def linear(name: str, to: int, of: int) -> Shapes:
    return {f"{name}.weight": (to, of), f"{name}.bias": (to,)}


def norm(name: str, width: int) -> Shapes:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def dino(at: str, size: DinoSize, steered: bool) -> Shapes:
    w, p = size.width, size.patch
    found: Shapes = {
        f"{at}.embeddings.cls_token": (1, 1, w),
        f"{at}.embeddings.position_embeddings": (1, 1 + size.grid**2, w),
        f"{at}.embeddings.patch_embeddings.projection.weight": (w, 3, p, p),
        f"{at}.embeddings.patch_embeddings.projection.bias": (w,),
    }
    for n in range(size.blocks):
        layer = f"{at}.encoder.layer.{n}"
        for part in ("query", "key", "value"):
            found |= linear(f"{layer}.attention.attention.{part}", w, w)
        found |= linear(f"{layer}.attention.output.dense", w, w)
        found |= linear(f"{layer}.intermediate.dense", 4 * w, w) | linear(f"{layer}.output.dense", w, 4 * w)
        found |= norm(f"{layer}.layernorm_before", w) | norm(f"{layer}.layernorm_after", w)
        if steered:
            found |= linear(f"{layer}.adaLN_modulation.1", 4 * w, w)
    return found | norm(f"{at}.layernorm", w)


def triposr(size: TriposrSize) -> Shapes:
    w, image = size.width, size.dino.width
    found = dino("image_tokenizer.model", size.dino, steered=False)
    found |= linear("image_tokenizer.model.pooler.dense", image, image)
    found |= {"tokenizer.embeddings": (3, w, size.tokens, size.tokens)}
    found |= norm("backbone.norm", w) | linear("backbone.proj_in", w, w) | linear("backbone.proj_out", w, w)
    for n in range(size.blocks):
        block = f"backbone.transformer_blocks.{n}"
        for k, of in ((1, w), (2, image)):
            found |= {f"{block}.attn{k}.to_q.weight": (w, w)}
            found |= {f"{block}.attn{k}.to_{part}.weight": (w, of) for part in "kv"}
            found |= linear(f"{block}.attn{k}.to_out.0", w, w)
        found |= norm(f"{block}.norm1", w) | norm(f"{block}.norm2", w) | norm(f"{block}.norm3", w)
        found |= linear(f"{block}.ff.net.0.proj", 8 * w, w) | linear(f"{block}.ff.net.2", w, 4 * w)
    found |= {"post_processor.upsample.weight": (w, size.channels, 2, 2)}
    found |= {"post_processor.upsample.bias": (size.channels,)}
    found |= linear("decoder.layers.0", size.hidden, 3 * size.channels)
    for n in range(1, 9):
        found |= linear(f"decoder.layers.{2 * n}", size.hidden, size.hidden)
    return found | linear("decoder.layers.18", 4, size.hidden)


def instant_nerf(size: InstantNerfSize) -> Shapes:
    w, image = size.width, size.dino.width
    found = dino("encoder.model", size.dino, steered=True)
    found |= linear("encoder.camera_embedder.0", image, 16) | linear("encoder.camera_embedder.2", image, image)
    found |= {"transformer.pos_embed": (1, 3 * size.tokens**2, w)}
    for n in range(size.blocks):
        layer = f"transformer.layers.{n}"
        found |= norm(f"{layer}.norm1", w) | norm(f"{layer}.norm2", w) | norm(f"{layer}.norm3", w)
        found |= {f"{layer}.cross_attn.q_proj_weight": (w, w), f"{layer}.cross_attn.out_proj.weight": (w, w)}
        found |= {f"{layer}.cross_attn.{part}_proj_weight": (w, image) for part in "kv"}
        found |= {f"{layer}.self_attn.in_proj_weight": (3 * w, w), f"{layer}.self_attn.out_proj.weight": (w, w)}
        found |= linear(f"{layer}.mlp.0", 4 * w, w) | linear(f"{layer}.mlp.3", w, 4 * w)
    found |= norm("transformer.norm", w)
    found |= {"transformer.deconv.weight": (w, size.channels, 2, 2), "transformer.deconv.bias": (size.channels,)}
    at = "synthesizer.decoder.net"
    found |= linear(f"{at}.0", size.hidden, 3 * size.channels) | linear(f"{at}.6", 4, size.hidden)
    return found | linear(f"{at}.2", size.hidden, size.hidden) | linear(f"{at}.4", size.hidden, size.hidden)


def random_tensors(shapes: Shapes, seed: int = 0) -> dict[str, Tensor]:
    """Of such a size that what comes out is neither flat nor saturated."""
    draw = torch.Generator().manual_seed(seed)
    found = {}
    for name, shape in shapes.items():
        middle = float("norm" in name and name.endswith("weight"))
        found[name] = middle + torch.randn(shape, generator=draw) * (0.15 if len(shape) > 1 else 0.3)
    return found
