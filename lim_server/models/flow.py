"""Where the cells of one key are at the other (ours; only the presets that carve use it).

A small transformer over planes learns to move what it holds only from very many samples (docs/evaluation.md). Here
motion is found in space, where it is. Both keys' cells are looked at by a U-Net of ever larger ones; the largest, a
hundred or two a key, are tokens that attend to each other, within a key and across. Then each cell, at twice the
carved ones' size, is matched with all of the other key's: the mean of their places, weighed by a softmax over products
of features (Xu et al. 2022, GMFlow), is a first answer, and another U-Net says what is still wrong with it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import linear

from lim_server.models.attention import Attention, Mlp, Tokens
from lim_server.models.carve import Carved
from lim_server.models.encoding import encode_points
from lim_server.models.hull import Cells
from lim_server.models.presets import Preset
from lim_server.models.sparse import Residual, Unet, around, halved

OCTAVES = 24
PLACE = 2 * (3 + OCTAVES)
"""Numbers that say where a cell is: in the box, and from the middle of its key."""
HEARD, APART = 4, 16
"""A half-size of the box, as the second look hears it; values that it tells each eighth of a cell."""


@dataclass(frozen=True, eq=False)
class Flow:
    """Of all cells of b near keys, then of their b far ones: at the share a of the way to the other key a cell is at
    its place + a * shift + 4 a (1 - a) * arc.

    matched  [n, 3]  the first answer to shift, of the large cell that each is part of
    large    these larger cells; likely [2 b] matrices: logit of each of them being each of the other key's
    """

    shift: Float[Tensor, "n 3"]
    arc: Float[Tensor, "n 3"]
    matched: Float[Tensor, "n 3"]
    large: Cells
    likely: list[Float[Tensor, "_ _"]]


class FlowFinder(nn.Module):
    """Carved cells of both keys to the flow from each to the other."""

    def __init__(self, preset: Preset):
        super().__init__()
        fine, width, wide = preset.carve[0], *preset.flow
        self.sharp = nn.Parameter(torch.tensor(0.0))
        self.begin, self.there = nn.Linear(8 * (fine + 1), width), Residual(width)
        self.down, self.at = nn.Linear(8 * width, wide), nn.Linear(PLACE, wide)
        self.looks = nn.ModuleList(Look(wide, preset.image_heads) for _ in range(preset.blocks))
        self.norm, self.up, self.back = nn.LayerNorm(wide), nn.Linear(wide, 8 * width), Residual(width)
        self.seen, self.key, self.bias = nn.LayerNorm(width), nn.Linear(width + PLACE, width), nn.Linear(width, 1)
        self.join, self.again, self.shift = nn.Linear(2 * width + 4, width), Unet(preset.flow), nn.Linear(width, 3)
        self.apart = nn.Linear(width, 8 * APART)
        self.fine = nn.Sequential(nn.Linear(fine + APART, 64), nn.SiLU(), nn.Linear(64, 6))
        self.bias.weight.data.zero_()
        for last in (self.shift, self.fine[2]):  # begins with what is matched
            _quieten(last)

    def forward(self, keys: Carved) -> Flow:
        """Of b near keys, then of their far ones, as one batch."""
        middle = _middles(keys)
        known = keys.values.float()  # kept in bfloat16 where training is
        listed = torch.cat((known, torch.ones_like(known[:, :1])), 1)
        large = halved(keys.cells)
        table = around(large.cells)
        x = self.there(self.begin(large.gathered(listed)), table)
        x = self.seen(self.back(x + self._looked(x, large.cells, middle), table))
        place = large.cells.places
        matched, sure, like, likely = self._match(x, large.cells, _placed(large.cells, middle))
        matched = matched - place
        x = self.again(self.join(torch.cat((x, like, HEARD * matched, sure), 1).to(x.dtype)), large.cells)
        shift, parent = matched + self.shift(x).float(), large.place // 8
        told = torch.cat((large.spread(self.apart(x)), known), 1)
        more, arc = self.fine(told).float().split(3, 1)
        return Flow(shift[parent] + more, arc, matched[parent], large.cells, likely)

    def _looked(self, x: Float[Tensor, "m c"], cells: Cells, middle: Float[Tensor, "b 3"]) -> Float[Tensor, "m c"]:
        """What still larger cells, as tokens, tell each."""
        larger = halved(cells)
        tokens = self.down(larger.gathered(x)) + self.at(_placed(larger.cells, middle))
        for look in self.looks:
            tokens = look(tokens, _counts(larger.cells))
        return larger.spread(self.up(self.norm(tokens)))

    def _match(
        self, x: Float[Tensor, "m c"], cells: Cells, placed: Float[Tensor, "m p"]
    ) -> tuple[Tensor, Tensor, Tensor, list[Tensor]]:
        """Mean place of the other key's cells, the greatest weight among them, mean features, and all logits."""
        with torch.autocast(x.device.type, enabled=False):  # places need their digits
            x = x.float()
            key = linear(torch.cat((x, placed), 1), self.key.weight, self.key.bias)
            counts, half = _counts(cells), cells.batch // 2
            keys = (key * (self.sharp.exp() / key.shape[1] ** 0.5).sqrt()).split(counts)
            bias = self.bias(x)[:, 0].split(counts)
            answers = torch.cat((cells.places, x), 1).split(counts)
            likely = [keys[k] @ keys[(k + half) % len(keys)].mT for k in range(half)]
            likely = [logit + bias[(k + half) % len(keys)] for k, logit in enumerate(likely + [m.mT for m in likely])]
            weights = [logit.softmax(1) for logit in likely]
            found = torch.cat([w @ answers[(k + half) % len(keys)] for k, w in enumerate(weights)])
            return found[:, :3], torch.cat([w.amax(1, keepdim=True) for w in weights]), found[:, 3:], likely


