from __future__ import annotations

import pytest
import torch
from torch import Tensor

from lim_server.render.cameras import Cameras, ring
from lim_server.render.rasterize import NOTHING, covered, see
from tests.lim_server.render.shapes import box, ellipsoid, joined, soup
from tests.lim_server.render.test_cameras import rig

SIZE = 20


def traced(points: Tensor, faces: Tensor, cameras: Cameras, size: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Nearest face [v, p], depth, barycentrics and distance to the nearest edge: every ray with every triangle."""
    origins, directions = (r.double() for r in cameras.rays(size))
    a, b, c = points.double()[:, faces].unbind(2)
    ab, ac = (b - a)[:, None], (c - a)[:, None]
    normal = torch.linalg.cross(ab, ac, dim=-1)
    slope = (directions[:, :, None] * normal).sum(-1)
    along = ((a[:, None] - origins[:, :, None]) * normal).sum(-1) / slope
    local = origins[:, :, None] + along[..., None] * directions[:, :, None] - a[:, None]
    square = (normal * normal).sum(-1)
    second = (torch.linalg.cross(local, ac.expand_as(local), dim=-1) * normal).sum(-1) / square
    third = (torch.linalg.cross(ab.expand_as(local), local, dim=-1) * normal).sum(-1) / square
    weights = torch.stack((1 - second - third, second, third), -1)
    forward = -cameras.world.double()[:, None, :, 2]
    depth = along * (directions * forward).sum(-1)[..., None]
    front = (cameras.project(points)[:, faces][..., 2] > 1e-3).all(-1)  # what crosses the camera's plane is left out
    hit = (weights >= 0).all(-1) & front[:, None]
    depth = torch.where(hit, depth, torch.inf)
    best, face = depth.min(-1)
    at = face[..., None]
    margin = torch.where(front[:, None], weights.abs().amin(-1), torch.inf).amin(-1)
    own = weights.gather(2, at[..., None].expand(-1, -1, -1, 3))[:, :, 0]
    return torch.where(best.isinf(), NOTHING, face), best, own, margin


@pytest.mark.parametrize("seed", range(4))
def test_as_rays_and_triangles_have_it(seed: int) -> None:
    points, faces = soup(120, seed)
    cameras = ring() if seed % 2 else rig(4, seed)  # the others stand among the triangles
    each = points.expand(4, -1, -1)
    seen = see(each, faces, cameras, SIZE)
    face, depth, weights, margin = traced(each, faces, cameras, SIZE)
    sure = margin > 1e-3  # the pixel's centre is not on an edge
    assert sure.float().mean() > 0.8 and (face[sure] != NOTHING).float().mean() > 0.02
    same = (seen.face == face) | ~sure
    assert (same | ((seen.depth - depth.float()).abs() < 1e-4)).all()  # two faces at one depth: either
    hit = sure & (face != NOTHING) & same
    assert torch.allclose(seen.depth[hit], depth[hit].float(), rtol=1e-4)
    assert torch.allclose(seen.weights[hit], weights[hit].float(), atol=2e-3)
    assert (seen.mask == (face != NOTHING))[sure].all()


def test_nothing_is_seen_of_what_is_not_there() -> None:
    points, faces = soup(5, 0)
    behind = points + 10 * ring().world[:, None, :, 3]
    seen = see(behind, faces, ring(), SIZE)
    assert not seen.mask.any() and (seen.depth == 0).all() and (seen.weights == 0).all()
    assert (seen.of_points(behind, faces) == 0).all()


def test_what_crosses_the_border_is_cut_at_it() -> None:
    points = torch.tensor([[[-6.0, -5, 0], [6, -5, 0], [0, 6, 0]]])
    seen = see(points, torch.tensor([[0, 1, 2]]), ring()[:1], SIZE)
    assert seen.mask.all()
    place = seen.of_points(points, torch.tensor([[0, 1, 2]]))
    assert place[..., 2].abs().max() < 1e-4  # in the plane that the triangle lies in
    assert torch.allclose(ring()[:1].project(place)[..., 2], seen.depth, atol=1e-4)


def test_what_reaches_behind_the_camera_is_left_out() -> None:
    points = torch.tensor(
        [[-6.0, -5, 0], [6, -5, 0], [0, 60, 0], [-0.5, -0.5, -0.5], [0.5, -0.5, -0.5], [0, 0.5, -0.5]]
    )
    faces = torch.tensor([[0, 1, 2], [3, 4, 5]])
    assert ring()[:1].project(points[None, :3])[0, :, 2].min() < 0
    seen = see(points[None], faces, ring()[:1], SIZE)
    assert seen.mask.any() and set(seen.face[seen.mask].tolist()) == {1}


def test_triangles_without_area_cover_nothing() -> None:
    line = torch.tensor([[[-0.5, 0.0, 0], [0.5, 0, 0], [0, 0, 0]]])
    point = torch.zeros(1, 3, 3)
    edge_on = torch.tensor([[[0.0, -0.5, 0], [0, 0.5, 0], [0, 0, 0.5]]])
    camera = Cameras(
        torch.tensor([[[1.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 3]]]), torch.tensor([[2.0, 2]]), torch.zeros(1, 2)
    )
    for points in (line, point, edge_on, torch.full((1, 3, 3), torch.nan)):
        assert not see(points, torch.tensor([[0, 1, 2]]), camera, 21).mask.any()  # 21: a row runs through the middle


def test_nearest_wins_whatever_the_order() -> None:
    near, far = box((-0.3, -0.3, -0.3), (0.3, 0.3, 0.3)), box((-0.9, -0.9, -0.9), (0.9, 0.9, 0.9))
    for parts in ((near, far), (far, near)):
        points, faces = joined(*parts)
        seen = see(points.expand(4, -1, -1), faces, ring(), SIZE)
        place = seen.of_points(points.expand(4, -1, -1), faces)
        assert torch.allclose(place.abs().amax(-1)[seen.mask], torch.tensor(0.9), atol=1e-4)


def test_no_cracks_between_faces() -> None:
    points, faces = ellipsoid((0, 0, 0), (0.9, 0.6, 0.7))
    seen = see(points.expand(4, -1, -1), faces, ring(), 64)
    picture = seen.mask.reshape(4, 64, 64)
    filled = picture.cummax(-1).values & picture.flip(-1).cummax(-1).values.flip(-1)  # convex: rows have no gaps
    assert picture.any() and torch.equal(filled, picture)


def test_attributes_are_right_in_perspective() -> None:
    points, faces = soup(30, 7)
    each = points.expand(4, -1, -1)
    seen = see(each, faces, ring(), SIZE)
    origins, directions = ring().rays(SIZE)
    forward = -ring().world[:, None, :, 2]
    there = origins + directions * (seen.depth / (directions * forward).sum(-1))[..., None]
    found = seen.of_points(each, faces)
    assert torch.allclose(found[seen.mask], there[seen.mask], atol=1e-4)
    corners = points[faces] * torch.tensor([2.0, -1, 3]) + 5  # linear in space, so the same of the place
    assert torch.allclose(
        seen.of_corners(corners)[seen.mask], there[seen.mask] * torch.tensor([2.0, -1, 3]) + 5, atol=1e-3
    )


def test_views_may_each_have_points_of_their_own() -> None:
    points, faces = soup(12, 3)
    moved = torch.stack([points + 0.1 * k for k in range(4)])
    together = see(moved, faces, ring(), SIZE)
    for k in range(4):
        alone = see(moved[k : k + 1], faces, ring()[k : k + 1], SIZE)
        assert torch.equal(alone.face[0], together.face[k]) and torch.equal(alone.depth[0], together.depth[k])


def test_covered_counts_each_pixel_of_each_triangle() -> None:
    image = torch.tensor([[[[-1.0, 1], [1, 1], [-1, -1]], [[0.1, 0.1], [0.9, 0.1], [0.1, 0.9]]]])
    found = covered(image, 8)
    whole = found.pixel[found.triangle == 0]
    assert len(whole) == len(set(whole.tolist())) == 8 * 9 // 2  # the diagonal's centres are inside too
    assert torch.allclose(found.weights.sum(-1), torch.ones(len(found.triangle)))
    none = covered(image, 8, torch.tensor([[False, True]]))
    assert set(none.triangle.tolist()) == {1}
