"""Texture coordinates for a source that has none, and its colours as an image."""

from collections.abc import Callable, Sequence

import igl
import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from scipy.spatial import cKDTree

from lim_protocol.types import Float32, Int32, Mesh, Surface, TrackOptions
from lim_server.geometry.normals import vertex_normals
from lim_server.geometry.polygons import corner_triangles
from lim_server.geometry.unwrap import unwrap as unwrapped
from lim_server.geometry.uv_raster import paint

# Text, steps done, steps in all; called between pieces of work, and free to raise to end it.
Step = Callable[[str, int, int], None]
# A keyframe's mesh, and the source's points as tracked to it: float32 [points, 3].
TrackedMesh = tuple[Mesh, Float32]
# Colours come from a key's surface no farther away than this part of its diagonal, and facing the same way.
REACH = 0.02
SAME_SIDE = 0.3


def _no_step(text: str, done: int, total: int) -> None:
    pass


def surface_of(source: Mesh, options: TrackOptions, keys: Sequence[TrackedMesh], step: Step = _no_step) -> Surface:
    """Texture coordinates for a source without, and a texture where it or else a key has colours.

    The source's own colours win; then the keys' in the given order, each where the tracked surface lies on it.
    A source with texture coordinates gains nothing: whatever image it goes with stays right.
    """
    if source.st is not None or not options.unwrap:
        return Surface()
    step("unwrap", 0, 2)
    st, st_indices = unwrap(source, options.texture_size, step)
    step("bake", 1, 2)
    texture = None
    coloured = [key for key in keys if key[0].colors is not None and len(key[0].face_counts)]
    if source.colors is not None:
        texture = bake(source, st, st_indices, source.colors, options.texture_size)
    elif coloured:
        texture = bake_from_keys(source, st, st_indices, coloured, options.texture_size, step)
    step("bake", 2, 2)
    return Surface(st=st, st_indices=st_indices, texture=texture)


def unwrap(mesh: Mesh, size: int = 1024, step: Step = _no_step) -> tuple[Float32, Int32]:
    """`st` and `st_indices` of a mesh, as `geometry.unwrap` makes them."""
    return unwrapped(mesh.points, mesh.face_counts, mesh.face_indices, size, lambda: step("unwrap", 0, 2))


def bake(
    mesh: Mesh,
    st: Float[np.ndarray, "uvs 2"],
    st_indices: Int[np.ndarray, "corners"],
    colors: UInt8[np.ndarray, "points 3"],
    size: int,
) -> UInt8[np.ndarray, "size size 3"]:
    """Colours of points as an image, first row at the top; every texel filled, so that lookups at seams are clean."""
    triangles = corner_triangles(mesh.points, mesh.face_counts, mesh.face_indices)
    at_corners = colors.astype(np.float32)[mesh.face_indices[triangles]]

    def sample(triangle: Int[np.ndarray, "n"], weights: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
        return _mixed(weights, at_corners[triangle])

    return paint(st[st_indices[triangles]].astype(np.float64), sample, size)


def bake_from_keys(
    source: Mesh,
    st: Float[np.ndarray, "uvs 2"],
    st_indices: Int[np.ndarray, "corners"],
    keys: Sequence[TrackedMesh],
    size: int,
    step: Step = _no_step,
) -> UInt8[np.ndarray, "size size 3"]:
    """Each texel's colour from the first key whose surface meets it there; elsewhere from the points around."""
    triangles = corner_triangles(source.points, source.face_counts, source.face_indices)
    corners = source.face_indices[triangles]
    known = transfer(source, keys)[corners]
    surfaces = [_KeySurface(mesh) for mesh, _ in keys]
    places = [tracked.astype(np.float64)[corners] for _, tracked in keys]

    def sample(triangle: Int[np.ndarray, "n"], weights: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
        step("bake", 1, 2)
        found = _mixed(weights, known[triangle])
        open_ = np.arange(len(triangle))
        for surface, place in zip(surfaces, places, strict=True):
            at = place[triangle[open_]]
            normals = np.cross(at[:, 1] - at[:, 0], at[:, 2] - at[:, 0])
            colors, sure = surface.look_up(_mixed(weights[open_], at), normals)
            found[open_[sure]] = colors[sure]
            open_ = open_[~sure]
        return found

    return paint(st[st_indices[triangles]].astype(np.float64), sample, size)


def transfer(source: Mesh, keys: Sequence[TrackedMesh]) -> Float[np.ndarray, "points 3"]:
    """Colours 0 to 255 for the source's points from the keys; from the nearest point with one where no key is met."""
    colors = np.zeros((len(source.points), 3))
    sure = np.zeros(len(source.points), bool)
    for number, (mesh, tracked) in enumerate(keys):
        places = tracked.astype(np.float64)
        found, met = _KeySurface(mesh).look_up(places, vertex_normals(places, source.triangles()))
        # Where no key is met at all, the first one's doubtful colours are better than none.
        fresh = ~sure & (met | (number == 0))
        colors[fresh] = found[fresh]
        sure |= met
    if sure.any() and not sure.all():
        nearest = cKDTree(source.points[sure]).query(source.points[~sure])[1]
        colors[~sure] = colors[sure][nearest]
    return colors


class _KeySurface:
    """A coloured mesh to ask for the colour nearest to a place."""

    def __init__(self, mesh: Mesh) -> None:
        assert mesh.colors is not None
        self.points = mesh.points.astype(np.float64)
        self.triangles = mesh.triangles().astype(np.int64)
        self.colors = mesh.colors.astype(np.float64)
        self.reach = REACH * float(np.linalg.norm(np.ptp(self.points, axis=0)))
        self.tree = igl.AABB()
        self.tree.init(self.points, self.triangles)

    def look_up(
        self, places: Float[np.ndarray, "n 3"], normals: Float[np.ndarray, "n 3"]
    ) -> tuple[Float[np.ndarray, "n 3"], Bool[np.ndarray, "n"]]:
        """Colours 0 to 255 of the closest points, and whether each is near and faces the same way."""
        if len(places) == 0:
            return np.zeros((0, 3)), np.zeros(0, bool)
        square, face, closest = self.tree.squared_distance(self.points, self.triangles, places)
        corners = self.triangles[face]
        a, b, c = (np.ascontiguousarray(self.points[corners[:, k]]) for k in range(3))
        weights = igl.barycentric_coordinates(np.ascontiguousarray(closest), a, b, c)
        weights = np.clip(np.nan_to_num(weights, nan=1 / 3), 0.0, 1.0)
        weights /= weights.sum(axis=1, keepdims=True)
        facing = np.cross(b - a, c - a)
        length = np.linalg.norm(facing, axis=1) * np.linalg.norm(normals, axis=1)
        same_side = np.einsum("ij,ij->i", facing, normals) > SAME_SIDE * length
        return _mixed(weights, self.colors[corners]), same_side & (square < self.reach**2)


def _mixed(weights: Float[np.ndarray, "n 3"], corners: Float[np.ndarray, "n 3 c"]) -> Float[np.ndarray, "n c"]:
    return np.asarray(np.einsum("nk,nkc->nc", weights, corners))
