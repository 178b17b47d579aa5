"""LIM's twin at work in the tracker, with weights that know nothing: the wiring, and that it harms nobody."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from lim_protocol.types import Keyframe
from lim_server.geometry.side import Side
from lim_server.models import shipped as weights
from lim_server.models.lim import Lim
from lim_server.models.lrm import Lrm
from lim_server.models.presets import smoke
from lim_server.models.shipped import Models
from lim_server.serve.ops import Hand
from lim_server.stages.canonical import MOST, Canonical
from lim_server.stages.track import Tracker, track_keys
from tests.lim_server.stages.creatures import limb


@pytest.fixture(scope="module")
def models() -> Models:
    torch.manual_seed(5)
    lrm = Lrm(smoke()).eval()
    return Models(lrm, Lim(lrm).eval(), Lim(lrm, twin=True).eval(), "0" * 64)


@pytest.fixture(scope="module")
def keys() -> list[Keyframe]:
    return [Keyframe(0.0, limb(16, 12, 0.0, True), "rest"), Keyframe(8.0, limb(14, 13, 0.5, True), "bent")]


def quiet(*_: object) -> None:
    """Progress that nobody wants to see."""


def test_what_is_told_is_bounded_and_the_same_each_time(models: Models, keys: list[Keyframe]) -> None:
    canonical = Canonical(models, keys, "cpu")
    tracker = Tracker(keys[0], device="cpu")
    target = Side.of(keys[1].mesh, tracker.frame)
    told = canonical.told(keys[1], tracker.source, target)
    assert told.shape == (len(tracker.source.points), len(target.points))
    assert float(told.min()) >= 0
    assert float(told.max()) <= MOST
    assert torch.equal(told, Canonical(models, keys, "cpu").told(keys[1], tracker.source, target))


def test_what_is_made_of_a_key_is_found_again(
    models: Models, keys: list[Keyframe], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Hand(8)
    tracker = Tracker(keys[0], device="cpu")
    target = Side.of(keys[1].mesh, tracker.frame)
    first = Canonical(models, keys, "cpu", kept.get).told(keys[1], tracker.source, target)
    seen: list[object] = []
    monkeypatch.setattr(Canonical, "_views", lambda self, mesh: seen.append(mesh))
    stiffer = replace(keys[0], mesh=replace(keys[0].mesh, stiffness=np.full(len(keys[0].mesh.points), 3, np.float32)))
    again = Canonical(models, [stiffer, keys[1]], "cpu", kept.get)
    assert torch.equal(first, again.told(keys[1], tracker.source, target))
    assert not seen
    other = Keyframe(16.0, limb(14, 13, 2.0, True), "outside the ball")
    with pytest.raises(AttributeError):
        Canonical(models, [*keys, other], "cpu", kept.get)
    assert seen == [keys[0].mesh]


def test_a_true_canonical_field_tells_places_apart(
    models: Models, keys: list[Keyframe], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key that did not move, with a field that says of every place that it is its own home."""
    canonical = Canonical(models, [keys[0], keys[0]], "cpu")
    monkeypatch.setattr(canonical, "_home", lambda _mesh, points: points)
    tracker = Tracker(keys[0], device="cpu")
    told = canonical.told(keys[0], tracker.source, tracker.source)
    assert float(told.diagonal().max()) < 1e-4
    apart = torch.cdist(*2 * [torch.as_tensor(tracker.source.points)])
    assert float(told[apart > 0.5].min()) > 1


def test_led_by_nonsense_auto_is_no_worse_than_geometry(models: Models, keys: list[Keyframe]) -> None:
    hints = Canonical(models, keys, "cpu").told
    truth = limb(16, 12, 0.5).points
    found = {}
    for name, given in (("geometry", None), ("auto", hints)):
        tracked = dict(track_keys(keys, device="cpu", step=quiet, hints=given))[1]
        found[name] = float(np.linalg.norm(tracked.points - truth, axis=1).mean())
    assert found["auto"] <= found["geometry"] * 1.1


def test_trusted_hints_lead_alone(models: Models, keys: list[Keyframe]) -> None:
    hints = Canonical(models, keys, "cpu").told
    assert dict(track_keys(keys, device="cpu", step=quiet, hints=hints, trusted=True))[1].method == "lim"
    assert dict(track_keys(keys, device="cpu", step=quiet))[1].method == "geometry"


@pytest.fixture
def no_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(weights, "FOLDER", tmp_path)
    weights.shipped.cache_clear()
    yield
    weights.shipped.cache_clear()


@pytest.mark.usefixtures("no_weights")
def test_without_weights_there_are_no_models() -> None:
    assert weights.shipped("cpu") is None
    assert weights.shipped_digest() == ""
    assert weights.shipped_names() == []
