from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch

from lim_server.training.data.scene import Shoot
from lim_server.training.feed import Feed, Source, make_block, on_device, rate_at

CPU = torch.device("cpu")


def feed(rank: int = 0, world: int = 1, seed: int = 0, batch: int = 4) -> Feed:
    return Feed(clips=3, samples=18, batch=batch, seed=seed, rank=rank, world=world)


def test_no_two_blocks_processes_or_seeds_share_a_clip() -> None:
    drawn = [
        clip
        for seed in (0, 1, 7)
        for rank in range(3)
        for number in range(20)
        for clip in feed(rank, 3, seed).block(number * feed().steps)[1]
    ]
    assert len(drawn) == len(set(drawn)) == 3 * 3 * 20 * 3


def test_a_block_lasts_until_its_samples_are_used_once() -> None:
    one = feed()
    assert one.steps == 4  # 18 samples, 4 a step: two are left
    for number in (0, 5):
        steps = range(number * 4, number * 4 + 4)
        assert {one.block(step)[0] for step in steps} == {number}
        used = torch.cat([one.samples_of(step) for step in steps]).tolist()
        assert len(used) == len(set(used)) == 16 and set(used) <= set(range(18))


def test_order_differs_by_block_process_and_seed_and_never_else() -> None:
    orders = [f.samples_of(step) for f in (feed(), feed(1, 2), feed(seed=1)) for step in (0, 4)]
    assert all(not torch.equal(a, b) for k, a in enumerate(orders) for b in orders[:k])
    assert torch.equal(feed().samples_of(6), feed().samples_of(6))


def test_steps_and_processes_draw_for_themselves() -> None:
    drawn = [torch.rand(3, generator=feed(rank, 2).random(step, CPU)) for rank in (0, 1) for step in (0, 1, 99)]
    assert all(not torch.equal(a, b) for k, a in enumerate(drawn) for b in drawn[:k])
    assert torch.equal(drawn[1], torch.rand(3, generator=feed(0, 2).random(1, CPU)))


def test_a_batch_larger_than_a_block_is_the_whole_block() -> None:
    assert feed(batch=50).steps == 1 and len(feed(batch=50).samples_of(3)) == 18


def test_the_rate_rises_stays_and_falls() -> None:
    rates = [rate_at(step, 100, 10, 20) for step in range(101)]
    assert rates[:10] == [(k + 1) / 10 for k in range(10)]
    assert set(rates[10:80]) == {1.0}
    assert rates[90] == pytest.approx(0.5) and rates[100] == 0
    assert all(a > b for a, b in pairwise(rates[80:]))
    assert rates[85] == pytest.approx(0.5 + 0.5 * math.cos(math.pi * 5 / 20))


def test_the_rate_without_warmup_or_decay() -> None:
    assert [rate_at(step, 5, 0, 0) for step in range(6)] == [1.0] * 6
    assert rate_at(0, 5, 0, 5) == pytest.approx(1.0)


def test_a_block_is_clips_from_all_sides_and_can_be_picked_from() -> None:
    source = Source(None, 0.0)
    block = make_block(source, Shoot(16, count=30), [4, 5, 6], CPU)
    assert [source.draw(seed)[1] for seed in (4, 5, 6)] == pytest.approx(block.times.tolist())
    assert ((block.times > 0) & (block.times < 1)).all()
    some = block.pick(torch.tensor([2, 0]))
    assert torch.equal(some.times, block.times[[2, 0]])
    assert torch.equal(some.scene.cameras.world, block.scene.cameras.world[[2, 0]])
    assert torch.equal(some.scene.colour[0], block.scene.colour[2])
    moved = on_device(block, CPU)
    assert isinstance(moved, type(block)) and torch.equal(moved.scene.depth, block.scene.depth)


def test_own_clips_are_a_share_of_all(tmp_path: object) -> None:
    from pathlib import Path

    from tests.lim_server.training.packs import write

    folder = Path(str(tmp_path))
    write(folder / "a.walk.npz")
    for share, few, many in ((0.0, 0, 0), (0.5, 5, 25), (1.0, 30, 30)):
        own = sum(Source(folder, share).draw(seed)[0].frames.shape[1] == 4 for seed in range(30))
        assert few <= own <= many
