"""Samples in an order that the step alone decides, so that training resumes to the same bits."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lim_server.training.data.clip import Clip, read_clip
from lim_server.training.data.procedural import make_clip
from lim_server.training.data.scene import Scene, Shoot, take
from lim_server.training.data.turns import about

FRAMES = 3
LEAST_MOTION = 0.03


@dataclass(frozen=True)
class Source:
    """Where clips come from: made up, and `own` of them from a folder that `lim clips` wrote."""

    folder: Path | None
    own: float

    def draw(self, seed: int) -> tuple[Clip, float]:
        """Three frames of a thing in motion, two ends and one between, and the time of that one."""
        random = np.random.default_rng((seed, 1))
        if self.folder is not None and random.random() < self.own:
            return own_clip(self.folder, random)
        time = float(random.uniform(0.15, 0.85))
        return make_clip(seed, (0.0, time, 1.0)), time


def own_clip(folder: Path, random: np.random.Generator) -> tuple[Clip, float]:
    """Three frames of one of a folder's animations, turned about the vertical, its colours shuffled now and then."""
    files = sorted(folder.glob("*.npz"))
    assets = sorted({path.name.split(".")[0] for path in files})
    asset = assets[random.integers(len(assets))]
    mine = [path for path in files if path.name.split(".")[0] == asset]
    clip = read_clip(mine[random.integers(len(mine))])
    first, middle, last = _three(clip, random)
    turned = clip.at([first, middle, last]).turned(about(np.array([0, random.uniform(0, 360), 0])).astype(np.float32))
    if random.random() < 0.5:
        turned = Clip(turned.faces, np.ascontiguousarray(turned.colours[..., random.permutation(3)]), turned.frames)
    return turned, (middle - first) / (last - first)


def _three(clip: Clip, random: np.random.Generator) -> tuple[int, int, int]:
    count = len(clip.frames)
    for _ in range(8):
        gap = int(random.integers(2, max(3, min(count, 17))))
        first = int(random.integers(0, max(1, count - gap)))
        last = min(first + gap, count - 1)
        if last - first >= 2 and clip.at([first, last]).motion() > LEAST_MOTION:
            break
    else:
        first, last = 0, count - 1
    if random.random() < 0.5:
        return last, int(random.integers(first + 1, last)), first
    return first, int(random.integers(first + 1, last)), last


def on_device(value: object, device: torch.device) -> object:
    """A dataclass of tensors, moved."""
    if isinstance(value, Tensor):
        return value.to(device)
    moved = [on_device(getattr(value, f.name), device) for f in fields(value)]  # type: ignore[arg-type]
    return type(value)(*moved)


@dataclass(frozen=True, eq=False)
class Block:
    """A number of clips from every side, used several times: seeds, scenes, and the time of each middle frame."""

    scene: Scene
    times: Tensor

    def pick(self, clips: Tensor) -> Block:
        """Some of them."""

        def some(value: object) -> object:
            if isinstance(value, Tensor):
                return value[clips]
            return type(value)(*(some(getattr(value, f.name)) for f in fields(value)))  # type: ignore[arg-type]

        return Block(some(self.scene), self.times[clips])  # type: ignore[arg-type]


def make_block(source: Source, shoot: Shoot, seeds: list[int], device: torch.device) -> Block:
    """The clips of these seeds, looked at."""
    drawn = [source.draw(seed) for seed in seeds]
    scenes = [take(clip, shoot, seed, str(device)) for (clip, _), seed in zip(drawn, seeds, strict=True)]
    times = torch.tensor([time for _, time in drawn], dtype=torch.float32, device=device)
    return Block(Scene.stack(scenes), times)


@dataclass(frozen=True, eq=False)
class Feed:
    """This process's samples: which block a step needs, and which of its samples."""

    clips: int
    samples: int  # of a block
    batch: int  # of this process
    seed: int
    rank: int
    world: int

    @property
    def steps(self) -> int:
        """That a block lasts."""
        return max(1, self.samples // self.batch)

    def block(self, step: int) -> tuple[int, list[int]]:
        """Number of the block of a step, and its clips' seeds; no two blocks or processes share a seed."""
        number = step // self.steps
        start = (number * self.world + self.rank) * self.clips
        return number, [self.seed * 10**9 + start + k for k in range(self.clips)]

    def samples_of(self, step: int) -> Tensor:
        """Which of the block's samples a step uses."""
        number, at = divmod(step, self.steps)
        random = torch.Generator().manual_seed(hash((self.seed, number, self.rank)) % 2**62)
        order = torch.randperm(self.samples, generator=random)
        return order[at * self.batch : (at + 1) * self.batch]

    def random(self, step: int, device: torch.device) -> torch.Generator:
        """For what a step draws itself."""
        number = (self.seed * self.world + self.rank) * 10**8 + step
        return torch.Generator(device).manual_seed(number)


def rate_at(step: int, steps: int, warmup: int, decay: int) -> float:
    """Share of the full rate: up, level, and down along a cosine at the end."""
    if step < warmup:
        return (step + 1) / warmup
    left = steps - step
    return 1.0 if left > decay or decay == 0 else 0.5 - 0.5 * math.cos(math.pi * left / decay)
