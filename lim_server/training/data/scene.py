"""What the models see of a clip, and what they are told about it: views, and points in space."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from lim_server.render.cameras import Cameras, loose_ring
from lim_server.render.rasterize import see
from lim_server.render.solid import solid
from lim_server.training.data.clip import Clip

CELLS = 64
"""Resolution of the solid that points are asked of: cells of 0.031, asked between."""
BURIED = 0.95
NEAR_SURFACE = (0.02, 0.08)


@dataclass(frozen=True, eq=False)
class Scene:
    """Every frame of a clip (or of a batch of them) from one rig.

    cameras     [*b, v]
    colour      [*b, t, v, 3, s, s]  sRGB, 0 outside
    canonical   [*b, t, v, 3, s, s]  where the point seen was at frame 0, -1..1 as 0..255; 0 outside
    mask        [*b, t, v, s, s]
    depth       [*b, t, v, s, s]     along each camera's axis; 0 outside
    points      [*b, t, p, 3]        places in the box, a third anywhere, the rest near the surface
    inside      [*b, t, p]           how far they are inside: 1 is, 0 is not, between at the surface
    surface     [*b, t, q, 3]        places on the surface
    paint       [*b, t, q, 6]        their colour and their place at frame 0, 0..1
    way         [*b, t, q, t, 3]     where they are at every frame
    """

    cameras: Cameras
    colour: UInt8[Tensor, "*b t v 3 s s"]
    canonical: UInt8[Tensor, "*b t v 3 s s"]
    mask: Bool[Tensor, "*b t v s s"]
    depth: Float[Tensor, "*b t v s s"]
    points: Float[Tensor, "*b t p 3"]
    inside: Float[Tensor, "*b t p"]
    surface: Float[Tensor, "*b t q 3"]
    paint: Float[Tensor, "*b t q 6"]
    way: Float[Tensor, "*b t q t 3"]

    @staticmethod
    def stack(scenes: list[Scene]) -> Scene:
        """A batch of them."""
        rig = [scene.cameras for scene in scenes]
        cameras = Cameras(*(torch.stack([getattr(c, f.name) for c in rig]) for f in fields(Cameras)))
        rest = [f.name for f in fields(Scene)[1:]]
        return Scene(cameras, *(torch.stack([getattr(scene, name) for scene in scenes]) for name in rest))


@dataclass(frozen=True)
class Shoot:
    """How a clip is looked at.

    size   pixels of a view's side
    count  points in space per frame; half as many on the surface
    loose  how far the rig strays from the ring of four, 0 to 1
    """

    size: int
    count: int = 768
    loose: float = 0.25


def take(clip: Clip, shoot: Shoot, seed: int, device: str = "cpu") -> Scene:
    """Views and points of every frame of a clip; the seed draws rig and points."""
    random = torch.Generator().manual_seed(seed)
    cameras = loose_ring(random, shoot.loose).to(device)
    frames = torch.as_tensor(clip.frames, device=device)
    faces = torch.as_tensor(clip.faces, device=device).long()
    colours = torch.as_tensor(clip.colours, device=device).float() / 255
    colour, canonical, mask, depth = _views(frames, faces, colours, cameras, shoot.size)
    cells = solid(frames, faces, CELLS)
    on = _on_surface(frames, faces, cells, shoot, random)
    points = _around(on.points, shoot, random)
    few = slice(0, shoot.count // 2)
    corners, weights = on.face[:, few], on.weights[:, few, :, None]
    shade = (colours[corners] * weights).sum(-2)
    way = torch.stack([(frame[faces[corners]] * weights).sum(-2) for frame in frames], 2)
    paint = torch.cat((shade, way[:, :, 0] / 2 + 0.5), -1)
    inside = within(cells, points)
    return Scene(cameras, colour, canonical, mask, depth, points, inside, on.points[:, few], paint, way)


def _views(
    frames: Float[Tensor, "t n 3"],
    faces: Int[Tensor, "f 3"],
    colours: Float[Tensor, "f 3 3"],
    cameras: Cameras,
    size: int,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    times, views = len(frames), len(cameras.focal)
    every = Cameras(*(c.repeat(times, *(1,) * (c.ndim - 1)) for c in (cameras.world, cameras.focal, cameras.centre)))
    seen = see(frames.repeat_interleave(views, 0), faces, every, size)
    home = frames[:1].expand(times * views, -1, -1) / 2 + 0.5
    there = seen.mask[..., None]

    def picture(values: Float[Tensor, "n pixels 3"]) -> UInt8[Tensor, "t v 3 s s"]:
        whole = (values.clamp(0, 1) * there * 255).round().to(torch.uint8)
        return whole.mT.reshape(times, views, 3, size, size)

    flat = (times, views, size, size)
    return (
        picture(seen.of_corners(colours)),
        picture(seen.of_points(home, faces)),
        seen.mask.reshape(flat),
        seen.depth.reshape(flat),
    )


@dataclass(frozen=True, eq=False)
class OnSurface:
    """Points on each frame's surface, their faces and barycentric coordinates."""

    points: Float[Tensor, "t m 3"]
    face: Int[Tensor, "t m"]
    weights: Float[Tensor, "t m 3"]


def _on_surface(
    frames: Float[Tensor, "t n 3"],
    faces: Int[Tensor, "f 3"],
    cells: Bool[Tensor, "t s s s"],
    shoot: Shoot,
    random: torch.Generator,
) -> OnSurface:
    """Spread evenly over the area; what lies buried in another part comes last, and so mostly not at all."""
    corners = frames[:, faces]
    area = torch.linalg.cross(corners[:, :, 1] - corners[:, :, 0], corners[:, :, 2] - corners[:, :, 0]).norm(dim=-1)
    many = 2 * shoot.count
    face = torch.multinomial(area.cpu() + 1e-12, many, replacement=True, generator=random).to(frames.device)
    first, second = torch.rand(2, *face.shape, generator=random).to(frames.device)
    over = first + second > 1
    first, second = torch.where(over, 1 - first, first), torch.where(over, 1 - second, second)
    weights = torch.stack((1 - first - second, first, second), -1)
    time = torch.arange(len(frames), device=frames.device)[:, None]
    points = (corners[time, face] * weights[..., None]).sum(-2)
    order = (within(cells, points) > BURIED).sort(dim=1, stable=True).indices[:, : shoot.count]
    return OnSurface(points[time, order], face[time, order], weights[time, order])


def _around(on: Float[Tensor, "t m 3"], shoot: Shoot, random: torch.Generator) -> Float[Tensor, "t p 3"]:
    """A third of the places anywhere in the box, a third close to the surface, a third around it."""
    third = shoot.count // 3
    off = torch.randn(len(on), shoot.count - third, 3, generator=random)
    off[:, :third] *= NEAR_SURFACE[0]
    off[:, third:] *= NEAR_SURFACE[1]
    anywhere = torch.rand(len(on), third, 3, generator=random) * 2 - 1
    near = on[:, : shoot.count - third] + off.to(on.device)
    return torch.cat((anywhere.to(on.device), near.clamp(-1, 1)), 1)


def within(cells: Bool[Tensor, "t s s s"], points: Float[Tensor, "t p 3"]) -> Float[Tensor, "t p"]:
    """How far points are inside a solid, between its cells."""
    field = cells.permute(0, 3, 2, 1)[:, None].float()  # grid_sample's last axis is x
    at = points[:, None, None]
    return torch.nn.functional.grid_sample(field, at, align_corners=False)[:, 0, 0, 0]
