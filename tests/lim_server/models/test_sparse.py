from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import conv3d, pad

from lim_server.models import sparse
from lim_server.models.hull import Cells, eighths
from lim_server.models.sparse import Convolution, Gathered, Unet, around, halved

SIDE = 8


def some_cells(share: float = 0.3, batch: int = 2) -> Cells:
    random = torch.Generator().manual_seed(0)
    listed = torch.rand(batch, SIDE, SIDE, SIDE, generator=random) < share
    return Cells(listed.nonzero(), batch, SIDE)


def on(cells: Cells, grid: Tensor) -> Tensor:
    return grid.flatten(0, 3)[cells.flat]


def test_neighbours_are_those_beside() -> None:
    cells = some_cells()
    number = {tuple(at): k for k, at in enumerate(cells.at.tolist())}
    table = around(cells).view(-1, 3, 3, 3)
    for k in (0, 7, len(cells.at) - 1):
        sample, x, y, z = cells.at[k].tolist()
        for a, b, c in torch.cartesian_prod(*[torch.arange(3)] * 3).tolist():
            wanted = number.get((sample, x + a - 1, y + b - 1, z + c - 1), len(cells.at))
            assert table[k, a, b, c] == wanted


def test_it_is_a_dense_convolution_of_what_is_listed() -> None:
    cells, layer = some_cells(), Convolution(4)
    x = torch.randn(len(cells.at), 4)
    kernel = layer.kernel.weight.view(4, 3, 3, 3, 4).movedim(-1, 1)
    dense = conv3d(cells.dense(x).movedim(-1, 1), kernel, layer.kernel.bias, padding=1).movedim(1, -1)
    assert torch.allclose(layer(x, around(cells)), on(cells, dense), atol=1e-5)


def test_its_gradients_are_its_plain_twins() -> None:
    cells = some_cells()
    table = around(cells)
    for rows in (7, 10**6):  # in pieces, and as a whole
        sparse.ROWS, before = rows, sparse.ROWS
        x = torch.randn(len(cells.at), 3, dtype=torch.float64, requires_grad=True)
        w = torch.randn(27 * 3, 5, dtype=torch.float64, requires_grad=True)
        above = torch.randn(len(cells.at), 5, dtype=torch.float64)
        plain = pad(x, (0, 0, 0, 1))[table].flatten(1) @ w
        wanted = torch.autograd.grad((plain * above).sum(), (x, w))
        found = torch.autograd.grad((Gathered.apply(x, w, table) * above).sum(), (x, w))
        sparse.ROWS = before
        assert torch.allclose(found[0], wanted[0]) and torch.allclose(found[1], wanted[1], atol=1e-4)


def test_larger_cells_know_their_parts() -> None:
    cells = some_cells()
    larger = halved(cells)
    n = len(cells.at)
    assert larger.cells.side == SIDE // 2 and len(larger.cells.flat.unique()) == len(larger.cells.at)
    assert torch.equal(larger.parts.flatten()[larger.place], torch.arange(n))
    assert (larger.parts < n).sum() == n
    above, part = larger.place // 8, larger.place % 8
    assert torch.equal(larger.cells.at[above][:, 1:] * 2 + eighths(torch.device("cpu"))[part], cells.at[:, 1:])
    assert torch.equal(larger.cells.at[above][:, 0], cells.at[:, 0])


def test_samples_do_not_see_each_other() -> None:
    torch.manual_seed(0)
    net, cells = Unet((4, 6, 8)), some_cells()
    for weight in net.parameters():
        weight.data.normal_(std=0.2)
    x = torch.randn(len(cells.at), 4)
    both = net(x, cells)
    second = cells.at[:, 0] == 1
    alone = Cells(cells.at[second] - torch.tensor((1, 0, 0, 0)), 1, SIDE)
    assert torch.allclose(net(x[second], alone), both[second], atol=1e-5)


def test_nothing_listed_is_nothing_said() -> None:
    nothing = Cells(torch.zeros(0, 4, dtype=torch.long), 1, SIDE)
    assert Unet((4, 6))(torch.zeros(0, 4), nothing).shape == (0, 4)
