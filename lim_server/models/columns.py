"""What the views tell of every place of the box, before anything is learned (ours; the preset nano has it).

The forerunner of carve.py, which looks at the cells first; LIM and its twin are shipped over an LRM that has this.

Each cell of a grid is seen by every view: is it inside all masks (the visual hull, Laurentini 1994), what colour has it
on average, and how much do the views differ about that (photo consistency, Seitz and Dyer 1997)? Each token of the
triplane gets the column of cells over its patch as one linear map: an image token that lies where it lies.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

from lim_server.models.attention import Tokens
from lim_server.models.encoding import encode_planes
from lim_server.models.hull import pixels
from lim_server.models.presets import Preset
from lim_server.render.cameras import Cameras

EVIDENCE = 5
"""Inside all masks, mean colour, difference."""
ORDERS = ((2, 1, 3), (3, 1, 2), (3, 2, 1))
"""Of the axes x, y, z (1, 2, 3): rows, columns and depth of the planes xy, xz and yz."""


@torch.no_grad()
def evidence(
    colour: Float[Tensor, "b v 3 s s"], mask: Float[Tensor, "b v 1 s s"], cameras: Cameras, cells: int
) -> Float[Tensor, "b 5 c c c"]:
    """Of every cell of the box, indexed x, y, z."""
    image = torch.cat((colour, mask), 2)  # the colour is weighed by the mask already
    size = image.shape[-1] // (cells + 8)
    image = avg_pool2d(image.flatten(0, 1), max(1, size)).unflatten(0, colour.shape[:2])  # as coarse as the cells
    line = (torch.arange(cells, device=image.device) + 0.5) * (2 / cells) - 1
    middles = torch.cartesian_prod(line, line, line)
    rigs = (cameras[sample] for sample in range(len(image)))  # one at a time stays in the cache
    found = [_of_views(views, rig, middles) for views, rig in zip(image, rigs, strict=True)]
    return torch.stack(found).unflatten(2, (cells, cells, cells))


def _of_views(image: Float[Tensor, "v 4 s s"], cameras: Cameras, middles: Float[Tensor, "n 3"]) -> Float[Tensor, "5 n"]:
    pixel, hit, _ = pixels(cameras, middles, image.shape[-1])
    found = image.flatten(2).gather(2, pixel[:, None].expand(-1, 4, -1)) * hit[:, None]
    total = found.sum(0)
    weight = total[3:].clamp(min=1e-3)
    mean = total[:3] / weight
    apart = (found[:, :3].square().sum(0) / weight - mean.square()).clamp(min=0).mean(0, keepdim=True).sqrt()
    return torch.cat((found[:, 3:].prod(0), mean, apart))


class Columns(nn.Module):
    """One token for each of the triplane's, from the cells over its patch."""

    places: Tensor

    def __init__(self, preset: Preset):
        super().__init__()
        self.preset = preset
        self.deep = preset.cells // 2
        self.lift = nn.Linear(EVIDENCE * preset.upsample**2 * self.deep, preset.image_width)
        self.norm = nn.LayerNorm(preset.image_width)
        places = encode_planes(preset.tokens, preset.image_width // preset.image_heads)
        self.register_buffer("places", places[None], persistent=False)

    def forward(self, colour: Float[Tensor, "b v 3 s s"], mask: Float[Tensor, "b v 1 s s"], cameras: Cameras) -> Tokens:
        """Tokens [b, 3 * tokens^2, image_width], in the order of the triplane's."""
        with torch.autocast(colour.device.type, enabled=False):  # places need all their digits
            cells = evidence(colour.float(), mask.float(), cameras, self.preset.cells)
        side, up = self.preset.tokens, self.preset.upsample
        columns = []
        for order in ORDERS:
            plane = cells.movedim([axis + 1 for axis in order], (2, 3, 4))
            plane = plane.unflatten(4, (self.deep, 2)).mean(-1)
            plane = plane.unflatten(3, (side, up)).unflatten(2, (side, up))  # b 5 row up column up deep
            columns.append(plane.permute(0, 2, 4, 1, 3, 5, 6).flatten(3).flatten(1, 2))
        return Tokens(self.norm(self.lift(torch.cat(columns, 1))), self.places)
