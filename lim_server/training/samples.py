"""Pictures drawn while it trains: what was seen, and what the triplane shows from the same cameras."""

from __future__ import annotations

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from lim_protocol.png import png
from lim_server.models.field import Decoder
from lim_server.models.lrm import Planes
from lim_server.models.weights import write_whole
from lim_server.render.cameras import Cameras
from lim_server.render.volume import render
from lim_server.training.feed import Block
from lim_server.training.objective import LimObjective, LrmObjective, Prepared, views

CLIPS, STEPS, VIEW = 4, 64, 0


@torch.no_grad()
def draw_samples(objective: LrmObjective | LimObjective, ready: Block | Prepared, path: Path) -> None:
    """A row per clip: true first, middle and last view, then the model's middle (LRM: colours, then canonical)."""
    block = ready.block if isinstance(ready, Prepared) else ready
    rows = [torch.cat(_row(objective, ready, clip), 1) for clip in range(min(CLIPS, len(block.times)))]
    image = (torch.cat(rows).clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()
    write_whole(path, png(image))


def _row(objective: LrmObjective | LimObjective, ready: Block | Prepared, clip: int) -> list[Tensor]:
    block = ready.block if isinstance(ready, Prepared) else ready
    scene, at = block.scene, torch.tensor([clip], device=block.times.device)
    twin = torch.tensor([isinstance(objective, LimObjective) and objective.twin], device=at.device)
    row = []
    for frame in range(3):
        colour, _ = views(scene, at, torch.full_like(at, frame), twin)
        row.append(colour[0, VIEW].permute(1, 2, 0))
    cameras, size = scene.cameras[at], scene.colour.shape[-1]
    if isinstance(objective, LrmObjective):
        for xyz in (False, True):
            colour, mask = views(scene, at, torch.ones_like(at), torch.full_like(twin, xyz))
            row.append(picture(objective.lrm.decoder, objective.lrm(colour, mask, cameras).planes, cameras, size))
        return row
    assert isinstance(ready, Prepared)
    planes = objective.between(ready, at)
    decoder = objective.frozen[0].decoder
    return [*row, *(picture(decoder, p, cameras, size) for p in (planes, ready.middle[at]))]


def picture(decoder: Decoder, planes: Planes, cameras: Cameras, size: int) -> Float[Tensor, "size size 3"]:
    """The first camera's view of a single triplane."""
    one = cameras[:, VIEW : VIEW + 1]

    def field(points: Tensor) -> tuple[Tensor, Tensor]:
        logit, colour = decoder(planes.float(), points)
        return decoder.opacity(logit), colour

    origins, directions = (r[:, 0] for r in one.rays(size))
    return render(field, origins, directions, STEPS).colour[0].unflatten(0, (size, size))
