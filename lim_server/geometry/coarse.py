"""Several guesses at once: a deformation graph drawn to the target by annealed soft assignment.

Expectation: every sample of the source is given its share of the target's samples, near in place, direction and
looks (unbalanced transport, `transport.py`). Maximisation: the graph's nodes follow, as rigidly as they are told to
(embedded deformation, Sumner et al. 2007, with the local/global steps of Sorkine and Alexa 2007). Width and
stiffness fall from step to step. All guesses run in one batch of tensors on one device.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import breadth_first_order, connected_components, minimum_spanning_tree
from torch import Tensor

from lim_server.geometry.rig import Rig
from lim_server.geometry.rotations import rotations
from lim_server.geometry.transport import shares

ANCHOR = 1e-7
BEND = 0.1
SLACK = 2.0
"""A link lets go where it is torn by more than this many widths."""
SWING = 0.4
"""What a joint's pivot off its middle costs, against as long a tear."""
TURNED = 0.1
"""What half a turn at a joint costs: of the ways to lay a part that looks alike all around, the least turned."""
LEVER = 0.05
"""A linked part turns with the other as if it held on to it over this length."""
ROUNDS = 3
PIN = 50.0
"""How much harder a sample that stays at rest is held there than others are drawn."""
MARK, MARKS = 0.1, 1.0
"""How hard a landmark is drawn, and all together at most, where the whole source is drawn with 2."""
STRAIN = 5.0
"""What strain costs where there are landmarks, which can drag a wrong guess through the body to where they are."""


@dataclass(frozen=True, eq=False)
class Problem:
    """What all guesses share. Lengths in diagonals of the source; shares sum to one; unlike is about 1 for a match,
    and may be each guess's own.

    links, joints: nodes of two parts that touch or nearly do, and where; linked: which parts
    mass, grip: share of the surface that each part has, by its number, and how firmly a link holds (1 where they touch)
    pinned: 1 for samples that stay at rest
    marks, mark_weights, mark_goals: landmarks at rest, what carries them, and where they are on the target
    """

    rest: Float[Tensor, "n 3"]
    normals: Float[Tensor, "n 3"]
    share: Float[Tensor, " n"]
    pinned: Float[Tensor, " n"]
    weights: Float[Tensor, "n k"]
    nodes: Float[Tensor, "k 3"]
    edges: Int[Tensor, "e 2"]
    links: Int[Tensor, "l 2"]
    joints: Float[Tensor, "l 3"]
    linked: Int[Tensor, "l 2"]
    mass: Float[Tensor, " p"]
    grip: Float[Tensor, " l"]
    target: Float[Tensor, "m 3"]
    target_normals: Float[Tensor, "m 3"]
    target_share: Float[Tensor, " m"]
    unlike: Float[Tensor, "*h n m"]
    marks: Float[Tensor, "g 3"]
    mark_weights: Float[Tensor, "g k"]
    mark_goals: Float[Tensor, "g 3"]

    @cached_property
    def rig(self) -> Rig:
        """Who carries what; the landmarks behind the samples."""
        weights, rest = torch.cat([self.weights, self.mark_weights]), torch.cat([self.rest, self.marks])
        return Rig.of(weights, rest, self.nodes, self.edges, self.links, self.joints)


@dataclass(frozen=True)
class Schedule:
    """How one guess is annealed: pairs go from the first value to the last, geometrically.

    width    reach of a match, in diagonals
    stiff    weight of rigidity
    facing   weight of unlike directions
    look     weight of unlike looks
    link     weight of what holds parts together, against rigidity within a part
    """

    width: tuple[float, float] = (0.12, 0.012)
    stiff: tuple[float, float] = (30.0, 0.6)
    facing: tuple[float, float] = (0.3, 1.0)
    look: tuple[float, float] = (4.0, 2.0)
    link: tuple[float, float] = (10.0, 10.0)


