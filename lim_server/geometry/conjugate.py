"""Conjugate gradients (Hestenes and Stiefel 1952) for several right sides at once, without leaving the device."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

Columns = Float[Tensor, "n c"]


def solved(
    matrix: Callable[[Columns], Columns],
    diagonal: Float[Tensor, " n"],
    right: Columns,
    start: Columns,
    steps: int,
    enough: float,
) -> Columns:
    """Of a symmetric positive definite matrix, given by what it does, with its diagonal as preconditioner.

    On a CPU it stops where the residual, in the diagonal's own measure, is less than `enough`; elsewhere nobody asks,
    since the answer would have to be waited for.
    """
    x, scale = start, 1 / diagonal[:, None]
    left = right - matrix(x)
    eased = scale * left
    way, rest = eased, (left * eased).sum(0)
    for _ in range(steps):
        if x.device.type == "cpu" and float(rest.max()) < enough**2:
            break
        pushed = matrix(way)
        stride = rest / (way * pushed).sum(0).clamp(min=torch.finfo(x.dtype).tiny)
        x, left = x + stride * way, left - stride * pushed
        eased = scale * left
        before, rest = rest, (left * eased).sum(0)
        way = eased + rest / before.clamp(min=torch.finfo(x.dtype).tiny) * way
    return x
