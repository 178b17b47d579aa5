"""What published LRMs have in common here: views in, a triplane in the middle, opacity and colour at places out.

Space at this door is ours: the box [-1, 1]^3, y up, the front towards +z. Theirs has z up and the front towards +x, so
their (x, y, z) is our (z, x, y): the planes' axes and the cameras are turned, no weight is.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import interpolate

from lim_server.models.field import Axes, sample_planes
from lim_server.models.lrm import Planes
from lim_server.render.cameras import Cameras
from lim_server.render.volume import Field

TURN = (2, 0, 1)
"""Which of our axes their x, y and z are."""


class PublishedLrm(nn.Module, ABC):
    """An LRM with published weights.

    views     fewest and most views
    axes      of its planes, ours
    surface   opacity per unit length where its surface is cut
    """

    views: tuple[int, int]
    axes: Axes
    surface: float

    @abstractmethod
    def forward(self, colour: Float[Tensor, "b v 3 s s"], mask: Float[Tensor, "b v 1 s s"], cameras: Cameras) -> Planes:
        """Views to triplane; colour 0..1, 0 outside the mask, images of any size. ValueError for too many or few."""

    @abstractmethod
    def density_and_colour(
        self, planes: Planes, points: Float[Tensor, "b n 3"]
    ) -> tuple[Float[Tensor, "b n"], Float[Tensor, "b n 3"]]:
        """Opacity per unit length, and colour from 0 to 1, at places of the box."""

    def field(self, planes: Planes) -> Field:
        """The triplane as the renderer takes it."""
        return lambda points: self.density_and_colour(planes, points)

    def sample(self, planes: Planes, points: Float[Tensor, "b n 3"]) -> Float[Tensor, "b n 3*channels"]:
        """Each plane's value under the places, one after the other."""
        return sample_planes(planes, points, self.axes, "zeros")

    def expect(self, views: int) -> None:
        """ValueError unless the model takes so many views."""
        fewest, most = self.views
        if not fewest <= views <= most:
            wanted = f"{fewest}" if fewest == most else f"{fewest} to {most}"
            raise ValueError(f"{views} views given, {type(self).__name__} takes {wanted}: give as many.")


def on_ground(
    colour: Float[Tensor, "b v 3 s s"], mask: Float[Tensor, "b v 1 s s"], ground: float, size: int, mode: str
) -> Float[Tensor, "bv 3 size size"]:
    """The views over an even background, at the size that the model was trained with."""
    whole = (colour + (1 - mask) * ground).flatten(0, 1)
    if whole.shape[-1] == size:
        return whole
    return interpolate(whole, (size, size), mode=mode, align_corners=False, antialias=True).clamp(0, 1)


def upsampled(up: nn.ConvTranspose2d, tokens: Float[Tensor, "b n d"]) -> Planes:
    """Triplane tokens, plane by plane and row by row, to cells."""
    side = round((tokens.shape[1] / 3) ** 0.5)
    cells = up(tokens.mT.unflatten(2, (3, side, side)).transpose(1, 2).flatten(0, 1))
    return cells.unflatten(0, (-1, 3))
