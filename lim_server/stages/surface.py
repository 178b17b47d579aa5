"""A mesh of one key from its posed pictures: LRM, isosurface, and the colours of the pictures on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from lim_protocol.types import Mesh
from lim_protocol.views import Views
from lim_server.geometry.isosurface import isosurface
from lim_server.geometry.normals import VertexNormals
from lim_server.models.lrm import Lrm
from lim_server.models.memory import with_less
from lim_server.render.cameras import Cameras
from lim_server.render.colours import Pictures, colours_seen

CRUMB = 0.01
"""Share of the whole area under which a piece that hangs together with nothing is left out."""
PIECE, LEAST = 1 << 17, 1 << 10
"""Places that the field is asked at a time, and the fewest where there is no memory."""

Step = Callable[[str, int, int], None]


@dataclass(frozen=True, eq=False)
class Found:
    """A mesh in the box, with colours; how many loose pieces were left out, and places asked at a time."""

    mesh: Mesh
    crumbs: int
    piece: int


@torch.inference_mode()
def surface_of(lrm: Lrm, views: Views, cells: int, step: Step) -> Found:
    """The surface where the decoder's logit is 0, cut from cells^3 places. Raises NoSurface where there is none."""
    device = next(lrm.parameters()).device
    pictures = Pictures.of(views.images, cameras_of(views), device)
    step("views to triplane", 0, 3)
    planes = lrm(*model_views(pictures, lrm.preset.size), pictures.cameras[None]).planes

    def field(places: Float[Tensor, "n 3"]) -> tuple[Float[Tensor, " n"], Float[Tensor, "n 3"]]:
        step("surface", 1, 3)
        logit, colour = lrm.decoder(planes, places[None])
        return logit[0], colour[0]

    (points, faces), piece = with_less(
        lambda n: isosurface(lambda at: field(at)[0], side=cells, chunk=n, device=device), PIECE, LEAST
    )
    points, faces, crumbs = without_crumbs(points, faces)
    step("colours", 2, 3)
    at = torch.as_tensor(points, dtype=torch.float32, device=device)
    normals = torch.as_tensor(VertexNormals(faces.astype(np.int32), len(points))(points), device=device)
    guess, piece = with_less(lambda n: torch.cat([field(some)[1] for some in at.split(n)]), piece, LEAST)
    colours = colours_seen(pictures, at, normals.float(), torch.as_tensor(faces, device=device), guess)
    counts = np.full(len(faces), 3, np.int32)
    whole = (colours.clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()
    mesh = Mesh(points.astype(np.float32), counts, faces.astype(np.int32).reshape(-1), colors=whole)
    return Found(mesh, crumbs, piece)


def cameras_of(views: Views) -> Cameras:
    """The pictures' cameras as the models have them."""
    focal = torch.tensor(views.focal)
    return Cameras(torch.tensor(views.world), torch.stack((focal, focal), -1), torch.zeros(len(focal), 2))


def model_views(pictures: Pictures, size: int) -> tuple[Float[Tensor, "1 v 3 s s"], Float[Tensor, "1 v 1 s s"]]:
    """Colours times mask, and masks, at the model's size: means over the area of each pixel."""
    small = adaptive_avg_pool2d(pictures.whole, size)[None]
    return small[:, :, :3], small[:, :, 3:]


def without_crumbs(
    points: Float[ndarray, "v 3"], faces: Int[ndarray, "t 3"]
) -> tuple[Float[ndarray, "w 3"], Int[ndarray, "u 3"], int]:
    """The mesh without its small loose pieces, which are the field's noise; and how many those were."""
    count = len(points)
    edges = coo_array((np.ones(faces.size, bool), (faces.reshape(-1), np.roll(faces, 1, axis=1).reshape(-1))))
    edges.resize(count, count)
    pieces, of_point = connected_components(edges, directed=False)
    corners = points[faces]
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    share = np.bincount(of_point[faces[:, 0]], area, minlength=pieces) / area.sum()
    kept = share >= CRUMB
    stays = kept[of_point]
    number = np.cumsum(stays) - 1
    return points[stays], number[faces[stays[faces[:, 0]]]], int(pieces - kept.sum())
