from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from lim_server.evaluation.methods import one_of
from lim_server.models.attention import Tokens
from lim_server.models.carve import Carve, Carved
from lim_server.models.hull import painted
from lim_server.models.lim import Lim
from lim_server.models.lrm import Lrm
from lim_server.render.cameras import ring
from tests.lim_server.models.networks import between, interval, key_of, network, views


@pytest.fixture(scope="module")
def lrm() -> Lrm:
    return network()


def near(a: Tensor, b: Tensor) -> bool:
    return torch.allclose(a, b, rtol=1e-4, atol=1e-5)


def test_a_key_has_one_set_more_than_lim_has_blocks(lrm: Lrm) -> None:
    key = key_of(lrm, batch=2)
    preset = lrm.preset
    assert len(key.features) == preset.lim_blocks + 1
    assert all(set_.shape == (2, 3 * preset.tokens**2, preset.width) for set_ in key.features)
    assert near(lrm.head(key.features[-1]), key.planes)
    tokens = Tokens(key.features[0], lrm.places if preset.lines else None)
    for block, after in zip(list(lrm.blocks)[-preset.lim_blocks :], key.features[1:], strict=True):
        tokens = block(tokens, key.images)
        assert near(tokens.values, after)


def test_keys_of_a_batch_do_not_mix(lrm: Lrm) -> None:
    both, alone = key_of(lrm, batch=2, seed=5), key_of(lrm, batch=2, seed=5)
    assert torch.equal(both.planes, alone.planes)
    assert not near(both.planes[0], both.planes[1])


def test_lim_begins_as_the_last_blocks_of_the_lrm(lrm: Lrm) -> None:
    lim = Lim(lrm)
    for mine, theirs in zip(lim.blocks, list(lrm.blocks)[-lrm.preset.lim_blocks :], strict=True):
        pairs = {"cross": "cross", "past": "self", "self": "self", "mlp": "mlp"}
        pairs |= {"norm1": "norm1", "norm2": "norm2", "norm3": "norm2", "norm4": "norm3"}
        for name, like in pairs.items():
            own, other = getattr(mine, name).state_dict(), getattr(theirs, like).state_dict()
            same = {n for n in own if torch.equal(own[n], other[n])}
            # what features say begins at nothing, where there is a flow
            assert own.keys() == other.keys() and own.keys() - same == (
                {"out.weight", "out.bias"} if name == "past" else set()
            )
            assert all(a is not b for a, b in zip(getattr(mine, name).parameters(), getattr(theirs, like).parameters()))
    assert all(torch.equal(a, b) for a, b in zip(lim.head.parameters(), lrm.head.parameters()))
    lim.learn()
    learned = {name.split(".")[0] for name, weight in lim.named_parameters() if weight.requires_grad}
    assert learned == {"blocks", "alpha", "sway"}
    assert not any(weight.requires_grad for weight in lim.sway.finder.parameters())
    lim.learn(flow=True)
    learned = {".".join(name.split(".")[:2]) for name, weight in lim.named_parameters() if weight.requires_grad}
    assert learned == {"sway.finder", "sway.carry"}


@pytest.mark.parametrize("blocks", [1, None])
def test_it_begins_as_the_lrm_would_with_what_is_carried(lrm: Lrm, blocks: int | None) -> None:
    lim, key, far = Lim(lrm, blocks=blocks).eval(), key_of(lrm), key_of(lrm, seed=9)
    assert lim.sway is not None
    ready, alpha = interval(lim, key, far), torch.tensor([0.3])
    assert ready.pair is not None
    carved = lim.sway.at(ready.pair, alpha)
    count = carved.tokens.values.shape[1]
    patches = Tokens(*(t[:, :-count] for t in (far.images.values, far.images.places)))
    wanted = lrm.from_images(patches.joined(carved.tokens), carved)
    answer = lim(ready, alpha)
    assert near(answer.features[0], wanted.features[-len(lim.blocks) - 1]) and near(answer.planes, wanted.planes)


def test_without_a_flow_it_begins_at_the_near_key() -> None:
    lrm = network(carve=(), flow=())
    lim, key, far = between(lrm), key_of(lrm), key_of(lrm, seed=9)
    assert lim.sway is None and not any(name.startswith(("ahead", "sway")) for name in lim.state_dict())
    ready = interval(lim, key, far)
    assert torch.equal(lim(ready, torch.tensor([0.4])).features[0], key.features[0])


def test_without_a_flow_alpha_says_nothing_before_training() -> None:
    lim, key = Lim(network(carve=(), flow=())), key_of(network(carve=(), flow=()))
    ready = interval(lim, key, key)
    planes = lim(ready, torch.tensor([0.0, 0.4, 1.0])).planes
    assert near(planes[0], planes[1]) and near(planes[0], planes[2])


@pytest.mark.parametrize("alpha", ["add", "token"])
@pytest.mark.parametrize("lines", [True, False])
def test_a_batch_of_alphas_is_each_by_itself(alpha: str, lines: bool) -> None:
    lrm = network(alpha=alpha, lines=lines)
    lim, key, far = between(lrm), key_of(lrm), key_of(lrm, seed=9)
    times = torch.tensor([0.1, 0.5, 0.9])
    together = lim(interval(lim, key, far), times)
    assert not near(together.planes[0], together.planes[2])
    assert together.planes.shape == (3, *key.planes.shape[1:])
    for k in range(3):
        alone = lim(interval(lim, key, far), times[k : k + 1])
        assert near(alone.planes[0], together.planes[k])
        assert all(near(a[0], b[k]) for a, b in zip(alone.features, together.features, strict=True))


