"""Soft assignment between two sets of samples that gives every sample its share (unbalanced optimal transport)."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

YIELD = 0.95
"""How strictly shares are kept: 1 demands every sample to be matched in full, 0 asks nothing."""


def shares(
    kernel: Float[Tensor, "h n m"],
    left: Float[Tensor, " n"] | Float[Tensor, "h n"],
    right: Float[Tensor, " m"] | Float[Tensor, "h m"],
    start: Float[Tensor, "h m 1"] | None = None,
    rounds: int = 4,
) -> tuple[Float[Tensor, "h n 1"], Float[Tensor, "h m 1"]]:
    """Factors u, v that make u * kernel * v sum to about the shares on either side (Sinkhorn, Chizat et al. 2018)."""
    a, b = left[..., None].expand(len(kernel), -1, 1), right[..., None].expand(len(kernel), -1, 1)
    v = b if start is None else start
    for _ in range(rounds):
        u = (a / (kernel @ v).clamp(min=1e-30)) ** YIELD
        v = ((b / (kernel.transpose(1, 2) @ u).clamp(min=1e-30)) ** YIELD).clamp(max=1e15)
    return u, v