class Look(nn.Module):
    """Tokens of a key attend to each other, then to those of the other key."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.norm1, self.norm2, self.norm3 = nn.LayerNorm(width), nn.LayerNorm(width), nn.LayerNorm(width)
        self.own, self.other, self.mlp = Attention(width, heads), Attention(width, heads), Mlp(width)
        for last in (self.own.out, self.other.out, self.mlp[2]):
            _quieten(last)

    def forward(self, x: Float[Tensor, "n c"], counts: list[int]) -> Float[Tensor, "n c"]:
        """One step of refinement of all keys' tokens, so many of each."""
        x = x + _gathered(self.own, self.norm1(x), counts, 0)
        x = x + _gathered(self.other, self.norm2(x), counts, len(counts) // 2)
        return x + self.mlp(self.norm3(x))


def _quieten(layer: nn.Module) -> None:
    """What it adds is little to begin with."""
    assert isinstance(layer, nn.Linear)
    layer.weight.data.mul_(0.1)
    layer.bias.data.zero_()


def _gathered(attention: Attention, x: Float[Tensor, "n c"], counts: list[int], ahead: int) -> Float[Tensor, "n c"]:
    """What each key's tokens gather from those of the key that is so far ahead in the batch."""
    keys = [Tokens(some[None]) for some in x.split(counts)]
    held = [attention.hold(key) for key in keys]
    return torch.cat([attention(key, held[(k + ahead) % len(keys)])[0] for k, key in enumerate(keys)])


def _counts(cells: Cells) -> list[int]:
    counts: list[int] = torch.bincount(cells.at[:, 0], minlength=cells.batch).tolist()
    return counts


def _middles(keys: Carved) -> Float[Tensor, "b 3"]:
    """Of what is solid of each key."""
    solid = keys.solid[:, None]
    rows = torch.cat((keys.cells.places * solid, solid), 1)
    total = rows.new_zeros(keys.cells.batch, 4).index_add(0, keys.cells.at[:, 0], rows)
    return total[:, :3] / total[:, 3:].clamp(min=1e-6)


def _placed(cells: Cells, middle: Float[Tensor, "b 3"]) -> Float[Tensor, "n p"]:
    both = cells.places, cells.places - middle[cells.at[:, 0]]
    return torch.cat([t for place in both for t in (place, encode_points(place, OCTAVES))], 1)
