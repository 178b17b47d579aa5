from __future__ import annotations

import torch

from lim_server.geometry.rig import Sparse, incidence, squares


def nearly_empty(rows: int, columns: int, seed: int) -> torch.Tensor:
    random = torch.Generator().manual_seed(seed)
    values = torch.randn(rows, columns, generator=random, dtype=torch.float64)
    return values * (torch.rand(rows, columns, generator=random) < 0.2)


def test_sparse_does_what_the_dense_matrix_does() -> None:
    dense, batch = nearly_empty(30, 12, 1), torch.randn(4, 12, 3, dtype=torch.float64)
    sparse = Sparse.of(dense)
    assert torch.allclose(sparse @ batch, dense @ batch)
    back = torch.randn(2, 30, 5, dtype=torch.float64)
    assert torch.allclose(sparse.mT @ back, dense.mT @ back)


def test_squares_are_the_weighted_products() -> None:
    dense, weight = nearly_empty(40, 9, 2), torch.rand(3, 40, 1, dtype=torch.float64)
    made = (squares(dense) @ weight).reshape(3, 9, 9)
    assert torch.allclose(made, dense.mT @ (weight * dense))


def test_nothing_to_carry_is_no_trouble() -> None:
    none = incidence(torch.zeros(0, 2, dtype=torch.long), torch.zeros(7, 3))
    assert (squares(none) @ torch.zeros(2, 0, 1)).shape == (2, 49, 1)


def test_incidence_ends_where_pairs_end() -> None:
    made = incidence(torch.tensor([[0, 2], [2, 1]]), torch.zeros(3, 3))
    assert made.tolist() == [[-1, 0, 1], [0, 1, -1]]
