"""What a tracking job is made of, as plain arrays. Both sides of the wire use these and nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
Int32 = NDArray[np.int32]
UInt8 = NDArray[np.uint8]

Method = Literal["auto", "lim", "geometry"]


@dataclass(frozen=True, eq=False)
class Mesh:
    """A polygon mesh at one time. Corners are counted face after face, as in UsdGeomMesh.

    points        float32 [points, 3]  scene units, right-handed, the up axis of the job
    face_counts   int32   [faces]      corners of each face, at least 3, counter-clockwise from outside
    face_indices  int32   [corners]    point of each corner
    st            float32 [uvs, 2]     texture coordinates, origin at the lower left; None without
    st_indices    int32   [corners]    texture coordinate of each corner; None without
    colors        uint8   [points, 3]  sRGB; None without
    stiffness     float32 [points]     0 or more: how many times stiffer than usual a point's surroundings are; None
                  for 1 everywhere. Of the source only
    pinned        uint8   [points]     1 for points that stay where the source has them at every time; None without.
                  Of the source only
    landmarks     int32   [marks, 2, 3]  places on the source, and the same on this mesh, by three points each; None
                  without. Of later keys only
    landmark_weights  float32 [marks, 2, 3]  of which each place is the mean, with these weights; they sum to one
    """

    points: Float32
    face_counts: Int32
    face_indices: Int32
    st: Float32 | None = None
    st_indices: Int32 | None = None
    colors: UInt8 | None = None
    stiffness: Float32 | None = None
    pinned: UInt8 | None = None
    landmarks: Int32 | None = None
    landmark_weights: Float32 | None = None

    def triangles(self) -> Int32:
        """The faces as a fan of triangles each, int32 [triangles, 3], in the order of the faces."""
        return fan(self.face_counts, self.face_indices)


def fan(face_counts: Int32, face_indices: Int32) -> Int32:
    """Corner values of polygons as triangles, int32 [triangles, 3]: corner 0 of a face with each later pair."""
    if len(face_counts) == 0:
        return np.zeros((0, 3), np.int32)
    if (face_counts == 3).all():
        return face_indices.reshape(-1, 3)
    start = np.cumsum(face_counts) - face_counts
    count = face_counts - 2
    first = np.repeat(start, count)
    step = np.arange(int(count.sum())) - np.repeat(np.cumsum(count) - count, count)
    return np.stack([face_indices[first], face_indices[first + step + 1], face_indices[first + step + 2]], axis=1)


@dataclass(frozen=True, eq=False)
class Keyframe:
    """A mesh and its place in time. `time` is in frames; `name` is what messages call it (a file, a prim).

    matched  its points are the source's, in their order: known already, and not to be found
    """

    time: float
    mesh: Mesh
    name: str
    matched: bool = False


@dataclass(frozen=True)
class Quality:
    """How well the tracked mesh meets one keyframe. Distances are fractions of the source's diagonal.

    residual_mean, residual_p95, residual_max  from the tracked points to the keyframe's surface
    coverage_p95                               95th percentile from the keyframe's surface back to the tracked mesh
    confidence                                 0 to 1, mean over the points
    """

    residual_mean: float
    residual_p95: float
    residual_max: float
    coverage_p95: float
    confidence: float


@dataclass(frozen=True, eq=False)
class Frame:
    """The tracked mesh at one time: same points, same order as the source, at every time.

    points         float32 [points, 3]  scene units
    normals        float32 [points, 3]  unit length
    velocities     float32 [points, 3]  units per second; None unless asked for
    accelerations  float32 [points, 3]  units per second squared; None unless asked for
    residuals      float32 [points]     distance to the keyframe's surface, scene units; between keyframes blended
                   from those before and after; None unless asked for
    confidence     float32 [points]     0 to 1, likewise
    quality        how well it meets the keyframe at this time; None between keyframes
    """

    time: float
    points: Float32
    normals: Float32
    velocities: Float32 | None = None
    accelerations: Float32 | None = None
    residuals: Float32 | None = None
    confidence: Float32 | None = None
    quality: Quality | None = None


@dataclass(frozen=True, eq=False)
class Surface:
    """What the source's surface gains once per job and keeps over all frames; each part None where not made.

    st          float32 [uvs, 2]              unwrapped texture coordinates, origin at the lower left
    st_indices  int32   [corners]             texture coordinate of each corner of the source
    texture     uint8   [height, width, 3]    sRGB, first row at the top
    """

    st: Float32 | None = None
    st_indices: Int32 | None = None
    texture: UInt8 | None = None


@dataclass(frozen=True)
class TrackOptions:
    """What a track job may be told. Everything here changes the result, so all of it is in the job's hash.

    times         frames to return, sorted, each within the keyframes' range
    fps           frames per second: turns frames into seconds for velocities
    method        'geometry' tracks by shape and colour alone, 'lim' is led by LIM; 'auto' tries both for each key
    velocities    send velocities and accelerations with each frame
    quality       send residuals and confidence with each frame
    unwrap        make texture coordinates and, where a key has colours, bake a texture for a source without them
    texture_size  width and height of a baked texture in pixels
    stiffness     above 0: multiplies the source's, everywhere
    """

    times: tuple[float, ...] = field(default=())
    fps: float = 24.0
    method: Method = "auto"
    velocities: bool = False
    quality: bool = False
    unwrap: bool = False
    texture_size: int = 1024
    stiffness: float = 1.0
