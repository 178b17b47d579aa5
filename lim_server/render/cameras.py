"""Pinhole cameras, their rays, and the rigs that keys are looked at from.

Space: the box [-1, 1]^3, y up. A camera looks along its own -z, y up (as OpenGL and USD have it). Image space is
normalised: x to the right and y up, both from -1 to 1, whatever the resolution.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

REACH = 0.95
"""Radius of the ball that what is looked at is scaled into."""
FIELD_OF_VIEW = 40.0
DISTANCE = 3.2
AZIMUTHS = (0.0, 90.0, 180.0, 270.0)
ELEVATIONS = (20.0, -20.0, 20.0, -20.0)


@dataclass(frozen=True, eq=False)
class Cameras:
    """Any number of cameras.

    world   [*b, 3, 4]  camera to world: its axes as columns, then its position
    focal   [*b, 2]     image coordinate of a point at x / -z = 1, y / -z = 1
    centre  [*b, 2]     image coordinate of the optical axis
    """

    world: Float[Tensor, "*b 3 4"]
    focal: Float[Tensor, "*b 2"]
    centre: Float[Tensor, "*b 2"]

    def to(self, device: str | torch.device) -> Cameras:
        """The same on another device."""
        return Cameras(self.world.to(device), self.focal.to(device), self.centre.to(device))

    def __getitem__(self, index: object) -> Cameras:
        return Cameras(self.world[index], self.focal[index], self.centre[index])  # type: ignore[index]

    def project(self, points: Float[Tensor, "*b n 3"]) -> Float[Tensor, "*b n 3"]:
        """Image x, image y and depth (distance along the axis, positive in front) of points in the world."""
        axes, position = self.world[..., :3], self.world[..., 3]
        local = (points - position[..., None, :]) @ axes
        depth = -local[..., 2:]
        flat = local[..., :2] / depth * self.focal[..., None, :] + self.centre[..., None, :]
        return torch.cat((flat, depth), -1)

    def through(self, image: Float[Tensor, "*b n 2"]) -> tuple[Float[Tensor, "*b n 3"], Float[Tensor, "*b n 3"]]:
        """Origins and unit directions of the rays through places of the image."""
        flat = (image - self.centre[..., None, :]) / self.focal[..., None, :]
        local = torch.cat((flat, -torch.ones_like(flat[..., :1])), -1)
        direction = torch.nn.functional.normalize(local @ self.world[..., :3].mT, dim=-1)
        return self.world[..., None, :, 3].expand_as(direction), direction

    def rays(self, size: int) -> tuple[Float[Tensor, "*b pixels 3"], Float[Tensor, "*b pixels 3"]]:
        """Rays through the centres of a size x size image's pixels, row by row from the top."""
        image = pixel_centres(size, self.focal.device)
        return self.through(image.expand(*self.focal.shape[:-1], -1, -1))


def pixel_centres(size: int, device: str | torch.device = "cpu") -> Float[Tensor, "pixels 2"]:
    """Image places of the pixels of a size x size image, row by row from the top."""
    at = (torch.arange(size, device=device, dtype=torch.float32) + 0.5) * (2 / size) - 1
    y, x = torch.meshgrid(-at, at, indexing="ij")
    return torch.stack((x, y), -1).reshape(-1, 2)


def orbit(
    azimuth: Float[Tensor, "*b"],
    elevation: Float[Tensor, "*b"],
    distance: Float[Tensor, "*b"],
    field_of_view: Float[Tensor, "*b"],
) -> Cameras:
    """Cameras on a sphere, looking at its centre. Degrees; azimuth 0 is +z, 90 is +x."""
    turn, lift = azimuth.deg2rad(), elevation.deg2rad()
    back = torch.stack((lift.cos() * turn.sin(), lift.sin(), lift.cos() * turn.cos()), -1)
    right = torch.stack((turn.cos(), torch.zeros_like(turn), -turn.sin()), -1)
    up = torch.cross(back, right, dim=-1)
    world = torch.stack((right, up, back, back * distance[..., None]), -1)
    focal = 1 / (field_of_view.deg2rad() / 2).tan()
    return Cameras(world, torch.stack((focal, focal), -1), torch.zeros(*focal.shape, 2, device=focal.device))


def ring(azimuths: Sequence[float] = AZIMUTHS, elevations: Sequence[float] = ELEVATIONS) -> Cameras:
    """The rig that mesh keys are looked at from: a ring of views, alternately from above and from below."""
    azimuth, elevation = torch.tensor(azimuths), torch.tensor(elevations)
    return orbit(azimuth, elevation, torch.full_like(azimuth, DISTANCE), torch.full_like(azimuth, FIELD_OF_VIEW))


def loose_ring(seed: torch.Generator, loose: float) -> Cameras:
    """A rig of four as a person might set one up; loose from 0 (as `ring`) to 1."""

    def about(centre: float, spread: float) -> Tensor:
        return centre + spread * loose * (2 * torch.rand(4, generator=seed) - 1)

    azimuth = torch.tensor(AZIMUTHS) + about(0.0, 25.0)
    distance = about(0.0, 0.5) + DISTANCE
    angle = 2 * torch.rad2deg(torch.asin(torch.tensor(1.09) / distance))  # the ball, and a tenth around it
    return orbit(azimuth, torch.tensor(ELEVATIONS) + about(0.0, 18.0), distance, angle)


def plucker(origins: Float[Tensor, "*b 3"], directions: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b 6"]:
    """Plücker coordinates (o x d, d) of rays: what the LRM sees beside the colours (LIM, section 3.1)."""
    return torch.cat((torch.cross(origins, directions, dim=-1), directions), -1)
