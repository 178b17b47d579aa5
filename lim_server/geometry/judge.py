"""How well the whole surface of a guess explains the target's and is explained by it.

The graph's thousand samples lie 0.03 diagonals apart, too far to tell a trunk from the same trunk turned about: two
ways to lay a part may cost the same to within what sampling costs. Some thousand places of either surface, each held
against the other's triangles in place, direction and colour, tell them apart.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from lim_server.geometry.lifted import Lifted, Places
from lim_server.geometry.side import Side
from lim_server.geometry.spread import Spread

WIDTH, MOST = 0.02, 12.0
"""What lies farther off than some widths is wrong, how far does not matter."""
EVERY, ASKED = 2, 6000
"""Every other place of the fine fit is asked, of large meshes about so many."""


class Judge:
    """Made once for each keyframe."""

    def __init__(self, source: Side, mine: Spread, target: Side, device: str):
        colored = source.shape.colors is not None and target.shape.colors is not None
        self.mine, self.target = (
            Places(mine, device, colored=colored),
            Lifted.target(target.shape, device, colored=colored),
        )
        self.share = torch.as_tensor(_share(mine, source, target), device=device)
        self.target_share = torch.as_tensor(_share(self.target.on.spread, target, source), device=device)

    def cost(self, points: Float[ndarray, "n 3"]) -> float:
        """With the source's points there; lower is better, 0 at best."""
        here = Lifted(self.mine, torch.as_tensor(points, device=self.share.device))
        return _far(here, self.target, self.share) + _far(self.target, here, self.target_share)


def _far(one: Lifted, other: Lifted, share: Float[Tensor, " q"]) -> float:
    apart = one.nearest(other, _every(one.on.spread))[2]
    return float(share @ (0.5 * (apart / WIDTH) ** 2).clamp(max=MOST))


def _share(spread: Spread, side: Side, other: Side) -> Float[ndarray, " q"]:
    trust = side.trust_beside(other)[side.nearest[: len(side.shape.points)]]
    share: Float[ndarray, " q"] = (spread.share * (spread.blend @ trust))[:: _every(spread)]
    return share / share.sum()


def _every(spread: Spread) -> int:
    return max(EVERY, len(spread.share) // ASKED)
