"""The whole mesh onto the target: closest points both ways against rigidity, tighter step by step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.sparse import csr_matrix, diags, eye

from lim_server.geometry.arap import Rigidity, solve, solver
from lim_server.geometry.closest import Surface
from lim_server.geometry.normals import face_cross, vertex_normals
from lim_server.geometry.shape import Shape


@dataclass
class FineSettings:
    steps: int = 16
    reach: tuple[float, float] = (0.04, 0.006)
    stiff: tuple[float, float] = (0.3, 0.01)
    along: float = 0.25
    rounds: int = 2
    smooth: float = 0.05
    color: float = 0.15


def unit_cross(p, f):
    c = face_cross(p, f)
    return c / np.maximum(np.linalg.norm(c, axis=1, keepdims=True), 1e-18)


def surface_samples(
    points: Float[ndarray, "n 3"], triangles: Int[ndarray, "t 3"], spacing: float
) -> tuple[Int[ndarray, " s"], Float[ndarray, "s 3"]]:
    """Evenly spread places inside large triangles: (triangle, barycentric), about one per spacing squared."""
    area = np.linalg.norm(face_cross(points, triangles), axis=1) / 2
    count = np.floor(area / spacing**2 + 0.5).astype(int).clip(0, 400)
    tri = np.repeat(np.arange(len(triangles)), count)
    k = np.arange(len(tri)) - np.repeat(np.cumsum(count) - count, count)
    # a Kronecker sequence with the plastic number fills a triangle evenly
    u, v = (0.5 + k * 0.7548776662466927) % 1, (0.5 + k * 0.5698402909980532) % 1
    flip = u + v > 1
    u, v = np.where(flip, 1 - u, u), np.where(flip, 1 - v, v)
    return tri, np.stack([1 - u - v, u, v], axis=1)


def fine(
    source: Shape,
    target: Shape,
    start: Float[ndarray, "n 3"],
    settings: FineSettings,
    step: Callable[[str, int, int], None],
) -> Float[ndarray, "n 3"]:
    """Points of the source on the target, from a start that is roughly right."""
    n = len(source.points)
    rigid = Rigidity(source.points, source.triangles)
    there = Surface(target.points, target.triangles)
    total = source.area.sum()
    spacing = np.sqrt(total / 5000)
    tri, bary = surface_samples(source.points, source.triangles, spacing)
    rows = np.concatenate([np.arange(n), n + np.repeat(np.arange(len(tri)), 3)])
    cols = np.concatenate([np.arange(n), source.triangles[tri].ravel()])
    B = csr_matrix((np.concatenate([np.ones(n), bary.ravel()]), (rows, cols)), shape=(n + len(tri), n))
    share = B @ np.ones(n) * 0
    area_face = np.linalg.norm(face_cross(source.points, source.triangles), axis=1) / 2
    on_face = np.bincount(tri, minlength=len(source.triangles))
    left = source.area.copy()
    w_face = area_face / (on_face + 1.0)
    share[n:] = w_face[tri]
    share[:n] = np.maximum(
        np.bincount(source.triangles.ravel(), np.repeat(w_face / 3, 3), minlength=n), 0.05 * spacing**2
    )
    share /= share.sum()
    ttri, tbary = surface_samples(target.points, target.triangles, np.sqrt(target.area.sum() / 4000))
    tp = np.concatenate([target.points, np.einsum("qk,qkc->qc", tbary, target.points[target.triangles[ttri]])])
    tn = np.concatenate([target.normals, unit_cross(target.points, target.triangles)[ttri]])
    weigh = np.full(len(tp), 1.0 / len(tp))
    tface_n = unit_cross(target.points, target.triangles)
    colored = source.colors is not None and target.colors is not None
    if colored:
        sc = B @ source.colors
        tc = np.concatenate([target.colors, np.einsum("qk,qkc->qc", tbary, target.colors[target.triangles[ttri]])])
    x = start.copy()
    turned = rigid.fit(x)
    for i in range(settings.steps):
        step("fine", i, settings.steps)
        u = i / max(settings.steps - 1, 1)
        reach = settings.reach[0] ** (1 - u) * settings.reach[1] ** u
        stiff = settings.stiff[0] ** (1 - u) * settings.stiff[1] ** u
        normals = np.concatenate([vertex_normals(x, source.triangles), unit_cross(x, source.triangles)[tri]])
        p = B @ x
        hits = there.closest(p)
        hn = tface_n[hits.triangle]
        w = share * np.exp(-0.5 * (hits.distance / reach) ** 2) * np.clip((normals * hn).sum(1), 0, 1) ** 2
        if colored:
            w = w * np.exp(-0.5 * (((sc - there.at(hits, target.colors)) / settings.color) ** 2).sum(1))
        off = hits.points - p
        plane = (off * hn).sum(1, keepdims=True) * hn
        g = p + plane + settings.along * (off - plane)
        A = B.T @ diags(w) @ B
        b = B.T @ (w[:, None] * g)
        here = Surface(x, source.triangles)
        back = here.closest(tp)
        bn = unit_cross(x, source.triangles)[back.triangle]
        w2 = weigh * np.exp(-0.5 * (back.distance / reach) ** 2) * np.clip((tn * bn).sum(1), 0, 1) ** 2
        if colored:
            w2 = w2 * np.exp(-0.5 * (((tc - here.at(back, source.colors)) / settings.color) ** 2).sum(1))
        B2 = csr_matrix(
            (back.blend.ravel(), (np.repeat(np.arange(len(tp)), 3), source.triangles[back.triangle].ravel())),
            shape=(len(tp), n),
        )
        p2 = B2 @ x
        off = tp - p2
        plane = (off * tn).sum(1, keepdims=True) * tn
        g2 = p2 + plane + settings.along * (off - plane)
        A = A + B2.T @ diags(w2) @ B2
        b = b + B2.T @ (w2[:, None] * g2)
        factors = solver(A + stiff * rigid.laplacian / total * 0.1 + 1e-9 * eye(n))
        for _ in range(settings.rounds):
            x = solve(factors, b + stiff * 0.1 / total * rigid.goal(turned) + 1e-9 * x)
            turned = rigid.fit(x, turned, settings.smooth)
    return x
