"""The loop: one process or many, resumable to the same bits, stopping when told to and where it is safe."""

from __future__ import annotations

import gc
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.nn.parallel import DistributedDataParallel

from lim_server.models.lim import Lim
from lim_server.models.lrm import Lrm
from lim_server.models.presets import PRESETS
from lim_server.models.weights import Card, begin_from, load_lrm, save_weights
from lim_server.training.checkpoints import read_checkpoint, write_checkpoint
from lim_server.training.feed import Block, Feed, Source, make_block, rate_at
from lim_server.training.flow_objective import FlowObjective
from lim_server.training.interrupt import Interrupt
from lim_server.training.log import Log
from lim_server.training.memory import memory_for
from lim_server.training.objective import LimObjective, LrmObjective, Prepared
from lim_server.training.recipes import Recipe
from lim_server.training.samples import draw_samples
from lim_server.training.steps import Steps


@dataclass(frozen=True)
class Job:
    """What to train, and where.

    folder    checkpoint, log and samples; a checkpoint that lies there is gone on from
    lrm       checkpoint of the LRM, for LIM
    start     weights to begin with where there is no checkpoint, else None
    clips     folder of own clips, or None
    minutes   stop after so many, with a checkpoint
    """

    recipe: Recipe
    folder: Path
    lrm: Path | None = None
    start: Path | None = None
    clips: Path | None = None
    minutes: float = float("inf")
    device: str = "cpu"
    every: int = 20
    keep_every: int = 200


class BadJob(ValueError):
    """A training that cannot be started; the message says what of it does not fit."""


def train(job: Job, interrupt: Interrupt | None = None) -> Path:
    """Trains until the recipe's last step, the time is up or a signal came; returns the weights' path."""
    rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    if job.recipe.batch % world:
        raise BadJob(
            f"{job.recipe.name}: a batch of {job.recipe.batch} does not divide among {world} processes. Give a --batch "
            f"that does, such as {max(1, round(job.recipe.batch / world)) * world}."
        )
    device = torch.device(job.device if job.device != "cuda" else f"cuda:{os.environ.get('LOCAL_RANK', 0)}")
    if world > 1 and not dist.is_initialized():
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    torch.manual_seed(job.recipe.seed)
    try:
        return Run(job, rank, world, device, interrupt or Interrupt()).go()
    finally:
        if world > 1:
            gc.collect()  # what is left of the run holds the group, whose threads have to end before the process does
            dist.destroy_process_group()


