from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor

from lim_server.models.attention import Tokens
from lim_server.models.lim import Lim
from lim_server.models.lrm import Lrm
from lim_server.render.cameras import ring
from tests.lim_server.models.networks import between, key_of, network, views


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
            assert own.keys() == other.keys() and all(torch.equal(own[n], other[n]) for n in own)
            assert all(a is not b for a, b in zip(getattr(mine, name).parameters(), getattr(theirs, like).parameters()))
    assert all(torch.equal(a, b) for a, b in zip(lim.head.parameters(), lrm.head.parameters()))
    lim.learn()
    learned = {name.split(".")[0] for name, weight in lim.named_parameters() if weight.requires_grad}
    assert learned == {"blocks", "alpha"}


@pytest.mark.parametrize("blocks", [1, None])
def test_the_stream_begins_between_both_keys(lrm: Lrm, blocks: int | None) -> None:
    lim, key, far = between(lrm, blocks=blocks), key_of(lrm), key_of(lrm, seed=9)
    at = -len(lim.blocks) - 1
    ready = lim.interval(key.features, far.images)
    assert ready.ahead is not None and near(ready.ahead, far.features[at])
    for alpha in (0.0, 0.3, 1.0):
        begun = lim(ready, torch.tensor([alpha])).features[0]
        assert near(begun, (1 - alpha) * key.features[at] + alpha * far.features[at])


def test_without_carved_tokens_it_begins_at_the_near_key() -> None:
    lrm = network(carve=())
    lim, key, far = between(lrm), key_of(lrm), key_of(lrm, seed=9)
    assert lim.ahead is None and not any(name.startswith("ahead") for name in lim.state_dict())
    ready = lim.interval(key.features, far.images)
    assert torch.equal(lim(ready, torch.tensor([0.4])).features[0], key.features[0])


def test_alpha_says_nothing_before_training(lrm: Lrm) -> None:
    lim, key = Lim(lrm), key_of(lrm)
    ready = lim.interval(key.features, key.images)  # nothing moves
    planes = lim(ready, torch.tensor([0.0, 0.4, 1.0])).planes
    assert near(planes[0], planes[1]) and near(planes[0], planes[2])


@pytest.mark.parametrize("alpha", ["add", "token"])
@pytest.mark.parametrize("lines", [True, False])
def test_a_batch_of_alphas_is_each_by_itself(alpha: str, lines: bool) -> None:
    lrm = network(alpha=alpha, lines=lines)
    lim, key, far = between(lrm), key_of(lrm), key_of(lrm, seed=9)
    times = torch.tensor([0.1, 0.5, 0.9])
    together = lim(lim.interval(key.features, far.images), times)
    assert not near(together.planes[0], together.planes[2])
    assert together.planes.shape == (3, *key.planes.shape[1:])
    for k in range(3):
        alone = lim(lim.interval(key.features, far.images), times[k : k + 1])
        assert near(alone.planes[0], together.planes[k])
        assert all(near(a[0], b[k]) for a, b in zip(alone.features, together.features, strict=True))


def test_intervals_of_a_batch_do_not_mix(lrm: Lrm) -> None:
    lim, key, far = between(lrm), key_of(lrm, 2), key_of(lrm, 2, seed=9)
    times = torch.tensor([0.3, 0.8])
    both = lim(lim.interval(key.features, far.images), times).planes
    for k in (0, 1):
        features = [set_[k : k + 1] for set_ in key.features]
        images = Tokens(
            far.images.values[k : k + 1], None if far.images.places is None else far.images.places[k : k + 1]
        )
        assert near(lim(lim.interval(features, images), times[k : k + 1]).planes[0], both[k])


def test_what_is_held_is_what_each_block_would_make(lrm: Lrm) -> None:
    lim, key, far = between(lrm), key_of(lrm), key_of(lrm, seed=9)
    ready = lim.interval(key.features, far.images)
    assert torch.equal(ready.stream, key.features[0])
    for block, past, (images, features) in zip(lim.blocks, key.features[1:], ready.held, strict=True):
        assert torch.equal(images[0], block.cross.hold(far.images)[0])
        k, v = block.past.hold(Tokens(block.norm2(past), lim.places if lrm.preset.lines else None))
        assert torch.equal(features[0], k) and torch.equal(features[1], v)


@pytest.mark.parametrize("alpha", ["add", "token"])
def test_lims_own_features_serve_a_second_pass(alpha: str) -> None:
    lrm = network(alpha=alpha)
    lim, key, far = between(lrm), key_of(lrm), key_of(lrm, seed=9)
    first = lim(lim.interval(key.features, far.images), torch.tensor([0.4]))
    assert [s.shape for s in first.features] == [s.shape for s in key.features]
    assert near(lim.head(first.features[-1]), first.planes)
    again = lim(lim.interval(first.features, far.images), torch.tensor([0.5]))
    assert again.planes.shape == first.planes.shape and not near(again.planes, first.planes)
    # half of what is left after 0.4 is 0.3
    assert near(again.features[0], 0.3 * key.features[0] + 0.7 * far.features[0])


def test_every_set_and_the_far_images_matter(lrm: Lrm) -> None:
    lim, key, far = between(lrm), key_of(lrm), key_of(lrm, seed=9)
    alpha = torch.tensor([0.5])
    planes = lim(lim.interval(key.features, far.images), alpha).planes
    for k in range(len(key.features)):
        changed = [s + 0.5 * (n == k) * torch.randn_like(s) for n, s in enumerate(key.features)]
        assert not near(lim(lim.interval(changed, far.images), alpha).planes, planes)
    assert not near(lim(lim.interval(key.features, key.images), alpha).planes, planes)


def test_fewer_blocks_read_the_last_features(lrm: Lrm) -> None:
    lim, key, far = between(lrm, blocks=1), key_of(lrm), key_of(lrm, seed=9)
    ready = lim.interval(key.features, far.images)
    assert len(lim.blocks) == 1 and torch.equal(ready.stream, key.features[-2])
    assert len(lim(ready, torch.tensor([0.5])).features) == 2


def test_the_twin_looks_at_both_keys_and_tells_them_apart(lrm: Lrm) -> None:
    twin, key, far = between(lrm, twin=True), key_of(lrm), key_of(lrm, seed=9)
    alpha = torch.tensor([0.5])
    planes = twin(twin.interval(key.features, far.images, key.images), alpha).planes
    assert not near(twin(twin.interval(key.features, far.images, far.images), alpha).planes, planes)
    assert not near(twin(twin.interval(key.features, key.images, key.images), alpha).planes, planes)
    assert not near(twin(twin.interval(key.features, key.images, far.images), alpha).planes, planes)  # the tag
    untagged = copy.deepcopy(twin)
    assert untagged.tag is not None
    untagged.tag.zero_()
    untagged.ahead = None  # which is the far key's alone
    one = untagged(untagged.interval(key.features, far.images, key.images), alpha).planes
    other = untagged(untagged.interval(key.features, key.images, far.images), alpha).planes
    assert near(one, other)
    with pytest.raises(AssertionError):
        twin.interval(key.features, far.images)


def test_without_lines_no_place_is_used() -> None:
    lrm = network(lines=False)
    assert not any("place" in name for name in lrm.state_dict())
    assert lrm.encoder(*views(lrm.preset, 1, 0), ring()[None]).places is None
