"""Meshes whose insides and outlines are known, for the renderer's tests."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from lim_server.training.data.part import Form, make_part


def box(low: tuple[float, float, float], high: tuple[float, float, float]) -> tuple[Tensor, Tensor]:
    """Points [8, 3] and triangles [12, 3], normals outwards."""
    corners = torch.tensor([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], dtype=torch.float32)
    quads = ((0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3))
    faces = [(q[0], q[k], q[k + 1]) for q in quads for k in (1, 2)]
    return torch.tensor(low) + corners * (torch.tensor(high) - torch.tensor(low)), torch.tensor(faces)


def ellipsoid(centre: tuple[float, float, float], half: tuple[float, float, float]) -> tuple[Tensor, Tensor]:
    """Rings between two poles: the same maker that bodies are made of, its own outline taken away."""
    part = make_part(Form(2.0, 1.0, 1.0, 2.0, 2.0, 1.0))
    points = (part.points - np.array([0, 1, 0])) * np.array(half) + np.array(centre)
    return torch.tensor(points, dtype=torch.float32), torch.tensor(part.faces)


def joined(*meshes: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """One mesh of several parts."""
    offsets = np.cumsum([0] + [len(points) for points, _ in meshes])
    faces = [faces + int(offset) for (_, faces), offset in zip(meshes, offsets)]
    return torch.cat([points for points, _ in meshes]), torch.cat(faces)


def soup(triangles: int, seed: int, reach: float = 0.9) -> tuple[Tensor, Tensor]:
    """Triangles anywhere, of any size, that cut through each other."""
    random = torch.Generator().manual_seed(seed)
    middle = (torch.rand(triangles, 1, 3, generator=random) * 2 - 1) * reach
    points = middle + 0.4 * torch.randn(triangles, 3, 3, generator=random)
    return points.reshape(-1, 3), torch.arange(3 * triangles).reshape(-1, 3)
