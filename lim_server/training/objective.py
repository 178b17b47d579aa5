"""One step's loss, for each of the three trainings."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from lim_server.models.attention import Tokens
from lim_server.models.carve import Carved
from lim_server.models.lim import Lim
from lim_server.models.lrm import Key, Lrm, Planes
from lim_server.render.cameras import Cameras
from lim_server.training.data.scene import Scene
from lim_server.training.feed import FRAMES, Block
from lim_server.training.losses import (
    Rays,
    Truth,
    between_loss,
    carved_loss,
    causal_planes,
    field_loss,
    ray_loss,
    weighed,
)
from lim_server.training.recipes import Recipe

AT_ONCE = 16
MIDDLE, LAST = 1, 2

Parts = dict[str, Tensor]


class LrmObjective(nn.Module):
    """The LRM on single frames; some of them in canonical coordinates instead of colours."""

    def __init__(self, recipe: Recipe, lrm: Lrm):
        super().__init__()
        self.recipe, self.lrm = recipe, lrm

    def samples(self, clips: int) -> int:
        """Of a block."""
        return clips * FRAMES * self.recipe.uses

    def prepare(self, block: Block) -> Block:
        """Nothing: every step makes its own triplanes."""
        return block

    def forward(self, block: Block, samples: Int[Tensor, " b"], step: int, random: torch.Generator) -> Parts:
        """Loss by parts; "total" is what is trained on."""
        scene, device = block.scene, block.times.device
        clip = (samples // (FRAMES * self.recipe.uses)).to(device)
        frame = (samples % FRAMES).to(device)
        xyz = torch.rand(len(samples), generator=random, device=device) < self.recipe.xyz
        colour, mask = views(scene, clip, frame, xyz)
        key: Key = self.lrm(colour, mask, scene.cameras[clip])
        planes, told = key.planes.float(), truth(scene, clip, frame, xyz)
        parts = field_loss(self.lrm.decoder, planes, told)
        if key.carved is not None:
            parts |= carved_loss(key.carved, told)
        if self.recipe.rays and step >= self.recipe.steps - self.recipe.decay:
            rays = some_rays(scene, clip, frame, colour, self.recipe.rays, random)
            parts |= ray_loss(self.lrm.decoder, planes, rays)
        # large triplanes would cost LIM precision that it does not have
        parts["total"] = weighed(parts) + 1e-4 * planes.square().mean()
        return parts


@dataclass(frozen=True, eq=False)
class Prepared:
    """A block, and what the frozen LRM makes of its keys; sets [clips, ends, n, d], images the same.

    carved  by end, then by clip: from colours; aside, by clip: from the twin's first end in canonical coordinates, else
            from the frame between; none of either where the LRM does not carve
    """

    block: Block
    features: list[Float[Tensor, "c e n d"]]
    images: Float[Tensor, "c e m i"]
    places: Float[Tensor, "c m h"] | None
    middle: Float[Tensor, "c 3 ch r r"]
    last: Float[Tensor, "c 3 ch r r"]
    carved: list[list[Carved]]
    aside: list[Carved]


class LimObjective(nn.Module):
    """LIM, or its twin, over a frozen LRM: L_T, the decoded field, and L_causal."""

    def __init__(self, recipe: Recipe, lrm: Lrm, lim: Lim):
        super().__init__()
        self.recipe, self.lim = recipe, lim
        self.frozen = [lrm.eval().requires_grad_(False)]  # in a list: no part of what is trained or saved

    @property
    def twin(self) -> bool:
        """Trained on canonical coordinates."""
        return self.recipe.model == "lim-xyz"

    def samples(self, clips: int) -> int:
        """Of a block."""
        return clips * self.recipe.uses

    @torch.no_grad()
    def prepare(self, block: Block) -> Prepared:
        """Features of both ends, and the triplanes that LIM is to reach."""
        clips = torch.arange(len(block.times), device=block.times.device)
        made = [self._prepare(block.scene, some) for some in clips.split(AT_ONCE)]
        features = [torch.cat([m.features[k] for m in made]) for k in range(len(made[0].features))]
        images, middle, last = (torch.cat([getattr(m, name) for m in made]) for name in ("images", "middle", "last"))
        places = None if made[0].places is None else torch.cat([m.places for m in made if m.places is not None])
        carved = [[c for m in made for c in m.carved[end]] for end in range(len(made[0].carved))]
        return Prepared(block, features, images, places, middle, last, carved, [c for m in made for c in m.aside])

    def _prepare(self, scene: Scene, clip: Tensor) -> Prepared:
        keys = {frame: self._key(scene, clip, frame, self.twin) for frame in range(FRAMES)}
        seen = [self._seen(scene, clip, f) if self.twin else (keys[f].images, keys[f].carved) for f in (0, LAST)]
        (near, _), (far, _) = seen
        if self.twin and self.lim.sway is not None:
            near = keys[0].images
        features = [torch.stack((a, b), 1) for a, b in zip(keys[0].features, keys[LAST].features, strict=True)]
        images = torch.stack((near.values, far.values), 1)
        dummy = Block(scene, clip)
        each = [[c.of(k) for k in range(len(clip))] for _, c in seen if c is not None]
        aside = keys[0 if self.twin else MIDDLE].carved
        others = [] if aside is None else [aside.of(k) for k in range(len(clip))]
        return Prepared(dummy, features, images, near.places, keys[MIDDLE].planes, keys[LAST].planes, each, others)

    def _seen(self, scene: Scene, clip: Tensor, frame: int) -> tuple[Tokens, Carved | None]:
        """What the twin sees of a key in colours, beside its canonical features: image tokens, and what was carved."""
        colour, mask = views(scene, clip, torch.full_like(clip, frame), torch.zeros_like(clip, dtype=torch.bool))
        seen: tuple[Tokens, Carved | None] = self.frozen[0].encoder.see(colour, mask, scene.cameras[clip])
        return seen

    def _key(self, scene: Scene, clip: Tensor, frame: int, xyz: bool) -> Key:
        frames, flags = torch.full_like(clip, frame), torch.full_like(clip, xyz, dtype=torch.bool)
        colour, mask = views(scene, clip, frames, flags)
        key: Key = self.frozen[0](colour, mask, scene.cameras[clip])
        return key

    def forward(self, ready: Prepared, samples: Int[Tensor, " b"], step: int, random: torch.Generator) -> Parts:  # noqa: ARG002
        """Loss by parts; "total" is what is trained on."""
        clip, flip, back, time = self._drawn(ready, samples, random)
        whole = (flip < self.recipe.whole) & self.twin
        alpha = torch.where(whole, 1.0, time)
        key = Key([f[clip, back] for f in ready.features], self._images(ready, clip, back), ready.middle[clip])
        near, far = key.images if self.twin else None, self._images(ready, clip, 1 - back)
        target = torch.where(whole[:, None, None, None, None], ready.last[clip], ready.middle[clip])
        carved = self._carved(ready, clip, back)
        planes = self.lim(self.lim.interval(key.features, far, near, carved), alpha).planes.float()
        frame = torch.where(whole, LAST, MIDDLE)
        told = truth(ready.block.scene, clip, frame, torch.full_like(whole, self.twin))
        parts = {"between": between_loss(planes, target), **field_loss(self.frozen[0].decoder, planes, told)}
        parts["total"] = parts["between"] + self.recipe.field * weighed(parts)
        if self.recipe.causal:
            self._causal(parts, key, near, far, carved, alpha, random, planes, target)
        return parts

    def _drawn(
        self, ready: Prepared, samples: Int[Tensor, " b"], random: torch.Generator
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Which clips, a number from 0 to 1 for each, whether their time runs back, and the time between.

        Time runs both ways; the twin's canonical frame is the first, so for it it runs one way.
        """
        clip = (samples // self.recipe.uses).to(ready.images.device)
        flip = torch.rand(2, len(clip), generator=random, device=clip.device)
        back = (flip[0] < 0.5).long() * (not self.twin)
        time = torch.where(back.bool(), 1 - ready.block.times[clip], ready.block.times[clip])
        return clip, flip[1], back, time

    def _carved(self, ready: Prepared, clip: Int[Tensor, " b"], back: Int[Tensor, " b"]) -> list[Carved]:
        """From the keys' colours, and for the twin from the first key's canonical coordinates."""
        if not ready.carved:
            return []
        ends = [
            [ready.carved[end][k] for k, end in zip(clip.tolist(), side.tolist(), strict=True)]
            for side in (back, 1 - back)
        ]
        if self.twin:
            ends.append([ready.aside[k] for k in clip.tolist()])
        return [Carved.joined(end) for end in ends]

    def between(self, ready: Prepared, clip: Int[Tensor, " b"]) -> Planes:
        """The triplane halfway, for pictures."""
        first, last = torch.zeros_like(clip), torch.ones_like(clip)
        near = self._images(ready, clip, first) if self.twin else None
        features, far = [f[clip, first] for f in ready.features], self._images(ready, clip, last)
        interval = self.lim.interval(features, far, near, self._carved(ready, clip, first))
        return self.lim(interval, ready.block.times[clip]).planes

    def _causal(
        self,
        parts: Parts,
        key: Key,
        near: Tokens | None,
        far: Tokens,
        carved: list[Carved],
        alpha: Tensor,
        random: torch.Generator,
        direct: Planes,
        target: Planes,
    ) -> None:
        share = torch.rand(len(alpha), generator=random, device=alpha.device)
        planes = causal_planes(self.lim, key, near, far, carved, alpha, share).float()
        parts["causal"] = between_loss(planes, target if self.recipe.target == "lrm" else direct.detach())
        parts["total"] = parts["total"] + self.recipe.causal * parts["causal"]

    @staticmethod
    def _images(ready: Prepared, clip: Tensor, end: Tensor) -> Tokens:
        return Tokens(ready.images[clip, end], None if ready.places is None else ready.places[clip])


def views(scene: Scene, clip: Tensor, frame: Tensor, xyz: Tensor) -> tuple[Tensor, Tensor]:
    """Colours (or canonical coordinates) [b, v, 3, s, s] from 0 to 1, and masks [b, v, 1, s, s]."""
    colour, canonical = scene.colour[clip, frame], scene.canonical[clip, frame]
    chosen = torch.where(xyz[:, None, None, None, None], canonical, colour)
    return chosen.float() / 255, scene.mask[clip, frame][:, :, None].float()


def truth(scene: Scene, clip: Tensor, frame: Tensor, xyz: Tensor) -> Truth:
    """What is known of these frames."""
    paint = scene.paint[clip, frame]
    colour = torch.where(xyz[:, None, None], paint[..., 3:], paint[..., :3])
    return Truth(scene.points[clip, frame], scene.inside[clip, frame], scene.surface[clip, frame], colour)


def some_rays(scene: Scene, clip: Tensor, frame: Tensor, colour: Tensor, count: int, random: torch.Generator) -> Rays:
    """Rays through pixels drawn from all views alike, half of them where something is seen."""
    cameras: Cameras = scene.cameras[clip]
    size, device = colour.shape[-1], colour.device
    mask = scene.mask[clip, frame].flatten(1).float()
    likely = mask / mask.sum(1, keepdim=True).clamp(min=1) + 1 / mask.shape[1]
    chosen = torch.multinomial(likely, count, generator=random)
    view, pixel = chosen // size**2, chosen % size**2
    row = torch.arange(len(clip), device=device)[:, None]
    origins, directions = (r[row, view, pixel] for r in cameras.rays(size))
    forward = -cameras.world[row, view][..., 2]
    depth = scene.depth[clip, frame].flatten(2)[row, view, pixel]
    seen = colour.movedim(2, -1).flatten(2, 3)[row, view, pixel]
    hit = mask.gather(1, chosen)
    jitter = torch.rand(*hit.shape, 1, generator=random, device=device)
    return Rays(origins, directions, seen, hit, depth / (directions * forward).sum(-1).clamp(min=1e-3), jitter)
