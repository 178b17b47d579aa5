from __future__ import annotations

import pytest
import torch
from torch import Tensor

from lim_server.render.cameras import REACH, Cameras, loose_ring, orbit, pixel_centres, plucker, ring


def rig(count: int = 5, seed: int = 0) -> Cameras:
    """Off-centre cameras with two focal lengths each, anywhere."""
    random = torch.Generator().manual_seed(seed)
    axes = torch.linalg.qr(torch.randn(count, 3, 3, generator=random))[0]
    axes = axes * torch.linalg.det(axes)[:, None, None]
    world = torch.cat((axes, torch.randn(count, 3, 1, generator=random)), -1)
    focal = 1 + torch.rand(count, 2, generator=random)
    return Cameras(world, focal, 0.3 * torch.randn(count, 2, generator=random))


def test_through_and_project_are_inverse() -> None:
    cameras = rig()
    image = torch.rand(5, 40, 2) * 2 - 1
    origins, directions = cameras.through(image)
    away = 0.5 + torch.rand(5, 40, 1)
    back = cameras.project(origins + away * directions)
    assert torch.allclose(back[..., :2], image, atol=1e-5)
    forward = -cameras.world[:, None, :, 2]
    assert torch.allclose(back[..., 2], (away * directions * forward).sum(-1), atol=1e-5)
    assert torch.allclose(directions.norm(dim=-1), torch.ones(5, 40))


def test_rays_of_pixels_are_those_through_their_centres() -> None:
    size = 6
    origins, directions = rig().rays(size)
    seen = rig().project(origins + 1.7 * directions)[..., :2].unflatten(1, (size, size))
    column, row = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="xy")
    wanted = torch.stack(((column + 0.5) / size * 2 - 1, 1 - (row + 0.5) / size * 2), -1)
    assert torch.allclose(seen, wanted.expand_as(seen), atol=1e-5)
    assert torch.equal(pixel_centres(size).unflatten(0, (size, size))[0, 0], wanted[0, 0])


@pytest.mark.parametrize(
    ("azimuth", "elevation", "place"), [(0, 0, (0, 0, 2)), (90, 0, (2, 0, 0)), (180, 30, (0, 1, -(3**0.5)))]
)
def test_orbit_stands_and_looks_where_it_says(azimuth: float, elevation: float, place: tuple[float, ...]) -> None:
    camera = orbit(*(torch.tensor([v], dtype=torch.float32) for v in (azimuth, elevation, 2.0, 90.0)))
    assert torch.allclose(camera.world[0, :, 3], torch.tensor(place, dtype=torch.float32), atol=1e-6)
    assert torch.allclose(torch.linalg.det(camera.world[..., :3]), torch.ones(1))
    seen = camera.project(torch.tensor([[[0.0, 0, 0], [0, 0.5, 0]]]))[0]
    assert torch.allclose(seen[0], torch.tensor([0.0, 0, 2]), atol=1e-6)
    assert seen[1, 1] > 0  # up is up
    side = camera.world[0, :, 3] / 2 + camera.world[0, :, 1] * torch.tensor(1.0)
    assert torch.allclose(camera.project(side[None, None])[0, 0, 1], torch.tensor(1.0), atol=1e-5)  # 45 degrees up


def test_the_whole_ball_is_in_every_picture() -> None:
    points = torch.nn.functional.normalize(torch.randn(400, 3, generator=torch.Generator().manual_seed(1)), dim=-1)
    rigs: list[Cameras] = [ring()]
    rigs += [loose_ring(torch.Generator().manual_seed(seed), 1.0) for seed in range(20)]
    for cameras in rigs:
        seen = cameras.project(REACH * points.expand(4, -1, -1))
        assert seen[..., :2].abs().max() < 1 and seen[..., 2].min() > 0


def test_a_ring_that_is_not_loose_is_the_ring() -> None:
    loose, fixed = loose_ring(torch.Generator().manual_seed(3), 0.0), ring()
    assert torch.allclose(loose.world, fixed.world, atol=1e-6)
    assert (loose.focal / fixed.focal - 1).abs().max() < 0.01


def test_plucker_is_the_same_for_every_point_of_a_line() -> None:
    origins, directions = rig().rays(4)
    assert torch.allclose(plucker(origins, directions), plucker(origins + 0.7 * directions, directions), atol=1e-5)
    moment: Tensor = plucker(origins, directions)[..., :3]
    nearest = origins - (origins * directions).sum(-1, keepdim=True) * directions
    assert torch.allclose(moment.norm(dim=-1), nearest.norm(dim=-1), atol=1e-5)


def test_indexing_takes_cameras_whole() -> None:
    cameras = rig()
    one = cameras[torch.tensor([3, 1])]
    points = torch.randn(1, 7, 3)
    assert torch.equal(one.project(points.expand(2, -1, -1))[0], cameras.project(points.expand(5, -1, -1))[3])
