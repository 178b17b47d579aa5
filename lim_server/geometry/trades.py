"""Trades: is a guess cheaper with two like parts exchanged, or with one laid the other way round where it is?

A fit cannot get from one such choice to another by small steps, and the starts that lay parts one by one judge each
roughly. So the parts that look alike within the source itself are traded on the finished guess, each with what hangs
on it, and what seems worth it is fitted again. The target needs no parts for that: it may be one hull.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import breadth_first_order
from torch import Tensor

from lim_server.geometry.coarse import Guesses
from lim_server.geometry.contacts import Contacts
from lim_server.geometry.cover import Cover
from lim_server.geometry.parts import MOST_PARTS, SAMPLES, Parts, moves
from lim_server.geometry.rotations import rotations
from lim_server.geometry.side import Side

LARGE = 0.025
"""Share of the surface that a part must have."""
SAME = 0.01
"""Laid on itself this near to where it is (diagonals), a part has not moved."""
WAYS = 3
"""How many ways to lay one part on another are tried."""
MOST = 48
"""How many trades there are at most, those of the likest parts: all are judged at once, some 20 MB each."""


@dataclass(frozen=True, eq=False)
class Trade:
    """One part takes another's place, and that one its; or a part its own, turned. At rest, in diagonals.

    parts  the two parts' numbers, the same one twice for a part laid on itself
    turn, shift  from the one's place to the other's
    alone  whether what hangs on it stays where it is: a trunk can be the wrong way round under its limbs
    """

    parts: tuple[int, int]
    turn: Float[ndarray, "3 3"]
    shift: Float[ndarray, 3]
    alone: bool = False


@dataclass(frozen=True, eq=False)
class Trades:
    """What can be traded within a source.

    hanging  for each part number, the nodes of it and of what hangs on it, away from the largest part
    own      for each part number, its nodes
    samples  for each part number, some of the graph's samples that lie on it
    """

    trades: list[Trade]
    hanging: dict[int, Int[ndarray, " _"]]
    own: dict[int, Int[ndarray, " _"]]
    samples: dict[int, Int[ndarray, " _"]]

    @classmethod
    def of(cls, source: Side, device: str) -> Trades:
        """None for a source of one part, or of very many."""
        cover, graph = source.cover, source.graph
        count = len(np.unique(cover.part[graph.nodes]))
        if not 2 <= count <= MOST_PARTS:
            return cls([], {}, {}, {})
        one = Parts.of(cover, colored=cover.colors is not None, least=LARGE)
        hanging = _hanging(cover)
        trades = _alike(one, hanging, device)
        numbers = {number for trade in trades for number in trade.parts}
        of_nodes, of_samples = cover.part[graph.nodes], cover.part[graph.samples]
        return cls(
            trades,
            {p: np.flatnonzero(np.isin(of_nodes, sorted(hanging[p]))) for p in numbers},
            {p: np.flatnonzero(of_nodes == p) for p in numbers},
            {p: np.flatnonzero(of_samples == p) for p in numbers},
        )

    def made(self, guess: Guesses) -> Guesses | None:
        """The first of the guesses after each trade; None where there are none to make."""
        if not self.trades:
            return None
        moved = {p: self._motion(guess, p) for p in self.samples}
        turns, places = [], []
        for trade in self.trades:
            turn, place = guess.turn[0].clone(), guess.place[0].clone()
            there = torch.as_tensor(trade.turn).to(turn), torch.as_tensor(trade.shift).to(turn)
            a, b = trade.parts
            for own, other, step in ((a, b, there), (b, a, _inverse(there)))[: 1 if a == b else 2]:
                new = _after(moved[other], step)
                off = _after(new, _inverse(moved[own]))
                at = torch.as_tensor((self.own if trade.alone else self.hanging)[own]).to(turn.device)
                turn[at] = off[0] @ turn[at]
                place[at] = place[at] @ off[0].T + off[1]
            turns.append(turn)
            places.append(place)
        return Guesses(guess.problem, torch.stack(turns), torch.stack(places))

    def _motion(self, guess: Guesses, part: int) -> Motion:
        """How a part went, as if it were rigid."""
        at = torch.as_tensor(self.samples[part]).to(guess.place.device)
        x, y = guess.problem.rest[at], guess.points()[0, at]
        here, there = x.mean(0), y.mean(0)
        turn = rotations((y - there).T @ (x - here) + 1e-9 * torch.eye(3).to(x))
        return turn, there - turn @ here


Motion = tuple[Float[Tensor, "3 3"], Float[Tensor, "3"]]


def _after(second: Motion, first: Motion) -> Motion:
    return second[0] @ first[0], second[0] @ first[1] + second[1]


def _inverse(motion: Motion) -> Motion:
    return motion[0].T, -motion[0].T @ motion[1]


def _alike(one: Parts, hanging: dict[int, set[int]], device: str) -> list[Trade]:
    """Ways to lay parts on themselves and on others, but not on what hangs on them."""
    names = [int(name) for name in one.names]
    out = []
    for i, found in enumerate(moves(one, one, device)):
        x, tried = one.cover.points[one.samples[i, :SAMPLES]], dict.fromkeys(names, 0)
        for turn, shift, j, cost in zip(found.turn, found.shift, found.goal, found.cost, strict=True):
            a, b = names[i], names[int(j)]
            still = a == b and np.linalg.norm(x @ turn.T + shift - x, axis=1).mean() < SAME
            if j >= i and not still and tried[b] < WAYS and (a == b or (a not in hanging[b] and b not in hanging[a])):
                tried[b] += 1
                out.append((cost, Trade((a, b), turn, shift)))
                if a == b and len(hanging[a]) > 1:
                    out.append((cost, Trade((a, b), turn, shift, alone=True)))
    return [trade for _, trade in sorted(out, key=lambda found: found[0])[:MOST]]


def _hanging(cover: Cover) -> dict[int, set[int]]:
    """Each part with all that hangs on it, where the largest holds the rest."""
    contacts = Contacts(cover.points, cover.part, cover.area)
    at = {int(name): i for i, name in enumerate(contacts.names)}
    rows = np.array([[at[p] for p in contact.parts] for contact in contacts.tree()], np.int64)
    tree = csr_matrix((np.ones(len(rows)), (rows[:, 0], rows[:, 1])), shape=(len(at), len(at)))
    order, holder = breadth_first_order(tree, 0, directed=False)
    out = [{int(name)} for name in contacts.names]
    for i in order[:0:-1]:
        out[holder[i]] |= out[i]
    return dict(zip(at, out, strict=True))
