"""Where the coarse fit starts from: as the source stands, turned as a whole, part by part, as it last was.

A fit finds the nearest valley; these are the valleys worth looking into. Which one it was, the cost tells.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from lim_server.geometry.choice import choose
from lim_server.geometry.coarse import Problem, Schedule
from lim_server.geometry.landmarks import Landmarks
from lim_server.geometry.parts import MOST_PARTS, Moves, Parts, moves
from lim_server.geometry.rigid import Samples, laid, poses
from lim_server.geometry.rotations import rotations
from lim_server.geometry.side import Side

FEW = 250
APART, ALIKE, MOST_POSES, SAME = 35.0, 1.4, 3, 0.005
DOUBT = 1.02
"""Where parts are many and alike, a free choice for each explains anything a little better."""
MISSED = 0.02
"""A part that leaves its landmarks this far (diagonals) is as bad as one that fits half a unit worse."""
HALF_ROUND = 0.08
"""How much dearer the whole turned half round counts: of ways that look alike, the least turned."""
FAR = Schedule()
NEAR = Schedule(width=(0.04, 0.012), stiff=(3.0, 0.6), facing=(1.0, 1.0), look=(2.0, 2.0))


@dataclass(frozen=True, eq=False)
class Start:
    """A pose of the graph's nodes, how to go on from it, and how much dearer it counts than it comes out."""

    name: str
    turn: Float[Tensor, "k 3 3"]
    place: Float[Tensor, "k 3"]
    schedule: Schedule
    doubt: float = 1.0


def starts(
    problem: Problem, source: Side, target: Side, last: Float[ndarray, "n 3"] | None, landmarks: Landmarks
) -> list[Start]:
    """All starts for one keyframe; `last` are the source's points at the keyframe before."""
    turn, shift, cost = poses(_few(problem), _few_of_target(problem), problem.unlike[:FEW, :FEW])
    kept = _different(turn, cost)
    out = [_turned(problem, turn[i], shift[i]) for i in kept]
    still = torch.eye(3, dtype=turn.dtype, device=turn.device)
    off = problem.target_share @ problem.target - problem.share @ problem.rest
    if all(_degrees(turn[i]) > APART for i in kept):
        out.append(_whole("as it stands", problem, still, off))
    out.append(_whole("hardly moved", problem, still, off, NEAR))
    if problem.pinned.any():
        out.append(_whole("at rest", problem, still, torch.zeros_like(off), NEAR))
    if last is not None:
        out.append(_as_last(problem, source, last))
    mine, theirs = (len(np.unique(side.cover.part[side.graph.nodes])) for side in (source, target))
    if 3 <= mine <= min(MOST_PARTS, 2 * theirs):
        out += _part_by_part(problem, source, target, landmarks, [(turn[i], shift[i]) for i in kept])
    if len(problem.marks):
        turned, shifted = laid(problem.marks, problem.mark_goals, turn[kept[0]])
        out.append(_whole("by landmarks", problem, turned, shifted))
        wholes = [(turned, shifted), *((turn[i], shift[i]) for i in kept)]
        out += [_marked_parts(problem, source, landmarks, *whole) for whole in wholes]
    return out


def _few(problem: Problem) -> Samples:
    return Samples(problem.rest, problem.normals, problem.share).first(FEW)


def _few_of_target(problem: Problem) -> Samples:
    return Samples(problem.target, problem.target_normals, problem.target_share).first(FEW)


def _different(turn: Float[Tensor, "h 3 3"], cost: Float[Tensor, " h"]) -> list[int]:
    """Of the poses, cheapest first, those that are not much dearer than the first and well apart."""
    kept: list[int] = []
    for i in range(len(turn)):
        if float(cost[i]) > ALIKE * float(cost[0]) or len(kept) == MOST_POSES:
            break
        if all(_degrees(turn[i] @ turn[j].T) > APART for j in kept):
            kept.append(i)
    return kept


def _degrees(turn: Float[Tensor, "3 3"]) -> float:
    return float(torch.rad2deg(torch.arccos(((turn.trace() - 1) / 2).clamp(-1, 1))))


def _whole(
    name: str, problem: Problem, turn: Float[Tensor, "3 3"], shift: Float[Tensor, 3], schedule: Schedule = FAR
) -> Start:
    return Start(name, turn.expand(len(problem.nodes), 3, 3), problem.nodes @ turn.T + shift, schedule)


def _turned(problem: Problem, turn: Float[Tensor, "3 3"], shift: Float[Tensor, 3]) -> Start:
    degrees = _degrees(turn)
    return replace(_whole(f"turned {degrees:.0f}", problem, turn, shift), doubt=1 + HALF_ROUND * degrees / 180)


