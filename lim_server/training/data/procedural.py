"""Made-up things in motion: endless, seeded, with every correspondence known (ours; the paper has 6,052 rigged models).

A seed is a thing: skeleton, coats, two poses and the way between them. Its points can be asked for at any time from 0
to 1; the way is smooth and curved, so that halfway is not the mean of the ends.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from numpy.random import Generator

from lim_server.training.data.clip import Clip, into_ball
from lim_server.training.data.part import Part, make_part
from lim_server.training.data.skeleton import Bone, Skeleton, make_skeleton
from lim_server.training.data.turns import Turn, about, about_axis

EASY, VIOLENT = 0.2, 1.5


def make_clip(seed: int, times: Sequence[float] | None = None) -> Clip:
    """The thing of this seed at the given times; unless given: 0, a time in between that the seed draws, and 1."""
    random = np.random.default_rng(seed)
    skeleton = make_skeleton(random)
    parts = [make_part(bone.form) for bone in skeleton]
    motion = Motion(skeleton, random)
    if times is None:
        times = (0.0, float(random.uniform(0.15, 0.85)), 1.0)
    frames = np.stack([motion.points(parts, time) for time in times])
    offsets = np.cumsum([0] + [len(part.points) for part in parts])
    faces = np.concatenate([part.faces + offset for part, offset in zip(parts, offsets[:-1], strict=True)])
    colours = np.concatenate([bone.coat.paint(part) for bone, part in zip(skeleton, parts, strict=True)])
    corner = np.round(np.clip(colours, 0, 1) * 255).astype(np.uint8)[faces]
    return Clip(faces.astype(np.int32), corner, into_ball(frames.astype(np.float32)))


class Motion:
    """Where the bones go, from one pose to another."""

    def __init__(self, skeleton: Skeleton, random: Generator):
        self.skeleton = skeleton
        strength = random.uniform(EASY, VIOLENT)
        count = len(skeleton)
        swing = np.array([bone.swing for bone in skeleton])
        hinge = np.stack([bone.hinge for bone in skeleton])
        # most of a joint's turn is about its hinge; a joint may stand still
        busy = random.random(count) < 0.85
        angle = random.normal(0, 1, count) * swing * strength * busy
        self.begin = about(random.normal(0, 15, (count, 3)) * (swing > 0)[:, None])
        self.way = hinge * angle[:, None] + random.normal(0, 6, (count, 3)) * strength * (swing > 0)[:, None]
        self.arc = random.uniform(-0.25, 0.25, count) * np.linalg.norm(self.way, axis=1)
        self.side = np.roll(hinge, 1, axis=1)
        lean = about(random.normal(0, 12, 3) * [1, 0, 1])
        self.heading = lean @ about_axis("y", random.uniform(0, 360))
        self.spin = random.normal(0, 1, 3) * np.array([8, 25, 8]) * strength
        self.travel = random.uniform(-0.3, 0.3, 3) * strength
        limp = np.array([bone.limp for bone in skeleton])[:, None]
        self.limp = [random.normal(0, [0.35, 0.35, 0.5, 0.18], (count, 4)) * limp * k for k in (0.7, strength)]

    def points(self, parts: list[Part], time: float) -> Float[ndarray, "n 3"]:
        """Every part's points, in the order of the parts."""
        turns, places = self._bones(time)
        first, first_places = self._bones(None)
        posed = []
        for k, (bone, part) in enumerate(zip(self.skeleton, parts, strict=True)):
            local = _limp(part, bone, self.limp[0][k] + self.limp[1][k] * np.sin(time * np.pi / 2))
            points = local @ turns[k].T + places[k]
            if bone.parent >= 0 and bone.soft > 0:
                # the near end as if it were the parent's own, by linear blend skinning
                rest = local @ first[k].T + first_places[k]
                to_parent = turns[bone.parent] @ first[bone.parent].T
                carried = (rest - first_places[bone.parent]) @ to_parent.T + places[bone.parent]
                share = np.clip(0.5 * (1 - part.along / bone.soft), 0, 0.5)[:, None]
                points = points * (1 - share) + carried * share
            posed.append(points)
        return np.concatenate(posed)

    def _bones(self, time: float | None) -> tuple[list[Turn], list[Float[ndarray, " 3"]]]:
        """Rotation and near end of every bone in the world; at rest without a time."""
        turns: list[Turn] = []
        places: list[Float[ndarray, " 3"]] = []
        for k, bone in enumerate(self.skeleton):
            own = bone.turn
            if time is not None:
                curve = self.side[k] * self.arc[k] * 4 * time * (1 - time)
                own = own @ self.begin[k] @ about(self.way[k] * time + curve)
            if bone.parent < 0:
                moved = np.eye(3) if time is None else about(self.spin * time)
                turns.append(moved @ self.heading @ own)
                places.append(np.zeros(3) if time is None else self.travel * time)
            else:
                turns.append(turns[bone.parent] @ own)
                places.append(places[bone.parent] + turns[bone.parent] @ bone.at)
        return turns, places


def _limp(part: Part, bone: Bone, state: Float[ndarray, " 4"]) -> Float[ndarray, "n 3"]:
    """Bent two ways, twisted and squashed along the bone (volume kept)."""
    if bone.limp == 0:
        return part.points
    bend_x, bend_z, twist, squash = state
    length, along = bone.form.length, part.along
    long = np.exp(squash)
    angle = twist * along
    x, z = part.points[:, 0] / np.sqrt(long), part.points[:, 2] / np.sqrt(long)
    cosine, sine = np.cos(angle), np.sin(angle)
    bow = (along * along) * length
    return np.stack(
        (x * cosine - z * sine + bend_x * bow, along * length * long, x * sine + z * cosine + bend_z * bow), -1
    )
