"""Small networks with random weights, for the models' tests."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from lim_server.models.carve import Carved
from lim_server.models.lim import Interval, Lim
from lim_server.models.lrm import Key, Lrm
from lim_server.models.presets import Preset, smoke
from lim_server.render.cameras import loose_ring


def shaken(module: nn.Module, seed: int = 1) -> None:
    """What begins at nothing (alpha, tags, biases) begins somewhere, so that tests see it."""
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in module.parameters():
            weight += 0.1 * torch.randn(weight.shape, generator=random)


def network(seed: int = 0, **changed: object) -> Lrm:
    """An LRM of the smoke preset, changed as asked, its weights shaken."""
    torch.manual_seed(seed)
    preset: Preset = replace(smoke(), **changed)  # type: ignore[arg-type]
    lrm = Lrm(preset)
    shaken(lrm, seed)
    return lrm.eval().requires_grad_(False)


def views(preset: Preset, batch: int, seed: int) -> tuple[Tensor, Tensor]:
    """Noise in the place of pictures, and masks."""
    random = torch.Generator().manual_seed(seed)
    mask = (torch.rand(batch, 4, 1, preset.size, preset.size, generator=random) < 0.5).float()
    return torch.rand(batch, 4, 3, preset.size, preset.size, generator=random) * mask, mask


def key_of(lrm: Lrm, batch: int = 1, seed: int = 0) -> Key:
    """A key from noise."""
    cameras = loose_ring(torch.Generator().manual_seed(7), 0.3)[None][torch.zeros(batch, dtype=torch.long)]
    key: Key = lrm(*views(lrm.preset, batch, seed), cameras)
    return key


def carved(*keys: Key) -> list[Carved]:
    """What was carved from each."""
    return [key.carved for key in keys if key.carved is not None]


def interval(lim: Lim, key: Key, far: Key, features: list[Tensor] | None = None, home: Key | None = None) -> Interval:
    """From a key to another, with other features of the first if given; `home` is the first as the twin sees it."""
    if not lim.twin:
        return lim.interval(features or key.features, far.images, carved=carved(key, far))
    assert home is not None
    near = key if lim.sway is None else home
    return lim.interval(home.features, far.images, near.images, carved(key, far, home))


def between(lrm: Lrm, seed: int = 3, **options: object) -> Lim:
    """A LIM over it, shaken too, but for what is the LRM's."""
    lim = Lim(lrm, **options)  # type: ignore[arg-type]
    own = {
        name: value.clone()
        for name, value in lim.state_dict().items()
        if name.startswith(("head.", "ahead.", "sway.carve."))
    }
    shaken(lim, seed)
    lim.load_state_dict(own, strict=False)
    return lim.eval().requires_grad_(False)
