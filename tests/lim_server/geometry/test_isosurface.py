from __future__ import annotations

import numpy as np
import pytest
import torch
import trimesh
from numpy.typing import NDArray
from torch import Tensor

from lim_server.geometry.isosurface import NoSurface, isosurface


def as_mesh(made: tuple[NDArray[np.float64], NDArray[np.int64]]) -> trimesh.Trimesh:
    return trimesh.Trimesh(made[0], made[1], process=False)


def ball(points: Tensor) -> Tensor:
    """Off the middle, so that no axis stands for another."""
    return 0.5 - (points - torch.tensor([0.1, -0.2, 0.3])).norm(dim=-1)


def test_a_ball_has_its_volume_its_middle_and_normals_outward() -> None:
    mesh = as_mesh(isosurface(ball, side=48))
    middle = [0.1, -0.2, 0.3]
    assert mesh.is_watertight and mesh.is_winding_consistent
    assert mesh.volume == pytest.approx(4 / 3 * np.pi * 0.5**3, rel=0.01)
    assert np.allclose(mesh.vertices.mean(axis=0), middle, atol=5e-3)
    assert np.allclose(np.linalg.norm(mesh.vertices - middle, axis=1), 0.5, atol=2e-3)
    outward = (mesh.face_normals * (mesh.triangles_center - middle)).sum(axis=1)
    assert (outward[mesh.area_faces > 1e-9] > 0).all()
    assert len(np.unique(mesh.vertices, axis=0)) == len(mesh.vertices), "welded"


def test_the_level_moves_the_surface() -> None:
    mesh = as_mesh(isosurface(ball, level=0.2, side=48))
    assert mesh.volume == pytest.approx(4 / 3 * np.pi * 0.3**3, rel=0.02)


def test_pieces_do_not_depend_on_how_many_places_are_asked_at_once() -> None:
    points, triangles = isosurface(ball, side=20)
    again, same = isosurface(ball, side=20, chunk=777)
    assert np.array_equal(points, again) and np.array_equal(triangles, same)


def test_noise_through_the_whole_box_is_closed() -> None:
    """Every way a surface can run through a cell, and through the box's faces."""
    noise = torch.rand(16**3, generator=torch.Generator().manual_seed(0)) - 0.5
    mesh = as_mesh(isosurface(lambda points: noise, side=16, chunk=16**3))
    assert mesh.is_watertight and mesh.is_winding_consistent
    assert np.abs(mesh.vertices).max() <= 1
    assert mesh.volume > 0


def test_values_exactly_at_the_level_leave_no_hole() -> None:
    mesh = as_mesh(isosurface(lambda points: 0.5 - points.abs().sum(-1), side=17))
    assert mesh.is_watertight and mesh.is_winding_consistent
    assert mesh.volume == pytest.approx(4 / 3 * 0.5**3, rel=1e-3)


def test_what_reaches_beyond_the_box_is_cut_off_at_its_faces() -> None:
    mesh = as_mesh(isosurface(lambda points: points[:, 0], side=41))
    assert mesh.is_watertight
    assert mesh.volume == pytest.approx(4.0, rel=0.02), "the box's edges are cut by a cell"
    assert np.allclose(mesh.bounds, [[0, -1, -1], [1, 1, 1]], atol=1e-4)


@pytest.mark.parametrize(
    ("field", "said"),
    [
        (lambda points: points[:, 0] - 5, "everywhere under the level 0 (-6 to -4)"),
        (lambda points: points[:, 0] + 5, "everywhere over the level 0 (4 to 6)"),
        (lambda points: torch.zeros(len(points)) - 1, "everywhere under"),
        (lambda points: points.abs().amax(-1) - 0.99, "on the faces of the box only"),
        (lambda points: points[:, 0] * torch.nan, "no finite numbers"),
    ],
)
def test_a_field_without_surface_says_so(field: object, said: str) -> None:
    with pytest.raises(NoSurface) as error:
        isosurface(field, side=8)  # type: ignore[arg-type]
    assert said in str(error.value)
