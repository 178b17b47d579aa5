"""Several guesses at once: a deformation graph drawn to the target by annealed soft assignment both ways."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from lim_server.geometry.cover import Cover
from lim_server.geometry.graph import Graph


def rotations(m: Float[Tensor, "*b 3 3"]) -> Float[Tensor, "*b 3 3"]:
    """The proper rotation nearest to each matrix."""
    u, _, v = torch.linalg.svd(m)
    sign = torch.ones(m.shape[:-1], dtype=m.dtype, device=m.device)
    sign[..., 2] = torch.sign(torch.linalg.det(u @ v)).where(
        torch.linalg.det(u @ v) != 0, torch.ones_like(sign[..., 2])
    )
    return (u * sign[..., None, :]) @ v


@dataclass(eq=False)
class Problem:
    """What all guesses share, as tensors. n samples, m target samples, k nodes, e edges."""

    rest: Tensor  # n 3
    normals: Tensor  # n 3
    features: Tensor  # n f
    weights: Tensor  # n k
    nodes: Tensor  # k 3
    edges: Tensor  # e 2
    links: Tensor  # l 2
    joints: Tensor  # l 3
    target: Tensor  # m 3
    target_normals: Tensor
    target_features: Tensor

    @classmethod
    def of(
        cls, cover: Cover, graph: Graph, other: Cover, other_samples, features, other_features, device: str
    ) -> Problem:
        def t(x):
            return torch.as_tensor(np.asarray(x), dtype=torch.float32, device=device)

        s = graph.samples
        i = lambda x: torch.as_tensor(x, device=device)
        return cls(
            t(cover.points[s]),
            t(cover.normals[s]),
            t(features),
            t(graph.weights[s].todense()),
            t(cover.points[graph.nodes]),
            i(graph.edges),
            i(graph.links),
            t(graph.joints),
            t(other.points[other_samples]),
            t(other.normals[other_samples]),
            t(other_features),
        )


@dataclass
class Settings:
    wide: float = 0.12
    narrow: float = 0.012
    stiff: float = 30.0
    soft: float = 0.6
    normal: float = 1.0
    feature: float = 1.0
    feature_end: float = 1.0
    steps: int = 25
    smooth: float = 0.1
    outlier: float = 1e-3
    link: float = 1.0


class Coarse:
    """State of h guesses: rotations [h k 3 3] and places [h k 3] of the nodes."""

    def __init__(self, problem: Problem, rotation: Tensor, place: Tensor):
        self.p, self.R, self.t = problem, rotation, place
        p = problem
        k = len(p.nodes)
        self.arm = (p.weights[:, :, None] * (p.rest[:, None] - p.nodes[None])).reshape(len(p.rest), k * 3)
        e = p.edges
        self.d = p.nodes[e[:, 1]] - p.nodes[e[:, 0]]
        lap = torch.zeros(k, k, device=p.rest.device)
        one = torch.ones(len(e), device=p.rest.device) / max(len(e), 1)
        for a, b, s in ((0, 0, 1), (1, 1, 1), (0, 1, -1), (1, 0, -1)):
            lap.index_put_((e[:, a], e[:, b]), s * one, accumulate=True)
        self.lap = lap
        self.one = 1.0 / max(len(e), 1)
        l = p.links
        ll = torch.zeros(k, k, device=p.rest.device)
        one = torch.ones(len(l), device=p.rest.device) / max(len(e), 1)
        for a, b, s in ((0, 0, 1), (1, 1, 1), (0, 1, -1), (1, 0, -1)):
            ll.index_put_((l[:, a], l[:, b]), s * one, accumulate=True)
        self.llap = ll
        self.la = p.joints - p.nodes[l[:, 0]]
        self.lb = p.joints - p.nodes[l[:, 1]]

    def points(self) -> Float[Tensor, "h n 3"]:
        h = len(self.t)
        return self.p.weights @ self.t + self.arm @ self.R.transpose(2, 3).reshape(h, -1, 3)

    def turned(self) -> Float[Tensor, "h n 3"]:
        h = len(self.t)
        blend = self.p.weights @ self.R.reshape(h, -1, 9)
        n = torch.einsum("hnij,nj->hni", blend.reshape(h, -1, 3, 3), self.p.normals)
        return torch.nn.functional.normalize(n, dim=-1)

    def kernel(self, sigma: Tensor, normal, feature) -> Tensor:
        p = self.p
        h = len(self.t)
        x = torch.cat([self.points() / sigma, normal * self.turned(), feature * p.features.expand(h, -1, -1)], -1)
        y = torch.cat(
            [
                p.target.expand(h, -1, -1) / sigma,
                normal * p.target_normals.expand(h, -1, -1),
                feature * p.target_features.expand(h, -1, -1),
            ],
            -1,
        )
        c = (x**2).sum(-1)[:, :, None] + (y**2).sum(-1)[:, None] - 2 * x @ y.transpose(1, 2)
        return torch.exp((-0.5 * c).clamp(min=-60.0))

    def pull(self, sigma, normal, feature, outlier):
        p = self.p
        k = self.kernel(sigma, normal, feature)
        n, m = len(p.rest), len(p.target)
        row = 1 / (k.sum(2, keepdim=True) + outlier * m)
        col = 1 / (k.sum(1, keepdim=True) + outlier * n)
        one = torch.cat([p.target, torch.ones(m, 1, device=k.device)], 1).expand(len(k), -1, -1)
        got = (k @ one) * row / n + (k @ (one * col.transpose(1, 2))) / m
        return got[..., 3], got[..., :3]  # weight of each sample, weighted goal

    def solve(self, weight, goal, stiff, link, smooth, rounds=3):
        p = self.p
        h, kk = len(self.t), len(p.nodes)
        W = p.weights
        A = W.T @ (weight[..., None] * W) + stiff[:, None, None] * self.lap + (stiff * link)[:, None, None] * self.llap
        A = A + 1e-7 * torch.eye(kk, device=A.device)
        L = torch.linalg.cholesky(A)
        e, l = p.edges, p.links
        for _ in range(rounds):
            R = self.R
            away = self.arm @ R.transpose(2, 3).reshape(h, -1, 3)
            b = W.T @ (goal - weight[..., None] * away) + 1e-7 * self.t
            half = (
                0.5
                * torch.einsum("heij,ej->hei", R[:, e[:, 0]] + R[:, e[:, 1]], self.d)
                * (self.one * stiff)[:, None, None]
            )
            b = b.index_add(1, e[:, 1], half).index_add(1, e[:, 0], -half)
            if len(l):
                off = (
                    torch.einsum("heij,ej->hei", R[:, l[:, 0]], self.la)
                    - torch.einsum("heij,ej->hei", R[:, l[:, 1]], self.lb)
                ) * (self.one * stiff * link)[:, None, None]
                b = b.index_add(1, l[:, 1], off).index_add(1, l[:, 0], -off)
            self.t = torch.cholesky_solve(b, L)
            # rotations: edges, neighbours' rotations, the samples' own pull
            t = self.t
            d = t[:, e[:, 1]] - t[:, e[:, 0]]
            s = torch.einsum("hei,ej->heij", d, self.d) * (self.one * stiff)[:, None, None, None]
            S = torch.zeros_like(R).index_add(1, e[:, 0], s).index_add(1, e[:, 1], s)
            q = smooth * (self.d**2).sum(-1)[None, :, None, None] * (self.one * stiff)[:, None, None, None]
            S = S.index_add(1, e[:, 0], q * R[:, e[:, 1]]).index_add(1, e[:, 1], q * R[:, e[:, 0]])
            lever = goal - weight[..., None] * (W @ t)
            S = S + (self.arm.T @ lever).reshape(h, kk, 3, 3).transpose(2, 3)
            self.R = rotations(S + 1e-9 * R)

    def stress(self) -> Tensor:
        p = self.p
        e = p.edges
        d = self.t[:, e[:, 1]] - self.t[:, e[:, 0]]
        h = 0.5 * torch.einsum("heij,ej->hei", self.R[:, e[:, 0]] + self.R[:, e[:, 1]], self.d)
        bend = ((self.R[:, e[:, 0]] - self.R[:, e[:, 1]]) ** 2).sum((-1, -2)) * (self.d**2).sum(-1) * 0.1
        return (((d - h) ** 2).sum(-1) + bend).mean(1)


def anneal(state: Coarse, settings: list[Settings], step) -> None:
    dev = state.t.device
    g = lambda f: torch.tensor([f(s) for s in settings], device=dev, dtype=torch.float32)
    n = settings[0].steps
    lo = lambda a, b, u: torch.exp(torch.log(a) * (1 - u) + torch.log(b) * u)
    wide, narrow, stiff, soft = (g(lambda s, k=k: getattr(s, k)) for k in ("wide", "narrow", "stiff", "soft"))
    normal, f0, f1, link, smooth, outlier = (
        g(lambda s, k=k: getattr(s, k)) for k in ("normal", "feature", "feature_end", "link", "smooth", "outlier")
    )
    for i in range(n):
        step("coarse", i, n)
        u = i / max(n - 1, 1)
        sigma = lo(wide, narrow, u)[:, None, None]
        w, goal = state.pull(
            sigma, normal[:, None, None], (f0 * (1 - u) + f1 * u)[:, None, None], outlier[:, None, None]
        )
        state.solve(w, goal, lo(stiff, soft, u), link, settings[0].smooth)
