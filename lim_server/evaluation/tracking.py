"""Matching with canonical coordinates: where points of one key are at the next (LIM, sections 3.3 and 4.2).

Points on the true surface of key k are to be found among points on the true surface of key k + 1. LIM's twin says of
each of these where it was at key k (alpha = 1); a point of key k goes to that whose answer is nearest to it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lim_server.evaluation.heldout import HeldOut
from lim_server.evaluation.methods import carved_of, one_of
from lim_server.models.field import Decoder
from lim_server.models.lim import Lim
from lim_server.models.lrm import Key, Lrm, Planes
from lim_server.render.solid import solid
from lim_server.training.data.scene import BURIED, CELLS, within
from lim_server.training.objective import views

COUNT = 2500
NEAR, FAR = 0, 2
STILL, NEAREST, ALIGNED = "nothing moved", "nearest in space", "nearest in space, centroids aligned"
FLOW = "the flow that LIM's twin begins with"
TWIN, TWIN_ORACLE = "LIM's twin", "oracle (the LRM's twin on the true canonical views)"
FLOOR = "true canonical coordinates (what sampling costs)"


@dataclass(frozen=True, eq=False)
class Matching:
    """Points to be found, and the points to find them among.

    sources     [m, 3] on the surface of key k; truth [m, 3] where they are at key k + 1
    candidates  [n, 3] on the surface of key k + 1; canonical [n, 3] where they were at key k
    """

    sources: Float[Tensor, "m 3"]
    truth: Float[Tensor, "m 3"]
    candidates: Float[Tensor, "n 3"]
    canonical: Float[Tensor, "n 3"]


def matching(held: HeldOut, seed: int, count: int = COUNT) -> Matching:
    """About `count` of each, evenly over the surfaces; what is buried inside the thing is no surface."""
    random = torch.Generator().manual_seed(seed)
    ends = held.frames[[NEAR, FAR]]
    cells = solid(ends, held.faces, CELLS)
    sources, truth = _spread(ends, held.faces, 0, count, random)
    seen = _open(cells[0], sources) & _open(cells[1], truth)
    canonical, candidates = _spread(ends, held.faces, 1, count, random)
    bare = _open(cells[1], candidates)
    return Matching(sources[seen], truth[seen], candidates[bare], canonical[bare])


def _spread(
    ends: Float[Tensor, "2 v 3"], faces: Int[Tensor, "f 3"], even: int, count: int, random: torch.Generator
) -> tuple[Float[Tensor, "n 3"], Float[Tensor, "n 3"]]:
    """The same points at both keys, spread evenly over the surface of one."""
    corners = ends[:, faces]
    a, b, c = corners[even].unbind(1)
    area = torch.cross(b - a, c - a, dim=-1).norm(dim=-1)
    face = torch.multinomial(area.cpu(), count, replacement=True, generator=random).to(ends.device)
    first, second = torch.rand(2, count, generator=random).to(ends.device)
    over = first + second > 1
    first, second = torch.where(over, 1 - first, first), torch.where(over, 1 - second, second)
    weights = torch.stack((1 - first - second, first, second), -1)
    near, far = (corners[:, face] * weights[..., None]).sum(-2)
    return near, far


def _open(cells: Tensor, points: Float[Tensor, "n 3"]) -> Tensor:
    return within(cells[None], points[None])[0] < BURIED


def tracking_errors(match: Matching, answers: dict[str, Float[Tensor, "n 3"]]) -> dict[str, float]:
    """Mean distance to the truth by method; answers are canonical coordinates of the candidates."""
    shift = match.candidates.mean(0) - match.sources.mean(0)
    found = {
        STILL: match.sources,
        NEAREST: _nearest(match.sources, match.candidates, match),
        ALIGNED: _nearest(match.sources + shift, match.candidates, match),
    }
    found |= {name: _nearest(match.sources, answer, match) for name, answer in answers.items()}
    found[FLOOR] = _nearest(match.sources, match.canonical, match)
    return {name: (place - match.truth).norm(dim=-1).mean().item() for name, place in found.items()}


def _nearest(wanted: Float[Tensor, "m 3"], offered: Float[Tensor, "n 3"], match: Matching) -> Float[Tensor, "m 3"]:
    return match.candidates[torch.cdist(wanted, offered).argmin(1)]


def canonical_errors(match: Matching, answers: dict[str, Float[Tensor, "n 3"]]) -> dict[str, float]:
    """Mean distance of the answers to the true canonical coordinates; without an answer a point is where it is."""
    every = {STILL: match.candidates, **answers}
    return {name: (answer - match.canonical).norm(dim=-1).mean().item() for name, answer in every.items()}


def answers_of(lrm: Lrm, twin: Lim | None, held: HeldOut, match: Matching) -> dict[str, Float[Tensor, "n 3"]]:
    """What the twins say of the candidates."""
    frames = torch.tensor([NEAR, FAR], device=held.frames.device)
    canonical = _keys(lrm, held, frames, xyz=True)
    planes, flow = {TWIN_ORACLE: canonical.planes[1:]}, {}
    if twin is not None:
        seen = _keys(lrm, held, frames, xyz=False)
        near, far, home = one_of(seen, 0), one_of(seen, 1), one_of(canonical, 0)
        seen_near = near.images if twin.sway is None else home.images
        interval = twin.interval(home.features, far.images, seen_near, carved_of(near, far, home))
        planes = {TWIN: twin(interval, torch.ones(1, device=frames.device)).planes, **planes}
        if interval.pair is not None:
            flow[FLOW] = interval.pair.home(match.candidates[None])[0]
    return flow | {name: _coordinates(lrm.decoder, p, match.candidates) for name, p in planes.items()}


def _keys(lrm: Lrm, held: HeldOut, frames: Int[Tensor, " k"], *, xyz: bool) -> Key:
    clip = torch.zeros_like(frames)
    colour, mask = views(held.scene, clip, frames, torch.full_like(frames, xyz, dtype=torch.bool))
    key: Key = lrm(colour, mask, held.scene.cameras[clip])
    return key


def _coordinates(decoder: Decoder, planes: Planes, points: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3"]:
    return decoder(planes.float(), points[None])[1][0] * 2 - 1
