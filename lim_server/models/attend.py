"""Attention itself: what each query gathers from all keys.

On a CPU bfloat16 is taken a sample at a time: its weights, [heads, queries, keys], stay in the cache between the
products, which oneDNN makes four to five times as fast as torch's own kernel makes those in float32.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

Heads = Float[Tensor, "b heads _ h"]


def attend(q: Heads, k: Heads, v: Heads) -> Heads:
    """softmax(q k^T / sqrt(h)) v."""
    if q.device.type == "cpu" and q.dtype == torch.bfloat16:
        out: Tensor = BySample.apply(q * q.shape[-1] ** -0.5, k, v)
        return out
    return scaled_dot_product_attention(q, k, v)


class BySample(torch.autograd.Function):
    """The same for queries that are scaled already, one sample after the other; its plain twin is torch's."""

    @staticmethod
    def forward(ctx: Any, q: Heads, k: Heads, v: Heads) -> Heads:
        """Keeps the weights for the way back."""
        out = torch.empty_like(q)
        weights = []
        for one, (qs, ks, vs) in enumerate(zip(q, k, v, strict=True)):
            weights.append(torch.softmax(qs @ ks.mT, -1))
            torch.matmul(weights[-1], vs, out=out[one])
        ctx.save_for_backward(q, k, v, *weights)
        return out

    @staticmethod
    def backward(ctx: Any, *above: Heads) -> tuple[Heads, Heads, Heads]:
        """Of q, k and v."""
        q, k, v, *weights = ctx.saved_tensors
        found = [torch.empty_like(t) for t in (q, k, v)]
        for one, p in enumerate(weights):
            of_out = above[0][one]
            of_weights = of_out @ v[one].mT
            of_logits = torch._softmax_backward_data(of_weights, p, -1, p.dtype)
            torch.matmul(of_logits, k[one], out=found[0][one])
            torch.matmul(of_logits.mT, q[one], out=found[1][one])
            torch.matmul(p.mT, of_out, out=found[2][one])
        return found[0], found[1], found[2]
