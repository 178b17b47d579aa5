"""Training recipes: a function returns a complete one, a variant calls it and replaces fields."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from lim_server.models.presets import nano, smoke, tiny
from lim_server.training.data.scene import Shoot

Model = Literal["lrm", "lim", "lim-xyz"]


@dataclass(frozen=True)
class Recipe:
    """All that decides what training makes, but for the clips given to it.

    model         lrm, lim, or lim-xyz (its twin); the LRM's twin shares the LRM's weights: a share of its samples,
                  `xyz`, are pictures of canonical coordinates (our decision: it halves the training)
    preset        size of the model; lim_blocks, fewer of them, instead of its own
    steps, decay  how many, and over how many of the last the rate falls to nothing
    batch         samples of a step, over all processes
    clips, uses   how many clips are drawn at a time, and how often each of their frames (LRM) or they (LIM) are used
    own           share of clips from the folder given, the rest is made up
    field         weight of the decoded field's loss (opacity and colour at points) beside L_T
    causal        weight of L_causal
    target        what L_causal is held against: the LRM's triplane, or LIM's direct answer (see docs/models.md)
    rays          rays per sample that are rendered while the rate falls
    muon          rate of Muon for the matrices of the tokens' layers (steps.py); 0 for AdamW alone
    bfloat16      on a CPU too: several times as fast where it has the instructions (AVX512_BF16, AMX), else slow
    flow          of LIM only the flow is trained that it begins with (models/flow.py): a start for LIM and its twin
    whole         share of the twin's samples that run all the way to the far key, where tracking asks it
    """

    name: str
    model: Model
    preset: str
    steps: int
    decay: int
    batch: int
    rate: float
    shoot: Shoot
    seed: int = 0
    warmup: int = 100
    weight_decay: float = 0.02
    clips: int = 48
    uses: int = 6
    own: float = 0.5
    xyz: float = 0.3
    field: float = 1.0
    causal: float = 0.0
    target: Literal["lrm", "direct"] = "lrm"
    rays: int = 0
    whole: float = 0.5
    flow: bool = False
    lim_blocks: int | None = None
    muon: float = 0.01
    bfloat16: bool = True


def nano_lrm() -> Recipe:
    """The LRM and its twin for two CPU cores."""
    return Recipe("nano-lrm", "lrm", "nano", 6000, 1500, 8, 1.2e-3, Shoot(nano().size), clips=256, uses=8, rays=64)


def nano_lim() -> Recipe:
    """LIM over the nano LRM."""
    shoot = Shoot(nano().size)
    return Recipe("nano-lim", "lim", "nano", 6000, 2000, 8, 8e-4, shoot, clips=384, uses=12, field=0.5, causal=0.5)


def nano_lim_direct() -> Recipe:
    """Without L_causal (the paper's ablation)."""
    return replace(nano_lim(), name="nano-lim-nocausal", causal=0.0)


def nano_xyz() -> Recipe:
    """LIM's twin: canonical coordinates."""
    return replace(nano_lim(), name="nano-xyz", model="lim-xyz", uses=8, causal=0.0, whole=0.75)


def micro_lrm() -> Recipe:
    """The sharper LRM of that size."""
    return replace(nano_lrm(), name="micro-lrm", preset="micro")


def micro_flow() -> Recipe:
    """The flow that LIM and its twin over it begin with."""
    more = replace(nano_lim_direct(), name="micro-flow", preset="micro", steps=3000, decay=1000, flow=True)
    return replace(more, rate=2e-3, clips=192, uses=8)


def micro_lim() -> Recipe:
    """LIM over it, without L_causal."""
    return replace(nano_lim_direct(), name="micro-lim", preset="micro", clips=192)


def micro_xyz() -> Recipe:
    """LIM's twin over it."""
    return replace(nano_xyz(), name="micro-xyz", preset="micro", clips=192, uses=12)


def tiny_lrm() -> Recipe:
    """The LRM and its twin for one GPU."""
    shoot = Shoot(tiny().size, count=1536)
    more = replace(nano_lrm(), name="tiny-lrm", preset="tiny", steps=20000, decay=5000, batch=64, rate=4e-4)
    return replace(more, shoot=shoot, muon=3e-3, clips=48, uses=6)


def tiny_flow() -> Recipe:
    """The flow that LIM and its twin over the tiny LRM begin with."""
    return replace(tiny_lim(), name="tiny-flow", causal=0.0, flow=True)


def tiny_lim() -> Recipe:
    """LIM over the tiny LRM."""
    more = replace(nano_lim(), name="tiny-lim", preset="tiny", steps=10000, decay=3000, batch=64, rate=3e-4)
    return replace(more, shoot=tiny_lrm().shoot, muon=3e-3, clips=48, uses=8)


def tiny_xyz() -> Recipe:
    """LIM's twin over the tiny LRM."""
    return replace(tiny_lim(), name="tiny-xyz", model="lim-xyz", causal=0.0)


def smoke_lrm() -> Recipe:
    """A few steps of everything, for tests and for a first look at a new machine."""
    few = replace(nano_lrm(), name="smoke-lrm", preset="smoke", steps=8, decay=2, batch=4, warmup=2, clips=2, uses=3)
    return replace(few, shoot=Shoot(smoke().size, count=96), rays=8, bfloat16=False)  # the same bits on any CPU


def smoke_flow() -> Recipe:
    """The same for LIM's flow."""
    return replace(smoke_lim(), name="smoke-flow", causal=0.0, flow=True)


def smoke_lim() -> Recipe:
    """The same for LIM."""
    few = replace(nano_lim(), name="smoke-lim", preset="smoke", steps=8, decay=2, batch=4, warmup=2, clips=2, uses=6)
    return replace(few, shoot=smoke_lrm().shoot, bfloat16=False)


def smoke_xyz() -> Recipe:
    """The same for its twin."""
    return replace(smoke_lim(), name="smoke-xyz", model="lim-xyz", causal=0.0)


RECIPES = {
    make().name: make
    for make in (
        nano_lrm,
        nano_lim,
        nano_lim_direct,
        nano_xyz,
        micro_lrm,
        micro_flow,
        micro_lim,
        micro_xyz,
        tiny_lrm,
        tiny_flow,
        tiny_lim,
        tiny_xyz,
        smoke_lrm,
        smoke_flow,
        smoke_lim,
        smoke_xyz,
    )
}
