"""What the views tell of every place of the box, before anything is learned (ours; the preset nano has it).

The forerunner of carve.py, which looks at the cells first; LIM and its twin are shipped over an LRM that has this.

Each cell of a grid is seen by every view: is it inside all masks (the visual hull, Laurentini 1994), what colour has it
on average, and how much do the views differ about that (photo consistency, Seitz and Dyer 1997)? Each token of the
triplane gets the column of cells over its patch as one linear map: an image token that lies where it lies.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

from lim_server.models.attention import Tokens
from lim_server.models.encoding import encode_planes
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
    if image.device.type != "cpu":
        return _of_views(image, cameras, cells)
    # one at a time stays in the cache
    return torch.cat([_of_views(image[i : i + 1], cameras[i : i + 1], cells) for i in range(len(image))])


def _of_views(image: Float[Tensor, "b v 4 s s"], cameras: Cameras, cells: int) -> Float[Tensor, "b 5 c c c"]:
    b, views = image.shape[:2]
    hull = image.new_ones(b, 1, cells**3)
    total, squares = image.new_zeros(b, 4, cells**3), image.new_zeros(b, 3, cells**3)
    for view in range(views):
        pixel, hit = _pixels(cameras[:, view], cells, image.shape[-1])
        found = image[:, view].flatten(2).gather(2, pixel[:, None].expand(-1, 4, -1)) * hit[:, None]
        hull *= found[:, 3:]
        total += found
        squares += found[:, :3].square()
    weight = total[:, 3:].clamp(min=1e-3)
    mean = total[:, :3] / weight
    apart = (squares / weight - mean.square()).clamp(min=0).mean(1, keepdim=True).sqrt()
    return torch.cat((hull, mean, apart), 1).unflatten(2, (cells, cells, cells))


def _pixels(cameras: Cameras, cells: int, size: int) -> tuple[Int[Tensor, "b n"], Bool[Tensor, "b n"]]:
    """Which pixel every cell's middle lies in, and whether it is in the picture at all."""
    at = (torch.arange(cells, device=cameras.focal.device, dtype=torch.float32) + 0.5) * (2 / cells) - 1
    own, position = cameras.world[..., :3].mT, cameras.world[..., 3]  # rows: the camera's x, y and z
    start = -(own @ position[..., None])[..., 0]
    # a cell's place in the camera's space is a sum of what its x, y and z bring
    x, y, z = (own[..., k, None] * at for k in range(3))
    x = x + start[..., None]
    local = x[..., :, None, None] + (y[..., None, :, None] + z[..., None, None, :])
    across, up, back = local.flatten(2).unbind(1)
    near = (size / 2) / (-back).clamp(min=1e-3)
    focal, centre = cameras.focal[..., None], (cameras.centre[..., None] + 1) * (size / 2)
    column = (across * near).mul_(focal[:, 0]).add_(centre[:, 0]).floor_().int()
    row = (up * near).mul_(-focal[:, 1]).add_(size - centre[:, 1]).floor_().int()
    hit = (column >= 0) & (column < size) & (row >= 0) & (row < size)
    return (row.clamp_(0, size - 1) * size + column.clamp_(0, size - 1)).long(), hit


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
