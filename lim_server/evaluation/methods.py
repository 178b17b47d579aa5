"""The rows of the table: ways to a triplane between two keys (LIM, section 4.1)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from lim_server.evaluation.heldout import HeldOut
from lim_server.models.attention import Tokens
from lim_server.models.carve import Carved
from lim_server.models.lim import Lim
from lim_server.models.lrm import Key, Lrm, Planes
from lim_server.training.objective import views

COPY, LINEAR, ORACLE = "nearer key copied", "linear triplane blend", "oracle (LRM on the true views)"
IMAGES = "image blend per view, then LRM (stand-in for FILM)"
BOTH = "LIM, both directions blended"


@dataclass(frozen=True, eq=False)
class Keys:
    """What the LRM makes of a sequence: of both keys, of the true frame between, and of the blend of the keys' views.

    time  [1], 0 at the near key
    """

    time: Float[Tensor, 1]
    near: Key
    middle: Key
    far: Key
    blend: Key


Method = Callable[[Keys], Planes]


def keys_of(lrm: Lrm, held: HeldOut) -> Keys:
    """Four sets of views in one batch."""
    device = held.frames.device
    time = torch.tensor([held.time], device=device)
    frame = torch.arange(3, device=device)
    clip = torch.zeros_like(frame)
    colour, mask = views(held.scene, clip, frame, torch.zeros_like(frame, dtype=torch.bool))
    colour, mask = (torch.cat((t, (1 - time) * t[:1] + time * t[2:])) for t in (colour, mask))
    every = held.scene.cameras[torch.zeros(4, dtype=torch.long, device=device)]
    key: Key = lrm(colour, mask, every)
    return Keys(time, *(one_of(key, k) for k in range(4)))


def one_of(key: Key, index: int) -> Key:
    """A batch of one out of a larger one."""
    at = slice(index, index + 1)
    places = key.images.places
    images = Tokens(key.images.values[at], places if places is None or len(places) == 1 else places[at])
    carved = None if key.carved is None else key.carved.of(index)
    return Key([f[at] for f in key.features], images, key.planes[at], carved)


def carved_of(*keys: Key) -> list[Carved]:
    """What was carved from each, nothing where the LRM does not."""
    return [key.carved for key in keys if key.carved is not None]


def between(lim: Lim, near: Key, far: Key, time: Float[Tensor, " a"]) -> Planes:
    """LIM's triplanes on the way from one key to the other."""
    interval = lim.interval(near.features, far.images, carved=carved_of(near, far))
    planes: Planes = lim(interval, time).planes
    return planes


def methods(lims: Mapping[str, Lim], both: Lim | None) -> dict[str, Method]:
    """Every row by its name: what needs no LIM, the LIMs given, `both` of them run from both keys, and the oracle."""
    rows: dict[str, Method] = {
        COPY: lambda keys: (keys.near if keys.time < 0.5 else keys.far).planes,
        LINEAR: lambda keys: (1 - keys.time) * keys.near.planes + keys.time * keys.far.planes,
        IMAGES: lambda keys: keys.blend.planes,
    }
    for name, lim in lims.items():
        rows[name] = lambda keys, lim=lim: between(lim, keys.near, keys.far, keys.time)  # type: ignore[misc]
    if both is not None:
        rows[BOTH] = lambda keys: _both(both, keys)
    rows[ORACLE] = lambda keys: keys.middle.planes
    return rows


def _both(lim: Lim, keys: Keys) -> Planes:
    there = between(lim, keys.near, keys.far, keys.time)
    back = between(lim, keys.far, keys.near, 1 - keys.time)
    return (1 - keys.time) * there + keys.time * back
