"""What a key's views tell of the box, as tokens that lie where the triplane's do (ours; only the small presets use it).

The cells inside all masks, and what the views show there (hull.py), are looked at in space, where the shape is
(sparse.py); each token of the triplane then gets the column of cells over its patch as one linear map: an image token.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import grid_sample, pad, silu

from lim_server.models.attention import Tokens
from lim_server.models.encoding import encode_planes
from lim_server.models.hull import EVIDENCE, Cells, evidence
from lim_server.models.presets import Preset
from lim_server.models.sparse import Unet
from lim_server.render.cameras import Cameras

SAID = 8
"""Values of a cell that columns are made of."""
COLUMN = 32
"""Values that a column of cells comes down to."""
EMPTY = -8.0
"""Logit of opacity where no cell is listed."""
ORDERS = ((2, 1, 3), (3, 1, 2), (3, 2, 1))
"""Of the axes x, y, z (1, 2, 3): rows, columns and depth of the planes xy, xz and yz."""


@dataclass(frozen=True, eq=False)
class Carved:
    """Tokens [b, 3 * tokens^2, image_width], in the order of the triplane's, and what they are made of.

    told    [n, 32]  evidence of each cell (hull.py); none where no views were seen (sway.py)
    values  [n, c]   what is known of it, having looked around
    field   [n, 4]   logit of opacity and colours, from which the cells are taught where they are (training/losses.py)
    """

    tokens: Tokens
    cells: Cells
    told: Float[Tensor, "n 32"] | None
    values: Float[Tensor, "n c"]
    field: Float[Tensor, "n 4"]

    @property
    def solid(self) -> Float[Tensor, " n"]:
        """How likely each cell is inside."""
        return self.field[:, 0].float().sigmoid()

    def of(self, sample: int) -> Carved:
        """A batch of one out of a larger one."""
        mine = self.cells.at[:, 0] == sample
        cells = Cells(pad(self.cells.at[mine, 1:], (1, 0)), 1, self.cells.side)
        tokens = Tokens(self.tokens.values[sample : sample + 1], self.tokens.places)
        return Carved(
            tokens, cells, None if self.told is None else self.told[mine], self.values[mine], self.field[mine]
        )

    @staticmethod
    def joined(several: Sequence[Carved]) -> Carved:
        """A batch out of smaller ones."""
        begin = accumulate((c.cells.batch for c in several), initial=0)
        at = torch.cat([c.cells.at + pad(c.cells.at.new_full((1, 1), k), (0, 3)) for c, k in zip(several, begin)])
        cells = Cells(at, sum(c.cells.batch for c in several), several[0].cells.side)
        tokens = Tokens(torch.cat([c.tokens.values for c in several]), several[0].tokens.places)
        told = [c.told for c in several if c.told is not None]
        values, field = torch.cat([c.values for c in several]), torch.cat([c.field for c in several])
        return Carved(tokens, cells, torch.cat(told) if len(told) == len(several) else None, values, field)

    def at(self, points: Float[Tensor, "b p 3"]) -> tuple[Float[Tensor, "b p"], Float[Tensor, "b p 3"]]:
        """Logit of opacity, and colour from 0 to 1, between the cells."""
        empty = self.field.new_tensor((EMPTY, 0, 0, 0))
        grid = (self.cells.dense(self.field.float() - empty) + empty).permute(0, 4, 3, 2, 1)
        found = grid_sample(grid, points[:, None, None], align_corners=False, padding_mode="border")[:, :, 0, 0].mT
        return found[..., 0], found[..., 1:].sigmoid()


class Carve(nn.Module):
    """One token for each of the triplane's, from the cells over its patch."""

    places: Tensor

    def __init__(self, preset: Preset):
        super().__init__()
        self.preset = preset
        width = preset.carve[0]
        self.begin, self.trunk = nn.Linear(EVIDENCE, width), Unet(preset.carve)
        self.say, self.field = nn.Linear(width, SAID), nn.Linear(width, 4)
        wide = 2 * COLUMN
        self.column = nn.Sequential(nn.Linear(SAID * preset.cells, wide), nn.SiLU(), nn.Linear(wide, COLUMN))
        self.lift = nn.Linear(COLUMN * preset.upsample**2, preset.image_width)
        self.norm = nn.LayerNorm(preset.image_width)
        places = encode_planes(preset.tokens, preset.image_width // preset.image_heads)
        self.register_buffer("places", places[None], persistent=False)

    def forward(self, colour: Float[Tensor, "b v 3 s s"], mask: Float[Tensor, "b v 1 s s"], cameras: Cameras) -> Carved:
        """Views to tokens."""
        with torch.autocast(colour.device.type, enabled=False):  # places need all their digits
            cells, told = evidence(colour.float(), mask.float(), cameras, self.preset.cells)
        return self.carved(cells, self.known(cells, told), told)

    def known(self, cells: Cells, told: Float[Tensor, "n 32"]) -> Float[Tensor, "n c"]:
        """Of each cell, having looked around."""
        return silu(self.trunk(self.begin(told), cells))

    def carved(self, cells: Cells, values: Float[Tensor, "n c"], told: Float[Tensor, "n 32"] | None = None) -> Carved:
        """Tokens of what is known of the cells."""
        tokens = self.norm(self.lift(self._patches(cells.dense(self.say(values)))))
        return Carved(Tokens(tokens, self.places), cells, told, values, self.field(values))

    def _patches(self, grid: Float[Tensor, "b x y z c"]) -> Float[Tensor, "b n d"]:
        """Of every patch of the planes xy, xz and yz its columns, one after the other."""
        columns = torch.stack([grid.permute(0, *order, 4).flatten(3) for order in ORDERS], 1)
        side, up = self.preset.tokens, self.preset.upsample
        found = self.column(columns).unflatten(3, (side, up)).unflatten(2, (side, up))  # b 3 row up column up c
        return found.transpose(3, 4).flatten(4).flatten(1, 3)
