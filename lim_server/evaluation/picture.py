"""One row for each method, a few sequences side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from lim_protocol.png import png
from lim_server.evaluation.heldout import MIDDLE, HeldOut

COLUMNS, EDGE = 8, 2
FIRST, SECOND, TRUTH = "key k", "key k + 1", "truth"

View = Float[Tensor, "3 s s"]
Tile = UInt8[Tensor, "s s 3"]


class Pictures:
    """What every method showed of every sequence, from the first of the novel cameras."""

    def __init__(self, methods: Sequence[str]):
        self.rows = [FIRST, *methods, TRUTH, SECOND]
        self.motion: list[float] = []
        self.tiles: list[dict[str, Tile]] = []

    def add(self, held: HeldOut, shown: Mapping[str, View]) -> None:
        """A sequence, with a picture of each method."""
        self.motion.append(held.motion)
        true = {FIRST: held.novel[0, 0], TRUTH: held.novel[MIDDLE, 0], SECOND: held.novel[2, 0]}
        self.tiles.append({name: _tile(view) for name, view in {**true, **shown}.items()})

    def drawn(self) -> bytes:
        """A PNG: a column for each of a few sequences, from little motion to much."""
        order = np.argsort(self.motion)
        few = order[np.unique(np.linspace(0, len(order) - 1, COLUMNS).round().astype(int))]
        rows = [np.concatenate([_framed(self.tiles[k][name].numpy()) for k in few], 1) for name in self.rows]
        return png(np.concatenate(rows))


def _tile(view: View) -> Tile:
    return (view.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).contiguous().cpu()


def _framed(tile: np.ndarray) -> np.ndarray:
    return np.pad(tile, ((EDGE, EDGE), (EDGE, EDGE), (0, 0)), constant_values=48)
