"""The rotations nearest to matrices."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def rotations(m: Float[Tensor, "*b 3 3"]) -> Float[Tensor, "*b 3 3"]:
    """The proper rotation nearest to each matrix (Kabsch 1976); where two are as near, one of them."""
    u, _, v = torch.linalg.svd(m)
    flip = torch.det(u @ v) < 0
    return torch.cat([u[..., :2], torch.where(flip[..., None, None], -u[..., 2:], u[..., 2:])], dim=-1) @ v