def test_intervals_of_a_batch_do_not_mix(lrm: Lrm) -> None:
    lim, key, far = between(lrm), key_of(lrm, 2), key_of(lrm, 2, seed=9)
    times = torch.tensor([0.3, 0.8])
    both = lim(interval(lim, key, far), times).planes
    for k in (0, 1):
        alone = interval(lim, one_of(key, k), one_of(far, k))
        assert near(lim(alone, times[k : k + 1]).planes[0], both[k])


def test_what_is_held_is_what_each_block_would_make(lrm: Lrm) -> None:
    lim, key, far = between(lrm), key_of(lrm), key_of(lrm, seed=9)
    ready = interval(lim, key, far)
    assert torch.equal(ready.stream, key.features[0])
    assert torch.equal(ready.images.values, far.images.values[:, : -key.features[0].shape[1]])
    for block, past, (images, features) in zip(lim.blocks, key.features[1:], ready.held, strict=True):
        assert torch.equal(images[0], block.cross.hold(ready.images)[0])
        k, v = block.past.hold(Tokens(block.norm2(past), lim.places if lrm.preset.lines else None))
        assert torch.equal(features[0], k) and torch.equal(features[1], v)


@pytest.mark.parametrize("alpha", ["add", "token"])
def test_lims_own_features_serve_a_second_pass(alpha: str) -> None:
    lrm = network(alpha=alpha)
    lim, key, far = between(lrm), key_of(lrm), key_of(lrm, seed=9)
    first = lim(interval(lim, key, far), torch.tensor([0.4]))
    assert [s.shape for s in first.features] == [s.shape for s in key.features]
    assert near(lim.head(first.features[-1]), first.planes)
    second = interval(lim, key, far, first.features)
    again = lim(second, torch.tensor([0.5]), carried=torch.tensor([0.7]))  # half of what is left after 0.4 is 0.3
    assert again.planes.shape == first.planes.shape and not near(again.planes, first.planes)
    assert near(again.features[0], lim(second, torch.tensor([0.7])).features[0])


def test_every_set_and_the_far_images_matter(lrm: Lrm) -> None:
    lim, key, far = between(lrm), key_of(lrm), key_of(lrm, seed=9)
    alpha = torch.tensor([0.5])
    planes = lim(interval(lim, key, far), alpha).planes
    for k in range(1, len(key.features)):
        changed = [s + 0.5 * (n == k) * torch.randn_like(s) for n, s in enumerate(key.features)]
        assert not near(lim(interval(lim, key, far, changed), alpha).planes, planes)
    assert not near(lim(interval(lim, key, key), alpha).planes, planes)


def test_fewer_blocks_read_the_last_features(lrm: Lrm) -> None:
    lim, key, far = between(lrm, blocks=1), key_of(lrm), key_of(lrm, seed=9)
    ready = interval(lim, key, far)
    assert len(lim.blocks) == 1 and torch.equal(ready.stream, key.features[-2])
    assert len(lim(ready, torch.tensor([0.5])).features) == 2


def test_the_twin_looks_at_both_keys_and_at_home(lrm: Lrm) -> None:
    twin = between(lrm, twin=True)
    key, far, home = key_of(lrm), replace(key_of(lrm), carved=shaded(lrm, 0.2)), key_of(lrm, seed=4)
    home = replace(home, carved=shaded(lrm, 0.7))
    alpha = torch.tensor([0.5])
    planes = twin(interval(twin, key, far, home=home), alpha).planes
    assert not near(twin(interval(twin, key, key, home=home), alpha).planes, planes)
    assert not near(twin(interval(twin, far, far, home=home), alpha).planes, planes)
    assert not near(twin(interval(twin, far, key, home=home), alpha).planes, planes)


def shaded(lrm: Lrm, shade: float) -> Carved:
    """Cells of the first key in one colour."""
    carved, carve = key_of(lrm).carved, lrm.encoder.carve
    assert carved is not None and carved.told is not None and isinstance(carve, Carve)
    told = painted(carved.told, torch.full((len(carved.told), 3), shade))
    return carve.carved(carved.cells, carve.known(carved.cells, told), told)


def test_without_a_flow_the_twin_tells_both_keys_apart() -> None:
    lrm = network(carve=(), flow=())
    twin, key, far = between(lrm, twin=True), key_of(lrm), key_of(lrm, seed=9)
    alpha = torch.tensor([0.5])

    def planes(twin: Lim, far: Tokens, near: Tokens) -> Tensor:
        return twin(twin.interval(key.features, far, near), alpha).planes

    told = planes(twin, far.images, key.images)
    assert not near(planes(twin, far.images, far.images), told)
    assert not near(planes(twin, key.images, key.images), told)
    assert not near(planes(twin, key.images, far.images), told)  # the tag
    untagged = copy.deepcopy(twin)
    assert untagged.tag is not None
    untagged.tag.zero_()
    assert near(planes(untagged, far.images, key.images), planes(untagged, key.images, far.images))
    with pytest.raises(AssertionError):
        twin.interval(key.features, far.images)


def test_without_lines_no_place_is_used() -> None:
    lrm = network(lines=False)
    assert not any("place" in name for name in lrm.state_dict())
    assert lrm.encoder(*views(lrm.preset, 1, 0), ring()[None]).places is None
