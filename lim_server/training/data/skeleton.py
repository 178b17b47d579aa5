"""Body plans of made-up things: bones with parts on them, seeded and endless."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from numpy.random import Generator

from lim_server.training.data.part import Coat, Form, make_coat
from lim_server.training.data.turns import Turn, about_axis, any_turn

Vector = Float[ndarray, " 3"]


@dataclass(frozen=True, eq=False)
class Bone:
    """A part and how it hangs on the part before it.

    parent  index of that bone, -1 for the root
    at      where its near end sits in the parent's space
    turn    its direction in the parent's space, at rest
    soft    share of its length over which its near end follows the parent: 0 is a hard joint
    swing   how far its joint goes, degrees at a motion of 1
    hinge   the axis that it mostly turns about, in its own space
    limp    how much it bends, twists and squashes by itself
    """

    form: Form
    coat: Coat
    parent: int
    at: Vector
    turn: Turn
    soft: float
    swing: float
    hinge: Vector
    limp: float = 0.0


Skeleton = list[Bone]


def make_skeleton(random: Generator) -> Skeleton:
    """One of the plans, drawn at random."""
    plans = (creature, creature, creature, chain, machine, soft_thing)
    return plans[random.integers(len(plans))](random)


def creature(random: Generator) -> Skeleton:
    """A body, a head, two to six legs or arms in mirrored pairs, perhaps a tail."""
    soft, coat = random.uniform(0.0, 0.5) * (random.random() < 0.7), make_coat(random)
    upright = random.random() < 0.4
    long, wide = random.uniform(0.7, 1.2), random.uniform(0.16, 0.34)
    form = Form(
        long, wide, wide * random.uniform(0.7, 1.3), _pick(random, 2.5, 6.0), _pick(random, 2.0, 5.0), _taper(random)
    )
    body = Bone(form, coat, -1, np.zeros(3), about_axis("x", 0.0 if upright else 90.0), 0.0, 0.0, _axis(random), 0.3)
    bones = [body]
    size = random.uniform(0.14, 0.28)
    head = Form(
        2 * size,
        size * random.uniform(0.7, 1.2),
        size,
        _pick(random, 2.0, 5.0),
        _pick(random, 2.0, 5.0),
        _taper(random),
    )
    lift = about_axis("x", random.uniform(-20, 20) if upright else random.uniform(-90, 0))
    bones.append(
        Bone(head, _like(coat, random), 0, np.array([0, long * 0.93, 0]), lift, soft * 0.5, 45.0, _axis(random))
    )
    for _ in range(random.integers(1, 4)):
        _pair(bones, random, soft, upright)
    if random.random() < 0.6:
        _limb(bones, random, soft, np.array([0, long * 0.05, 0]), about_axis("x", random.uniform(110, 250)), None)
    return bones


def _pair(bones: Skeleton, random: Generator, soft: float, upright: bool) -> None:
    """Two limbs of two or three bones, mirrored; painted alike more often than not."""
    body = bones[0].form
    at = np.array([body.wide * 0.75, body.length * random.uniform(0.08, 0.92), body.deep * random.uniform(-0.3, 0.3)])
    out = random.uniform(20, 160)
    turn = about_axis("z", -out)
    if not upright:
        turn = about_axis("x", random.uniform(60, 120)) @ about_axis("z", -random.uniform(0, 50))
    count, seed = random.integers(1, 4), random.integers(2**62)
    alike = random.random() < 0.7
    for side in (1.0, -1.0):
        mirrored = turn * np.outer([side, 1, 1], [side, 1, 1])
        coat = None if alike else make_coat(random)
        _limb(bones, np.random.default_rng(seed), soft, at * [side, 1, 1], mirrored, coat, int(count))


def _limb(
    bones: Skeleton, random: Generator, soft: float, at: Vector, turn: Turn, coat: Coat | None, count: int = 2
) -> None:
    """A row of bones, each thinner than the one before; the first hangs on the root."""
    length, wide = random.uniform(0.55, 0.95) / count, random.uniform(0.07, 0.15)
    flat, ends, section = random.uniform(0.6, 1.4), _pick(random, 2.5, 7.0), _pick(random, 2.0, 6.0)
    own, hinge, parent = make_coat(random), _axis(random), 0
    for k in range(count):
        form = Form(length * 1.12, wide, wide * flat, ends, section, random.uniform(0.6, 1.05))
        bend = turn if k == 0 else about_axis("x", random.uniform(-40, 40))
        bones.append(Bone(form, coat or own, parent, at, bend, soft, 65.0, hinge, 0.1))
        parent, at, wide = len(bones) - 1, np.array([0, length, 0]), wide * random.uniform(0.65, 1.0)


def chain(random: Generator) -> Skeleton:
    """Fish, snakes and tentacles: a row of bones in one skin, perhaps with fins."""
    count, coat = random.integers(2, 6), make_coat(random)
    length, wide = 1.8 / count, random.uniform(0.1, 0.4)
    deep, section = wide * random.uniform(0.4, 1.2), _pick(random, 2.0, 4.0)
    hinge, bones = _axis(random), []
    for k in range(count):
        girth = 0.5 + np.sin(np.pi * (k + 1) / (count + 1)) * random.uniform(0.5, 0.8)
        form = Form(
            length * 1.3, wide * girth, deep * girth, _pick(random, 2.0, 4.0), section, random.uniform(0.7, 1.1)
        )
        at = np.array([0, length, 0]) if k else np.zeros(3)
        bones.append(Bone(form, _like(coat, random), k - 1, at, np.eye(3), 0.5, 40.0 if k else 0.0, hinge, 0.3))
    for _ in range(random.integers(0, 4)):
        root = int(random.integers(count))
        wide_fin = random.uniform(0.15, 0.35)
        fin = Form(random.uniform(0.3, 0.6), wide_fin, 0.05, _pick(random, 2.0, 4.0), 2.5, random.uniform(0.4, 1.3))
        turn = about_axis("y", random.uniform(0, 360)) @ about_axis("x", random.uniform(50, 120))
        bones.append(
            Bone(fin, _like(coat, random), root, np.array([0, length * 0.5, 0]), turn, 0.3, 50.0, _axis(random), 0.3)
        )
    return bones


def machine(random: Generator) -> Skeleton:
    """Boxes and cylinders on hard joints: arms, wheels, turrets."""
    bones: Skeleton = []
    for k in range(random.integers(2, 8)):
        size = random.uniform(0.12, 0.4, 2) * (1.3 if k == 0 else 0.8)
        form = Form(
            random.uniform(0.35, 0.9),
            size[0],
            size[1],
            _pick(random, 6.0, 14.0),
            _pick(random, 2.0, 10.0),
            random.uniform(0.5, 1.1),
        )
        parent = -1 if k == 0 else int(random.integers(k))
        at = np.zeros(3)
        if k:
            under = bones[parent].form
            across = random.uniform(-0.8, 0.8, 2) * [under.wide, under.deep]
            at = np.array([across[0], under.length * random.uniform(0.15, 1.0), across[1]])
        turn = np.eye(3) if k == 0 else any_turn(random)
        bones.append(Bone(form, make_coat(random), parent, at, turn, 0.0, 75.0, _axis(random)))
    return bones


def soft_thing(random: Generator) -> Skeleton:
    """One to three soft bodies that bend, twist and squash far."""
    bones: Skeleton = []
    for k in range(random.integers(1, 4)):
        wide = random.uniform(0.2, 0.45) * (1 if k == 0 else 0.6)
        form = Form(
            random.uniform(0.6, 1.4),
            wide,
            wide * random.uniform(0.4, 1.2),
            _pick(random, 2.0, 8.0),
            _pick(random, 2.0, 8.0),
            _taper(random),
        )
        at = np.zeros(3) if k == 0 else np.array([0, bones[0].form.length * random.uniform(0.2, 0.9), 0])
        turn = np.eye(3) if k == 0 else any_turn(random)
        bones.append(Bone(form, make_coat(random), 0 if k else -1, at, turn, 0.4, 40.0, _axis(random), 1.0))
    return bones


def _pick(random: Generator, low: float, high: float) -> float:
    return float(random.uniform(low, high))


def _taper(random: Generator) -> float:
    return float(random.uniform(0.5, 1.4))


def _axis(random: Generator) -> Vector:
    """A hinge's axis: one of the part's own, a little off."""
    axis = np.eye(3)[random.integers(3)] + random.normal(0, 0.15, 3)
    return axis / np.linalg.norm(axis)


def _like(coat: Coat, random: Generator) -> Coat:
    """The same coat, or one like it, or another."""
    draw = random.random()
    if draw < 0.4:
        return coat
    if draw < 0.7:
        return replace(coat, colours=np.clip(coat.colours * random.uniform(0.6, 1.3), 0.02, 1))
    return make_coat(random)