class Run:
    """One process of a training."""

    def __init__(self, job: Job, rank: int, world: int, device: torch.device, interrupt: Interrupt):
        self.job, self.rank, self.world, self.device, self.interrupt = job, rank, world, device, interrupt
        recipe = job.recipe
        self.objective, self.model, self.lrm_sha256 = objective_of(job)
        self.objective.to(device)
        if isinstance(self.objective, LimObjective):
            self.objective.frozen[0].to(device)
        self.steps = Steps(self.model, recipe)
        unused = isinstance(self.objective, LrmObjective)  # the renderer's two numbers, until there are rays
        self.parallel: nn.Module = (
            DistributedDataParallel(self.objective, find_unused_parameters=unused) if world > 1 else self.objective
        )
        batch = recipe.batch // world
        self.feed = Feed(recipe.clips, self.objective.samples(recipe.clips), batch, recipe.seed, rank, world)
        self.source = Source(job.clips, recipe.own if job.clips else 0.0)
        self.held: tuple[int, Block | Prepared] | None = None
        self.step = read_checkpoint(job.folder, self.model, self.steps, recipe, self.lrm_sha256)

    def go(self) -> Path:
        """To the last step, or until the time is up."""
        begun, recipe = time.monotonic(), self.job.recipe
        log = Log(self.job.folder, self.rank, self.step)
        making = 0.0
        while self.step < recipe.steps and not self._over(begun):
            before = time.monotonic()
            with memory_for(recipe, self.feed.batch, self.device):
                ready = self._block()
                making += time.monotonic() - before
                parts = self._one(ready)
            self.step += 1
            if self.step % self.job.every == 0 or self.step == recipe.steps:
                log.write(self.step, self._mean(parts), rate=recipe.rate * self._share(), feed=making, since=begun)
            if self.step % self.job.keep_every == 0:
                self.keep()
                if self.rank == 0:
                    draw_samples(self.objective, ready, self.job.folder / f"step{self.step:06d}.png")
        self.keep()
        log.close()
        return self.weights()

    def _one(self, ready: Block | Prepared) -> dict[str, Tensor]:
        with self._mixed():
            parts = self.parallel(
                ready, self.feed.samples_of(self.step), self.step, self.feed.random(self.step, self.device)
            )
        parts["total"].backward()
        self.steps.take(self._share())
        return {name: part.detach() for name, part in parts.items()}

    def _mixed(self) -> torch.autocast:
        """bfloat16 where it may be; the results stay, and the weights are, float32."""
        kind = self.device.type
        return torch.autocast(kind, torch.bfloat16, enabled=kind == "cuda" or self.job.recipe.bfloat16)

    def _share(self) -> float:
        recipe = self.job.recipe
        return rate_at(self.step, recipe.steps, recipe.warmup, recipe.decay)

    def _block(self) -> Block | Prepared:
        number, seeds = self.feed.block(self.step)
        if self.held is None or self.held[0] != number:
            block = make_block(self.source, self.job.recipe.shoot, seeds, self.device)
            with self._mixed():
                self.held = number, self.objective.prepare(block)
        return self.held[1]

    def _over(self, begun: float) -> bool:
        """Whether the time is up or a signal has come; all processes stop at the same step."""
        over = self.interrupt.number > 0 or time.monotonic() - begun > 60 * self.job.minutes
        if self.world == 1:
            return over
        if self.device.type == "cuda" and self.step % 10:  # asking would hold up steps that are as short as these
            return False
        any_over = torch.tensor(float(over), device=self.device)
        dist.all_reduce(any_over, dist.ReduceOp.MAX)
        return bool(any_over)

    def _mean(self, parts: dict[str, Tensor]) -> dict[str, float]:
        values = torch.stack([parts[name].float() for name in sorted(parts)])
        if self.world > 1:
            dist.all_reduce(values)
        return dict(zip(sorted(parts), (values / self.world).tolist(), strict=True))

    def keep(self) -> None:
        """The checkpoint, and the weights by themselves."""
        if self.rank:
            return
        recipe = self.job.recipe
        write_checkpoint(self.job.folder, self.model, self.steps, self.step, recipe, self.lrm_sha256)
        card = Card(recipe.model, recipe.preset, asdict(recipe), self.step, {}, self.lrm_sha256, recipe.lim_blocks)
        save_weights(self.weights(), self.model, card)

    def weights(self) -> Path:
        """Where the weights by themselves lie."""
        return self.job.folder / f"{self.job.recipe.name}.safetensors"


def objective_of(job: Job) -> tuple[LrmObjective | LimObjective, nn.Module, str]:
    """What is trained, at its start, and the digest of the LRM under it."""
    recipe = job.recipe
    if recipe.model == "lrm":
        lrm = Lrm(PRESETS[recipe.preset]())
        if job.start is not None:
            begin_from(job.start, lrm, ("lrm",))
        return LrmObjective(recipe, lrm), lrm, ""
    assert job.lrm is not None
    lrm, sha256 = load_lrm(job.lrm, recipe.preset)
    lim = Lim(lrm, blocks=recipe.lim_blocks, twin=recipe.model == "lim-xyz")
    lim.learn(flow=recipe.flow)
    if job.start is not None:
        begin_from(job.start, lim, ("lim", "lim-xyz"))
    objective = FlowObjective if recipe.flow else LimObjective
    return objective(recipe, lrm, lim), lim, sha256
