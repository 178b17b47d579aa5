"""What LIM's twin says of a pair of keys: where on the source each place of a later key comes from (section 3.4).

The source is looked at in colours and in canonical coordinates, a later key in colours. At alpha = 1 the twin's
triplane holds, at the later key's surface, the canonical coordinates of the source: places of source and key whose
canonical coordinates are far apart are unlike each other. A twin that begins with a flow (models/flow.py) has the same
in that, more exactly, and needs colours only. That is told to the coarse fit beside looks and form.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from lim_protocol import records
from lim_protocol.types import Keyframe, Mesh
from lim_server.geometry.shape import Frame
from lim_server.geometry.side import Side
from lim_server.models.attention import Tokens
from lim_server.models.carve import Carved
from lim_server.models.shipped import Models
from lim_server.render.views import Ball, Views, look

GREY = 0.5
OFF = 0.12
"""How far off canonical coordinates commonly are, in the ball's unit."""
MOST = 3.0
"""What a match that the twin speaks against costs at most; a look that differs costs as much."""


T = TypeVar("T")


@runtime_checkable
class Keeper(Protocol):
    """Where what is made of a key is looked for before it is made."""

    def __call__(self, name: bytes, make: Callable[[], T], /) -> T:
        """What is kept under the name, or made now."""


def made_anew(_name: bytes, make: Callable[[], T], /) -> T:
    """Nothing is kept."""
    return make()


class Canonical:
    """The twin at work on one shot. Everything is in one ball, so that what is made of a key serves all pairs.

    What the LRM makes of a key is kept by its content, so that a shot tracked again (stiffer, with other pins, with one
    key more inside the same ball) finds it.
    """

    def __init__(self, models: Models, keyframes: Sequence[Keyframe], device: str, keep: Keeper = made_anew):
        self.models, self.device, self.keep = models, device, keep
        whole = np.concatenate([key.mesh.points for key in keyframes])
        self.ball = Ball.of(torch.tensor(whole, dtype=torch.float32, device=device))
        self.frame = Frame.of(keyframes[0].mesh.points)
        mesh = keyframes[0].mesh
        self.near = self._seen(mesh)
        no_flow = models.twin.sway is None
        self.features = keep(self._name("features", mesh), lambda: self._features(mesh)) if no_flow else []

    @torch.inference_mode()
    def told(self, key: Keyframe, source: Side, target: Side) -> Float[Tensor, "n m"]:
        """How much canonical coordinates speak against each match of the graphs' samples, 0 to MOST."""
        home = self._home(key.mesh, self._in_ball(target.points))
        rest = self._in_ball(source.points)
        apart = torch.cdist(rest, home)
        # what comes to lie beside the source's surface is not believed
        trust = torch.exp(-0.5 * (apart.amin(0) / OFF) ** 2)
        return (0.5 * (apart / OFF) ** 2).clamp(max=MOST) * trust

    def _home(self, mesh: Mesh, points: Float[Tensor, "m 3"]) -> Float[Tensor, "m 3"]:
        """Canonical coordinates at places of the far key; the flow, where there is one, tells them more exactly."""
        (near, source), (far, target) = self.near, self._seen(mesh)
        twin = self.models.twin
        if twin.sway is not None and source is not None and target is not None:
            return twin.sway.pair(source, target).home(points[None])[0]
        planes = twin(twin.interval(self.features, far, near), torch.ones(1, device=self.device)).planes
        return self.models.lrm.decoder(planes, points[None])[1][0] * 2 - 1

    def _views(self, mesh: Mesh) -> Views:
        points = self.ball.apply(torch.tensor(mesh.points, device=self.device))
        triangles = torch.tensor(mesh.triangles(), device=self.device).long()
        colour = torch.full_like(points, GREY)
        if mesh.colors is not None:
            colour = torch.tensor(mesh.colors, device=self.device).float() / 255
        return look(points, triangles, colour, self.models.lrm.preset.size)

    @torch.inference_mode()
    def _features(self, mesh: Mesh) -> list[Float[Tensor, "1 t d"]]:
        """Of the source in canonical coordinates."""
        views = self._views(mesh)
        return self.models.lrm(views.canonical, views.mask, views.cameras).features

    def _seen(self, mesh: Mesh) -> tuple[Tokens, Carved | None]:
        """Image tokens of a key in colours, and what was carved from these."""

        @torch.inference_mode()
        def make() -> tuple[Tokens, Carved | None]:
            views = self._views(mesh)
            return self.models.lrm.encoder.see(views.colour, views.mask, views.cameras)

        return self.keep(self._name("seen", mesh), make)

    def _name(self, what: str, mesh: Mesh) -> bytes:
        where = f"{what} {self.models.sha256} {self.device} {self.ball.centre.tolist()} {self.ball.radius}".encode()
        seen = Mesh(mesh.points, mesh.face_counts, mesh.face_indices, colors=mesh.colors)  # stiffness and pins are not
        return hashlib.sha256(where + records.digest(records.pack_mesh(seen))).digest()

    def _in_ball(self, points: Float[ndarray, "n 3"]) -> Float[Tensor, "n 3"]:
        return self.ball.apply(torch.tensor(self.frame.undo(points), device=self.device))
