"""What the graph's nodes carry, as matrices that are nearly empty: a sample hangs on a few nodes, a link on two."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Sparse:
    """A matrix and its transpose."""

    matrix: Tensor
    turned: Tensor

    @classmethod
    def of(cls, dense: Float[Tensor, "r c"]) -> Sparse:
        """Of what is not zero."""
        return cls(dense.to_sparse(), dense.mT.to_sparse())

    @property
    def mT(self) -> Sparse:
        """The transpose."""
        return Sparse(self.turned, self.matrix)

    def __matmul__(self, batch: Float[Tensor, "h c d"]) -> Float[Tensor, "h r d"]:
        """The matrix times each of the batch."""
        h, c, d = batch.shape
        out = torch.sparse.mm(self.matrix, batch.transpose(0, 1).reshape(c, h * d))
        return out.reshape(len(out), h, d).transpose(0, 1)


def squares(dense: Float[Tensor, "n k"]) -> Sparse:
    """What makes of weights [h, n, 1] the matrices dense^T diag(weights) dense, [h, k * k, 1]."""
    n, k = dense.shape
    each = int((dense != 0).sum(1).max()) if n else 0
    value, at = dense.abs().topk(each, 1)
    value = dense.gather(1, at)
    product = (value[:, :, None] * value[:, None]).flatten()
    cell = (at[:, :, None] * k + at[:, None]).flatten()
    of = torch.arange(n, device=dense.device).repeat_interleave(each * each)
    kept = product != 0
    there = torch.stack([cell, of])[:, kept]
    matrix = torch.sparse_coo_tensor(there, product[kept], (k * k, n), check_invariants=True).coalesce()
    return Sparse(matrix, matrix.mT.coalesce())


@dataclass(frozen=True, eq=False)
class Rig:
    """All that follows from the graph at rest, for k nodes, n samples with the landmarks behind them, and l links.

    weights   [n, k]      a sample's place from its nodes' places
    arm       [n, 3 k]    and from their rotations
    gram      [k k, n]    weights^T diag(w) weights from w
    ends      [k k, l]    the same of the links' incidence
    hold      [k, k]      the Laplacian of the edges, each counting per_edge
    bones     [e, 3]      edges; levers [l, 3]: from either node of a link to its joint
    """

    weights: Sparse
    arm: Sparse
    gram: Sparse
    ends: Sparse
    hold: Float[Tensor, "k k"]
    per_edge: float
    bones: Float[Tensor, "e 3"]
    levers: tuple[Float[Tensor, "l 3"], Float[Tensor, "l 3"]]

    @classmethod
    def of(
        cls,
        weights: Float[Tensor, "n k"],
        rest: Float[Tensor, "n 3"],
        nodes: Float[Tensor, "k 3"],
        edges: Int[Tensor, "e 2"],
        links: Int[Tensor, "l 2"],
        joints: Float[Tensor, "l 3"],
    ) -> Rig:
        """Made once for each keyframe and hint."""
        bones = incidence(edges, nodes)
        per_edge = 1.0 / max(len(edges), 1)
        return cls(
            Sparse.of(weights),
            Sparse.of((weights[:, :, None] * (rest[:, None] - nodes)).reshape(len(rest), -1)),
            squares(weights),
            squares(incidence(links, nodes)),
            per_edge * bones.T @ bones,
            per_edge,
            nodes[edges[:, 1]] - nodes[edges[:, 0]],
            (joints - nodes[links[:, 0]], joints - nodes[links[:, 1]]),
        )


def incidence(pairs: Int[Tensor, "e 2"], nodes: Float[Tensor, "k 3"]) -> Float[Tensor, "e k"]:
    """-1 where a pair begins, 1 where it ends."""
    out = torch.zeros(len(pairs), len(nodes), dtype=nodes.dtype, device=nodes.device)
    rows = torch.arange(len(pairs), device=nodes.device)
    out[rows, pairs[:, 1]], out[rows, pairs[:, 0]] = 1.0, -1.0
    return out