def _as_last(problem: Problem, source: Side, last: Float[ndarray, "n 3"]) -> Start:
    """The pose of the keyframe before: each node as the points it carries went."""
    graph, points = source.graph, source.cover.blend @ last
    carry = graph.weights.T.multiply(source.cover.area + 1e-9).tocsr()
    carry = carry.multiply(1 / np.maximum(np.asarray(carry.sum(axis=1)), 1e-18)).tocsr()
    rest = source.cover.points
    outer = (points[:, :, None] * rest[:, None]).reshape(len(rest), 9)
    spread = (carry @ outer).reshape(-1, 3, 3) - (carry @ points)[:, :, None] * (carry @ rest)[:, None]
    turn = rotations(torch.as_tensor(spread + 1e-9 * np.eye(3)))
    return Start("as before", turn.to(problem.rest), torch.as_tensor(points[graph.nodes]).to(problem.rest), NEAR)


def _marked_parts(
    problem: Problem, source: Side, landmarks: Landmarks, turn: Float[Tensor, "3 3"], shift: Float[Tensor, 3]
) -> Start:
    """Parts with landmarks as those say, the others as the whole."""
    part = source.cover.part[source.graph.nodes]
    turns, places = turn.repeat(len(part), 1, 1), problem.nodes @ turn.T + shift
    for name in np.unique(landmarks.part):
        mine, its = torch.as_tensor(part == name), torch.as_tensor(landmarks.part == name)
        turned, shifted = laid(problem.marks[its], problem.mark_goals[its], turn)
        turns[mine], places[mine] = turned, problem.nodes[mine] @ turned.T + shifted
    return Start("parts by landmarks", turns, places, NEAR)


def _told(moves: Moves, problem: Problem, landmarks: Landmarks, name: int) -> Moves:
    """A part's candidates and the way its landmarks lie, each the dearer the farther it leaves those."""
    its = torch.as_tensor(landmarks.part == name)
    if not its.any():
        return moves
    marks, goals = problem.marks[its], problem.mark_goals[its]
    turned, shifted = laid(marks, goals, torch.as_tensor(moves.turn[moves.cost.argmin()]).to(marks))
    x, y, own_turn, own_shift = (t.cpu().double().numpy() for t in (marks, goals, turned, shifted))
    turn, shift = np.concatenate([moves.turn, own_turn[None]]), np.concatenate([moves.shift, own_shift[None]])
    off = np.einsum("cij,kj->cki", turn, x) + shift[:, None] - y
    missed = np.minimum(0.5 * ((off / MISSED) ** 2).sum(axis=2), 12).mean(axis=1)
    cost, goal = (np.append(values, values[moves.cost.argmin()]) for values in (moves.cost, moves.goal))
    return Moves(turn, shift, cost + missed, goal)


def _part_by_part(
    problem: Problem,
    source: Side,
    target: Side,
    landmarks: Landmarks,
    wholes: list[tuple[Float[Tensor, "3 3"], Float[Tensor, 3]]],
) -> list[Start]:
    """Every connected part laid on the target's as if rigid, once for each pose of the whole."""
    colored = source.cover.colors is not None and target.cover.colors is not None
    one, other = Parts.of(source.cover, colored=colored), Parts.of(target.cover, colored=colored)
    candidates = moves(one, other, str(problem.rest.device))
    if len(problem.marks):
        candidates = [_told(c, problem, landmarks, int(name)) for name, c in zip(one.names, candidates, strict=True)]
    part, nodes = source.cover.part[source.graph.nodes], source.cover.points[source.graph.nodes]
    out: list[Start] = []
    for turn, shift in wholes:
        whole, off = turn.cpu().double().numpy(), shift.cpu().double().numpy()
        for label in choose(one, candidates, whole, off):
            turns, places = np.tile(whole, (len(nodes), 1, 1)), nodes @ whole.T + off
            for name, moved, chosen in zip(one.names, candidates, label, strict=True):
                mine = part == name
                turns[mine] = moved.turn[chosen]
                places[mine] = nodes[mine] @ moved.turn[chosen].T + moved.shift[chosen]
            turned, placed = (torch.as_tensor(x).to(problem.rest) for x in (turns, places))
            if all(float(torch.linalg.vector_norm(placed - s.place, dim=1).mean()) > SAME for s in out):
                out.append(Start(f"part by part {len(out)}", turned, placed, NEAR, DOUBT))
    return out
