"""Meshes of posed pictures: with an LRM that always says the same, so that all the rest can be checked."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from lim_cli.posed.keys import load_posed
from lim_protocol.records import unpack, unpack_mesh
from lim_protocol.views import Views
from lim_server.geometry.isosurface import NoSurface
from lim_server.models.lrm import Lrm
from lim_server.models.memory import with_less
from lim_server.models.presets import smoke
from lim_server.reconstruct import Model, ReconstructJob, ViewedKey
from lim_server.serve.ops import Hand, Shelf
from lim_server.serve.store import Store
from lim_server.stages.surface import surface_of, without_crumbs
from tests.lim_cli.view_folders import write_views
from tests.lim_server.lump import lump

RADIUS = 0.6


@pytest.fixture(scope="module")
def views(tmp_path_factory: pytest.TempPathFactory) -> Views:
    """Pictures of a ball that fills as much of the box as the lump does; its colour is its normal."""
    folder = tmp_path_factory.mktemp("views")
    box = [[-1, -1, -1], [1, 1, 1]]
    words = [str(write_views(folder / str(k), radius=RADIUS, aabb=box)) for k in (1, 2)]
    return load_posed(words).keys[0].views


def nothing(_stage: str, _done: int, _total: int) -> None:
    return None


def test_the_surface_is_the_fields_and_has_the_pictures_colours(views: Views) -> None:
    mesh = surface_of(lump(smoke(), RADIUS), views, 40, nothing).mesh
    away = np.linalg.norm(mesh.points, axis=1)
    assert np.abs(away - RADIUS).max() < 0.05, "planes of 8 cells"
    normals = mesh.points / away[:, None]
    triangles = mesh.points[mesh.triangles()]
    outward = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    assert ((outward * triangles.mean(axis=1)).sum(axis=1) > 0).all()
    assert mesh.colors is not None
    seen = np.abs(normals[:, 1]) < 0.8  # no view looks down on its top
    off = np.abs(mesh.colors - (128 + 100 * normals))[seen]
    assert np.median(off) < 6 and np.percentile(off, 95) < 25


def test_a_field_without_a_surface_names_the_key(views: Views, tmp_path: Path) -> None:
    with pytest.raises(NoSurface) as error:
        list(job(views, lump(smoke(), -1.0), tmp_path).records(0))
    assert str(error.value).startswith("key ball: smoke-lrm sees no surface in these 4 views. ")
    assert str(error.value).endswith("Check masks and matrices, and that the views stand around the thing.")


def job(views: Views, lrm: Lrm, store: Path, opened: Callable[[], None] = lambda: None) -> ReconstructJob:
    def model() -> Lrm:
        opened()
        return lrm

    keys = [ViewedKey(1.0, "ball", views, b"one"), ViewedKey(2.0, "again", views, b"two")]
    shelf = Shelf(Store(store, 1 << 30), Hand(1), Hand(1))
    return ReconstructJob(keys, 24, model=Model("smoke-lrm", "ab", model), code=b"code", memo=shelf, step=nothing)


def test_a_job_goes_on_where_another_stopped(views: Views, tmp_path: Path) -> None:
    opened: list[int] = []
    first = job(views, lump(smoke(), RADIUS), tmp_path, lambda: opened.append(1))
    stream = first.records(0)
    assert unpack(next(stream)[1])[1] == {"model": "smoke-lrm", "weights_sha256": "ab"}
    begun = next(stream)[1]
    second = job(views, lump(smoke(), RADIUS), tmp_path, lambda: opened.append(2))
    rest = dict(second.records(2))
    assert list(rest) == [2]
    assert len(unpack_mesh(bytes(rest[2])).points) == len(unpack_mesh(bytes(begun)).points)
    told = second.summary()
    assert opened == [1, 2], "the first key is not made again for the summary"
    assert [(key["name"], key["views"], key["crumbs"]) for key in told["keys"]] == [("ball", 4, 0), ("again", 4, 0)]
    assert told["notes"] == [] and told["model"] == "smoke-lrm"


def test_crumbs_are_left_out(views: Views) -> None:
    large = surface_of(lump(smoke(), RADIUS), views, 24, nothing).mesh
    faces = large.triangles().astype(np.int64)
    points = np.concatenate([large.points * 0.02 + 0.9, large.points])
    kept, triangles, crumbs = without_crumbs(points, np.concatenate([faces, faces + len(large.points)]))
    assert crumbs == 1
    assert np.array_equal(kept, large.points) and np.array_equal(triangles, faces)


def test_no_memory_makes_the_pieces_smaller() -> None:
    asked: list[int] = []

    def make(piece: int) -> int:
        asked.append(piece)
        return torch.empty(piece, 1 << 32, dtype=torch.uint8).shape[0] if piece > 4 else piece

    assert with_less(make, 1 << 20, 2) == (4, 4)
    assert asked[0] == 1 << 20 and all(b == a // 2 for a, b in pairwise(asked))
    with pytest.raises(RuntimeError, match="DefaultCPUAllocator"):
        with_less(lambda _: torch.empty(1 << 50), 16, 8)
    with pytest.raises(RuntimeError, match="something else"):
        with_less(lambda _: _raise("something else"), 16, 8)


def _raise(text: str) -> int:
    raise RuntimeError(text)
