"""One solid part of a made-up thing: a superquadric along a bone, with a coat of paint."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from numpy.random import Generator

RINGS, SEGMENTS = 12, 16


@dataclass(frozen=True)
class Form:
    """A part's form: its bone runs along +y from 0 to `length`.

    wide, deep  half-sizes across the bone
    round       exponent of the outline along the bone: 2 an ellipsoid, 8 a box
    section     the same across it
    taper       the far end's width over the near end's
    """

    length: float
    wide: float
    deep: float
    round: float
    section: float
    taper: float


@dataclass(frozen=True, eq=False)
class Part:
    """A closed mesh, and where each point stands along the bone (0 near, 1 far)."""

    points: Float[ndarray, "n 3"]
    faces: Int[ndarray, "f 3"]
    along: Float[ndarray, " n"]


def make_part(form: Form) -> Part:
    """The form as a mesh of rings between two poles, normals outwards."""
    turn = np.linspace(0, 2 * np.pi, SEGMENTS, endpoint=False)
    # rings crowd towards the ends, where the outline bends
    height = -np.cos(np.linspace(0, np.pi, RINGS + 2))[1:-1]
    radius = (1 - np.abs(height) ** form.round) ** (1 / form.round)
    along = np.concatenate(([0.0], np.repeat((height + 1) / 2, SEGMENTS), [1.0]))
    radius = radius * (1 + (form.taper - 1) * (height + 1) / 2)
    cosine, sine = (np.sign(v) * np.abs(v) ** (2 / form.section) for v in (np.cos(turn), np.sin(turn)))
    x = np.concatenate(([0.0], np.outer(radius, cosine).ravel() * form.wide, [0.0]))
    z = np.concatenate(([0.0], np.outer(radius, sine).ravel() * form.deep, [0.0]))
    return Part(np.stack((x, along * form.length, z), -1), _rings(), along)


def _rings() -> Int[ndarray, "f 3"]:
    ring = 1 + np.arange(RINGS * SEGMENTS).reshape(RINGS, SEGMENTS)
    after = np.roll(ring, -1, axis=1)
    last = RINGS * SEGMENTS + 1
    near = np.stack((np.zeros(SEGMENTS, int), ring[0], after[0]), -1)
    far = np.stack((np.full(SEGMENTS, last), after[-1], ring[-1]), -1)
    low = np.stack((ring[:-1], ring[1:], after[1:]), -1).reshape(-1, 3)
    high = np.stack((ring[:-1], after[1:], after[:-1]), -1).reshape(-1, 3)
    return np.concatenate((near, low, high, far))


@dataclass(frozen=True, eq=False)
class Coat:
    """Paint: a pattern in two or three colours over a part's own space."""

    colours: Float[ndarray, "3 3"]
    pattern: str
    scale: float
    phase: Float[ndarray, " 3"]

    def paint(self, part: Part) -> Float[ndarray, "n 3"]:
        """sRGB, 0 to 1, for each point."""
        at = part.points * self.scale
        wave = np.sin(at * 2 * np.pi + self.phase)
        mix = {
            "plain": np.zeros(len(at)),
            "rings": wave[:, 1],
            "stripes": wave[:, 0],
            "checks": np.sign(wave[:, 1]) * np.sign(wave[:, 0] + wave[:, 2]),
            "blobs": wave.sum(axis=1),
            "halves": at[:, 2] * 8,
            "fade": part.along * 2 - 1,
        }[self.pattern]
        share = np.clip(mix * 1.5 + 0.5, 0, 1)[:, None]
        colour = self.colours[0] * (1 - share) + self.colours[1] * share
        tip = np.clip((part.along - 0.75) * 12, 0, 1)[:, None] * float(self.phase[0] > np.pi)
        return colour * (1 - tip) + self.colours[2] * tip


PATTERNS = ("plain", "plain", "rings", "stripes", "checks", "blobs", "halves", "fade")


def make_coat(random: Generator) -> Coat:
    """A coat with or without detail."""
    colours = random.uniform(0, 1, (3, 3)) ** random.uniform(0.6, 1.6)
    if random.random() < 0.3:
        colours[1:] = colours[0] * random.uniform(0.5, 1.2, (2, 1))  # nearly one colour, as much that is real
    return Coat(
        np.clip(colours, 0.02, 1),
        PATTERNS[random.integers(len(PATTERNS))],
        random.uniform(1.0, 6.0),
        random.uniform(0, 2 * np.pi, 3),
    )