@dataclass(frozen=True, eq=False)
class _Now:
    """The schedules' values at one step, one row per guess."""

    width: Float[Tensor, "h 1 1"]
    stiff: Float[Tensor, "h 1 1"]
    facing: Float[Tensor, "h 1 1"]
    look: Float[Tensor, "h 1 1"]
    link: Float[Tensor, "h 1 1"]

    @classmethod
    def of(cls, schedules: list[Schedule], done: float, like: Tensor) -> _Now:
        values = [[a * (b / a) ** done for a, b in (getattr(s, f.name) for s in schedules)] for f in fields(cls)]
        return cls(*torch.tensor(values, dtype=like.dtype, device=like.device)[..., None, None])


class Guesses:
    """Poses of the graph: rotation [h, k, 3, 3] and place [h, k, 3] of every node."""

    def __init__(self, problem: Problem, turn: Float[Tensor, "h k 3 3"], place: Float[Tensor, "h k 3"]):
        self.problem, self.turn, self.place = problem, turn, place
        rig = problem.rig
        self.weights, self.arm, self.gram, self.ends = rig.weights, rig.arm, rig.gram, rig.ends
        self.hold, self.per_edge, self.bones, self.levers = rig.hold, rig.per_edge, rig.bones, rig.levers
        self.v: list[Float[Tensor, "a m 1"] | None] = [None] * len(place)

    def only(self, chosen: int) -> Guesses:
        """One of the guesses."""
        return Guesses(self.problem, self.turn[chosen][None], self.place[chosen][None])

    def points(self) -> Float[Tensor, "h n 3"]:
        """The samples where the graph takes them."""
        return self._placed()[:, : len(self.problem.rest)]

    def normals(self) -> Float[Tensor, "h n 3"]:
        """The samples' directions, turned with the graph."""
        h, n = len(self.place), len(self.problem.rest)
        blend = (self.weights @ self.turn.reshape(h, -1, 9))[:, :n].reshape(h, -1, 3, 3)
        return torch.nn.functional.normalize((blend @ self.problem.normals[..., None])[..., 0], dim=-1)

    def anneal(self, schedules: list[Schedule], steps: int, step: Callable[[int, int], None]) -> None:
        """From wide and stiff to narrow and soft, one schedule per guess."""
        for i in range(steps):
            step(i, steps)
            now = _Now.of(schedules, i / max(steps - 1, 1), self.place)
            weight, goal = self._match(now)
            self._follow(weight, goal, now)

    def cost(self, width: float = 0.02) -> Float[Tensor, " h"]:
        """How badly each guess explains the target and is explained by it; lower is better."""
        cost = torch.cat([self._unexplained(some, width) for some in self._pieces()]) + self._torn(width)
        return cost + self._missed(width) + STRAIN * self._strain() if len(self.problem.marks) else cost

    def _unexplained(self, some: slice, width: float) -> Float[Tensor, " a"]:
        p, guesses = self.problem, Guesses(self.problem, self.turn[some], self.place[some])
        points, unlike = guesses.points(), p.unlike if p.unlike.ndim == 2 else p.unlike[some]
        apart = torch.cdist(points, p.target.expand(len(points), -1, -1))
        cost = 0.5 * (apart / width) ** 2 + 2 * (1 - guesses.normals() @ p.target_normals.T) + unlike
        here, there = cost.amin(2).clamp(max=12), cost.amin(1).clamp(max=12)
        away = 0.5 * ((points - p.rest) / width).square().sum(-1)
        here = torch.where(p.pinned > 0, away.clamp(max=12), here)
        return (p.share * here).sum(1) + (p.target_share * there).sum(1)

    def _pieces(self) -> list[slice]:
        """On a CPU one guess after the other: what all samples have to do with all others stays in the cache."""
        return [slice(i, i + 1) for i in range(len(self.place))] if self.place.device.type == "cpu" else [slice(None)]

    def _missed(self, width: float) -> Float[Tensor, " h"]:
        """What it costs to leave landmarks where they are not: the mean over them."""
        off = self._placed()[:, len(self.problem.rest) :] - self.problem.mark_goals
        return (0.5 * (off / width).square().sum(-1)).clamp(max=12).mean(1)

    def _strain(self) -> Float[Tensor, " h"]:
        """Mean over the graph's edges of how far each is from having only been turned, squared, in its length."""
        a, b = self.problem.edges.T
        turned = 0.5 * ((self.turn[:, a] + self.turn[:, b]) @ self.bones[..., None])[..., 0]
        off = self.place[:, b] - self.place[:, a] - turned
        length = torch.linalg.vector_norm(self.bones, dim=-1).clamp(min=1e-6)
        return (torch.linalg.vector_norm(off, dim=-1) / length).square().clamp(max=1).mean(1)

    def _placed(self) -> Float[Tensor, "h ng 3"]:
        return self.weights @ self.place + self._carried(self.turn)

    def _carried(self, turn: Float[Tensor, "h k 3 3"]) -> Float[Tensor, "h ng 3"]:
        return self.arm @ turn.transpose(2, 3).reshape(len(turn), -1, 3)

    def _torn(self, width: float) -> Float[Tensor, " h"]:
        """What it costs to keep everything in one piece: the least torn links that would do."""
        p = self.problem
        one, other = p.links.T
        turns = self.turn[:, one], self.turn[:, other]
        torn = (0.5 * unpivoted(self._tear(), turns[1] - turns[0]) / width**2).clamp(max=12)
        bent = TURNED * (3 - (turns[0] * turns[1]).sum((-1, -2))) / 4  # 0 to 1 half a turn away
        tears, bends = (x.cpu().double().numpy() for x in (torn, bent))
        mass, parts = p.mass.cpu().double().numpy(), p.linked.cpu().numpy()
        return torch.tensor([least_torn(parts, t, b, mass) for t, b in zip(tears, bends, strict=True)]).to(p.rest)

    def _tear(self) -> Float[Tensor, "h l 3"]:
        """How far the two ends of each link have come apart."""
        one, other = self.problem.links.T
        ends = [
            self.place[:, node] + (self.turn[:, node] @ lever[..., None])[..., 0]
            for node, lever in zip((one, other), self.levers, strict=True)
        ]
        return ends[1] - ends[0]

    def _match(self, now: _Now) -> tuple[Float[Tensor, "h ng 1"], Float[Tensor, "h ng 3"]]:
        """Weight of every sample and landmark, and that times where it should be."""
        p, h = self.problem, len(self.place)
        x = torch.cat([self.points() / now.width, now.facing.sqrt() * self.normals()], dim=-1)
        got = torch.cat([self._given(x[some], now, some, i) for i, some in enumerate(self._pieces())])
        pin, free = (PIN * p.share * p.pinned)[:, None], (1 - p.pinned)[:, None]
        weight, goal = free * got[..., 3:] + pin, free * got[..., :3] + pin * p.rest
        mark = torch.full_like(p.marks[:, :1], min(MARK, MARKS / max(len(p.marks), 1))).expand(h, -1, -1)
        return torch.cat([weight, mark], dim=1), torch.cat([goal, mark * p.mark_goals], dim=1)

    def _given(self, x: Float[Tensor, "a n 6"], now: _Now, some: slice, batch: int) -> Float[Tensor, "a n 4"]:
        """Of some guesses: the target's places that each sample is given, by weight, and their weight."""
        p = self.problem
        y = torch.cat([p.target / now.width[some], (now.facing[some].sqrt() * p.target_normals)], dim=-1)
        cost = torch.baddbmm(0.5 * (y * y).sum(-1)[:, None], x, y.transpose(1, 2), alpha=-1.0)
        unlike = p.unlike if p.unlike.ndim == 2 else p.unlike[some]
        cost = cost.add_(0.5 * (x * x).sum(-1)[..., None]).add_(now.look[some] * unlike)
        kernel = cost.clamp_(max=60.0).neg_().exp_()
        u, v = shares(kernel, p.share, p.target_share, self.v[batch])
        self.v[batch] = v
        one = torch.cat([p.target, torch.ones_like(p.target[:, :1])], dim=1).expand(len(x), -1, -1)
        return 2 * u * (kernel @ (v * one))

    def _follow(self, weight: Float[Tensor, "h ng 1"], goal: Float[Tensor, "h ng 3"], now: _Now) -> None:
        """The nodes, to where what they carry should be (equation 9 of Sorkine and Alexa with a pull)."""
        p, h = self.problem, len(self.place)
        a, b = p.edges.T
        one, other = p.links.T
        tear = (self._tear() ** 2).sum(-1, keepdim=True)
        tie = self.per_edge * now.stiff * now.link * p.grip[:, None] / (1 + tear / (SLACK * now.width) ** 2) ** 2
        matrix = (self.gram @ weight + self.ends @ tie).reshape(h, *self.hold.shape) + now.stiff * self.hold
        factors = torch.linalg.cholesky(matrix + ANCHOR * torch.eye(len(p.nodes), device=p.rest.device))
        neighbour = (BEND * self.per_edge * now.stiff * (self.bones**2).sum(-1)[:, None])[..., None]
        follow = BEND * tie[..., None] * LEVER**2
        for _ in range(ROUNDS):
            turn = self.turn
            right = self.weights.mT @ (goal - weight * self._carried(turn)) + ANCHOR * self.place
            half = 0.5 * self.per_edge * now.stiff * ((turn[:, a] + turn[:, b]) @ self.bones[..., None])[..., 0]
            off = (turn[:, one] @ self.levers[0][..., None] - turn[:, other] @ self.levers[1][..., None])[..., 0]
            off = tie * off
            right = right.index_add(1, b, half).index_add(1, a, -half)
            right = right.index_add(1, other, off).index_add(1, one, -off)
            self.place = torch.cholesky_solve(right, factors)
            grown = self.place[:, b] - self.place[:, a]
            outer = (self.per_edge * now.stiff * grown)[..., None] * self.bones[:, None]
            lever = self.arm.mT @ (goal - weight * (self.weights @ self.place))
            spin = lever.reshape(h, -1, 3, 3).transpose(2, 3)
            spin = spin.index_add(1, a, outer + neighbour * turn[:, b]).index_add(1, b, outer + neighbour * turn[:, a])
            spin = spin.index_add(1, one, follow * turn[:, other]).index_add(1, other, follow * turn[:, one])
            self.turn = rotations(spin + 1e-9 * turn)


