from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from lim_server.models.attend import BySample, attend


def drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)), dtype=torch.float64)


@pytest.fixture
def asked() -> list[Tensor]:
    """Queries, keys, values and what is above: tokens before heads in memory, as attention has them."""
    sizes = ((3, 5, 2, 8), (3, 11, 2, 8), (3, 11, 2, 8), (3, 5, 2, 8))
    return [drawn(*size).transpose(1, 2).requires_grad_() for size in sizes]


def test_sample_by_sample_is_torchs_attention(asked: list[Tensor]) -> None:
    q, k, v, above = asked
    mine, theirs = BySample.apply(q * 8**-0.5, k, v), scaled_dot_product_attention(q, k, v)
    assert torch.allclose(mine, theirs)
    for a, b in zip(*(torch.autograd.grad(out, (q, k, v), above.detach()) for out in (mine, theirs)), strict=True):
        assert torch.allclose(a, b)


def test_in_bfloat16_it_is_the_same_to_its_digits(asked: list[Tensor]) -> None:
    q, k, v, above = (t.detach().bfloat16().requires_grad_() for t in asked)
    mine, theirs = attend(q, k, v), scaled_dot_product_attention(q.float(), k.float(), v.float())
    assert mine.dtype == torch.bfloat16 and torch.allclose(mine.float(), theirs, atol=0.02)
    found = torch.autograd.grad(mine, (q, k, v), above)
    wanted = torch.autograd.grad(theirs, (q, k, v), above.float())
    assert all(torch.allclose(a.float(), b.float(), atol=0.03) for a, b in zip(found, wanted, strict=True))


def test_one_set_of_keys_serves_many_queries() -> None:
    q, k = (drawn(n, 2, 4, 8).bfloat16() for n in (3, 1))
    expanded = k.expand(3, -1, -1, -1)
    assert torch.equal(attend(q, expanded, expanded)[1:2], attend(q[1:2], k, k))
