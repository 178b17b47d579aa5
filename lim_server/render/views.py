"""Views of a mesh key, as the models see them."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor

from lim_server.render.cameras import REACH, Cameras, ring
from lim_server.render.rasterize import see


@dataclass(frozen=True)
class Ball:
    """What is looked at, scaled into the ball of radius REACH. Carries its own inverse."""

    centre: Float[Tensor, " 3"]
    radius: float

    @classmethod
    def of(cls, points: Float[Tensor, "n 3"]) -> Ball:
        """That holds all the points, its middle that of their bounding box."""
        centre = (points.amin(0) + points.amax(0)) / 2
        return cls(centre, max(float((points - centre).norm(dim=-1).max()), 1e-9))

    def apply(self, points: Float[Tensor, "*n 3"]) -> Float[Tensor, "*n 3"]:
        """Into the ball."""
        return (points - self.centre) * (REACH / self.radius)

    def undo(self, points: Float[Tensor, "*n 3"]) -> Float[Tensor, "*n 3"]:
        """Out of it."""
        return points * (self.radius / REACH) + self.centre


@dataclass(frozen=True, eq=False)
class Views:
    """One key from the ring of cameras: colour, and where each point seen is at rest; 0 outside.

    colour, canonical  [1, v, 3, s, s]  0 to 1
    mask               [1, v, 1, s, s]
    """

    colour: Float[Tensor, "1 v 3 s s"]
    canonical: Float[Tensor, "1 v 3 s s"]
    mask: Float[Tensor, "1 v 1 s s"]
    cameras: Cameras


def look(points: Float[Tensor, "n 3"], triangles: Int[Tensor, "t 3"], colour: Float[Tensor, "n 3"], size: int) -> Views:
    """A mesh in the ball, its points' colours from 0 to 1; at rest it stands as it is seen."""
    cameras = ring().to(points.device)
    count = len(cameras.focal)
    seen = see(points.expand(count, -1, -1), triangles, cameras, size)
    there = seen.mask[..., None]

    def picture(values: Float[Tensor, "n 3"]) -> Float[Tensor, "1 v 3 s s"]:
        found = seen.of_points(values.expand(count, -1, -1), triangles).clamp(0, 1) * there
        return found.mT.reshape(1, count, 3, size, size)

    batched = Cameras(cameras.world[None], cameras.focal[None], cameras.centre[None])
    mask = seen.mask.float().reshape(1, count, 1, size, size)
    return Views(picture(colour), picture(points / 2 + 0.5), mask, batched)