def unpivoted(tear: Float[Tensor, "*b 3"], bent: Float[Tensor, "*b 3 3"]) -> Float[Tensor, "*b"]:
    """The square of how far a joint is torn, as far as a turn about a place near it does not explain that.

    `tear` is from one side's end of the joint to the other's, `bent` the difference of their rotations. A thigh turns
    about a hip inside the body, not about the seam that is seen: with the pivot d off the joint the tear is
    tear + bent d, and d itself counts SWING d; this is the least of the two squares together, a ridge regression.
    """
    still = SWING**2 * torch.eye(3, dtype=bent.dtype, device=bent.device)
    held = torch.linalg.solve(still + bent @ bent.mT, tear[..., None])[..., 0]
    return SWING**2 * (tear * held).sum(-1)


def least_torn(
    parts: Int[ndarray, "l 2"], tear: Float[ndarray, " l"], bent: Float[ndarray, " l"], mass: Float[ndarray, " p"]
) -> float:
    """The sum over the least torn spanning tree of the parts: each tear as heavy as its smaller part, each bend as
    what hangs on it, so that a trunk turned under all its limbs counts as much as all of them turned.
    """
    if not len(parts):
        return 0.0
    names, at = np.unique(parts, return_inverse=True)
    at = np.sort(at.reshape(parts.shape), axis=1)
    order = np.argsort(-(tear + bent), kind="stable")  # of links between the same two parts the last one counts
    link = np.full((len(names), len(names)), -1)
    link[at[order, 0], at[order, 1]] = order
    cost = np.where(link >= 0, (tear + bent)[link] + 1e-6, 0.0)
    tree = minimum_spanning_tree(csr_matrix(cost))
    whole, hangs, out = mass[names].sum(), mass[names].copy(), 0.0
    for part, holder in _upwards(tree):
        chosen = link[min(part, holder), max(part, holder)]
        out += tear[chosen] * mass[names[[part, holder]]].min() + bent[chosen] * min(hangs[part], whole - hangs[part])
        hangs[holder] += hangs[part]
    return float(out)


def _upwards(tree: csr_matrix) -> Iterator[tuple[int, int]]:
    """Each part of a forest with the one that it hangs on, those that hang on it before it."""
    for name in np.unique(connected_components(tree, directed=False)[1], return_index=True)[1]:
        order, holder = breadth_first_order(tree, name, directed=False)
        yield from ((int(part), int(holder[part])) for part in order[:0:-1])
