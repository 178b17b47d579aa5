from __future__ import annotations

import torch
from torch import Tensor

from lim_server.render.solid import solid
from tests.lim_server.render.shapes import box, ellipsoid, joined

SIZE = 32


def centres() -> Tensor:
    at = (torch.arange(SIZE) + 0.5) * (2 / SIZE) - 1
    return torch.stack(torch.meshgrid(at, at, at, indexing="ij"), -1)


def in_box(low: tuple[float, float, float], high: tuple[float, float, float]) -> Tensor:
    return ((centres() > torch.tensor(low)) & (centres() < torch.tensor(high))).all(-1)


def in_ellipsoid(centre: tuple[float, float, float], half: tuple[float, float, float], by: float = 1.0) -> Tensor:
    return ((centres() - torch.tensor(centre)) / torch.tensor(half)).square().sum(-1) < by


LOW, HIGH = (-0.71, -0.32, -0.55), (0.13, 0.83, 0.36)
MIDDLE, HALF = (0.2, -0.1, 0.15), (0.6, 0.5, 0.4)


def test_a_box_to_the_cell() -> None:
    points, faces = box(LOW, HIGH)
    assert torch.equal(solid(points[None], faces, SIZE)[0], in_box(LOW, HIGH))


def test_axes_are_x_y_z() -> None:
    points, faces = box((0.3, -0.9, -0.9), (0.9, -0.6, 0.9))
    inside = solid(points[None], faces, SIZE)[0].nonzero().float()
    assert inside[:, 0].min() > SIZE / 2 and inside[:, 1].max() < SIZE / 4 and inside[:, 2].mean() == (SIZE - 1) / 2


def test_an_ellipsoid_but_for_its_skin() -> None:
    points, faces = ellipsoid(MIDDLE, HALF)
    inside = solid(points[None], faces, SIZE)[0]
    assert inside[in_ellipsoid(MIDDLE, HALF, 0.85)].all()  # flat faces are a little inside the true surface
    assert not inside[~in_ellipsoid(MIDDLE, HALF)].any()


def test_parts_may_overlap_and_face_inwards() -> None:
    points, faces = joined(box(LOW, HIGH), ellipsoid(MIDDLE, HALF))
    alone = [solid(p[None], f, SIZE)[0] for p, f in (box(LOW, HIGH), ellipsoid(MIDDLE, HALF))]
    both = alone[0] | alone[1]
    assert (alone[0] & alone[1]).any()
    assert torch.equal(solid(points[None], faces, SIZE)[0], both)
    assert torch.equal(solid(points[None], faces.flip(-1), SIZE)[0], both)


def test_a_hole_does_not_leak() -> None:
    points, faces = box(LOW, HIGH)
    for missing in range(0, len(faces), 2):  # a whole side
        open_box = torch.cat((faces[:missing], faces[missing + 2 :]))
        assert torch.equal(solid(points[None], open_box, SIZE)[0], in_box(LOW, HIGH))


def test_a_hole_in_something_round_leaks_little() -> None:
    points, faces = ellipsoid(MIDDLE, HALF)
    whole = solid(points[None], faces, SIZE)[0]
    torn = solid(points[None], faces[torch.arange(len(faces)) % 40 != 0], SIZE)[0]
    assert (torn ^ whole).float().sum() < 0.01 * whole.sum()


def test_every_time_by_itself() -> None:
    points, faces = ellipsoid(MIDDLE, HALF)
    moved = torch.stack([points, points - 0.3, points * 0.5])
    together = solid(moved, faces, SIZE)
    assert torch.equal(together, torch.cat([solid(p[None], faces, SIZE) for p in moved]))


def test_what_stands_out_of_the_box_is_cut() -> None:
    points, faces = box((-3, -0.5, -0.5), (0.25, 0.5, 3))
    assert torch.equal(solid(points[None], faces, SIZE)[0], in_box((-3, -0.5, -0.5), (0.25, 0.5, 3)))


def test_nothing_is_inside_an_open_sheet() -> None:
    points, faces = box(LOW, HIGH)
    assert not solid(points[None], faces[:2], SIZE).any()
