"""The creature's body at rest: joints, and rounded cones on them that melt into one smooth surface.

Metres, y up, facing +x, its right side at +z. Everything is a function of a place, so that any mesh of the
surface, whatever its topology, bends and is coloured in the same way.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]

# Joint: (parent, place). Parents come first.
JOINTS: dict[str, tuple[str | None, tuple[float, float, float]]] = {
    "pelvis": (None, (-0.22, 0.42, 0.0)),
    "spine": ("pelvis", (-0.04, 0.45, 0.0)),
    "chest": ("spine", (0.13, 0.45, 0.0)),
    "neck": ("chest", (0.28, 0.50, 0.0)),
    "head": ("neck", (0.38, 0.62, 0.0)),
    "ear.left": ("head", (0.36, 0.74, -0.085)),
    "ear.right": ("head", (0.36, 0.74, 0.085)),
    "tail.1": ("pelvis", (-0.34, 0.45, 0.0)),
    "tail.2": ("tail.1", (-0.46, 0.48, 0.0)),
    "tail.3": ("tail.2", (-0.58, 0.52, 0.0)),
    "tail.4": ("tail.3", (-0.69, 0.58, 0.0)),
    "tail.5": ("tail.4", (-0.78, 0.67, 0.0)),
    "shoulder.left": ("chest", (0.17, 0.38, -0.125)),
    "elbow.left": ("shoulder.left", (0.13, 0.235, -0.14)),
    "wrist.left": ("elbow.left", (0.17, 0.085, -0.14)),
    "shoulder.right": ("chest", (0.17, 0.38, 0.125)),
    "elbow.right": ("shoulder.right", (0.13, 0.235, 0.14)),
    "wrist.right": ("elbow.right", (0.17, 0.085, 0.14)),
    "hip.left": ("pelvis", (-0.23, 0.38, -0.125)),
    "knee.left": ("hip.left", (-0.17, 0.235, -0.145)),
    "ankle.left": ("knee.left", (-0.26, 0.095, -0.145)),
    "hip.right": ("pelvis", (-0.23, 0.38, 0.125)),
    "knee.right": ("hip.right", (-0.17, 0.235, 0.145)),
    "ankle.right": ("knee.right", (-0.26, 0.095, 0.145)),
}


@dataclass(frozen=True)
class Cone:
    """A rounded cone between two places, moved by a joint, melting into its neighbours over `blend` metres.

    With `thin`, it is that many times thinner along the axis `across`.
    """

    joint: str
    begin: tuple[float, float, float]
    end: tuple[float, float, float]
    radii: tuple[float, float]
    blend: float = 0.04
    thin: float = 1.0
    across: tuple[float, float, float] = (1.0, 0.0, 0.0)

    def distance(self, places: Points) -> Points:
        """About the distance to the surface, below zero inside."""
        begin, axis = np.array(self.begin), np.subtract(self.end, self.begin)
        along = np.clip((places - begin) @ axis / max(float(axis @ axis), 1e-12), 0.0, 1.0)
        off = places - begin - along[:, None] * axis
        if self.thin != 1.0:
            off = off + (self.thin - 1.0) * (off @ np.array(self.across))[:, None] * np.array(self.across)
        radius = (1 - along) * self.radii[0] + along * self.radii[1]
        return np.asarray(np.sqrt(np.einsum("ij,ij->i", off, off)) - radius)

    def on(self, side: str) -> Cone:
        """This one's twin on the left or on the right. The table has the right ones."""
        sign = np.array([1.0, 1.0, -1.0 if side == "left" else 1.0])
        begin, end, across = (tuple(sign * place) for place in (self.begin, self.end, self.across))
        return replace(self, joint=self.joint.replace("*", side), begin=begin, end=end, across=across)


BODY = [
    Cone("pelvis", (-0.24, 0.425, 0.0), (-0.06, 0.43, 0.0), (0.152, 0.158)),
    Cone("spine", (-0.06, 0.43, 0.0), (0.08, 0.435, 0.0), (0.158, 0.152), 0.015),
    Cone("chest", (0.08, 0.435, 0.0), (0.19, 0.455, 0.0), (0.152, 0.125), 0.015),
    Cone("neck", (0.20, 0.465, 0.0), (0.33, 0.58, 0.0), (0.115, 0.095), 0.03),
    Cone("head", (0.37, 0.650, 0.0), (0.44, 0.645, 0.0), (0.142, 0.128)),
    Cone("head", (0.46, 0.600, 0.0), (0.575, 0.590, 0.0), (0.090, 0.058)),
    Cone("head", (0.44, 0.565, 0.0), (0.545, 0.560, 0.0), (0.062, 0.040), 0.03),
    Cone("head", (0.626, 0.618, 0.0), (0.630, 0.618, 0.0), (0.026, 0.026), 0.012),
    Cone("tail.1", (-0.33, 0.45, 0.0), (-0.46, 0.48, 0.0), (0.088, 0.060)),
    Cone("tail.2", (-0.46, 0.48, 0.0), (-0.58, 0.52, 0.0), (0.060, 0.050), 0.01),
    Cone("tail.3", (-0.58, 0.52, 0.0), (-0.69, 0.58, 0.0), (0.050, 0.052), 0.01),
    Cone("tail.4", (-0.69, 0.58, 0.0), (-0.78, 0.67, 0.0), (0.052, 0.078), 0.01),
    Cone("tail.5", (-0.78, 0.67, 0.0), (-0.83, 0.81, 0.0), (0.078, 0.026), 0.01),
    Cone("pelvis", (-0.21, 0.575, 0.0), (-0.245, 0.600, 0.0), (0.040, 0.024), 0.025),
    Cone("spine", (-0.05, 0.588, 0.0), (-0.085, 0.618, 0.0), (0.046, 0.026), 0.025),
    Cone("chest", (0.10, 0.585, 0.0), (0.065, 0.610, 0.0), (0.042, 0.024), 0.025),
]
PAIRS = [
    Cone("head", (0.42, 0.600, 0.070), (0.45, 0.592, 0.078), (0.062, 0.050)),
    Cone("head", (0.478, 0.690, 0.084), (0.481, 0.691, 0.086), (0.047, 0.047), 0.014),
    Cone("ear.*", (0.345, 0.745, 0.080), (0.330, 0.835, 0.135), (0.048, 0.070), 0.025, 1.7, (0.986, 0.164, 0.0)),
    Cone("ear.*", (0.330, 0.835, 0.135), (0.305, 0.955, 0.195), (0.070, 0.028), 0.01, 1.7, (0.986, 0.164, 0.0)),
    Cone("shoulder.*", (0.17, 0.39, 0.105), (0.13, 0.235, 0.14), (0.078, 0.050)),
    Cone("elbow.*", (0.13, 0.235, 0.14), (0.17, 0.085, 0.14), (0.050, 0.042), 0.015),
    Cone("wrist.*", (0.175, 0.060, 0.14), (0.235, 0.050, 0.145), (0.050, 0.050), 0.03),
    Cone("hip.*", (-0.23, 0.38, 0.095), (-0.17, 0.235, 0.145), (0.102, 0.056)),
    Cone("knee.*", (-0.17, 0.235, 0.145), (-0.26, 0.095, 0.145), (0.056, 0.040), 0.015),
    Cone("ankle.*", (-0.25, 0.062, 0.145), (-0.165, 0.052, 0.150), (0.047, 0.052), 0.03),
]
CONES = [*BODY, *(cone.on(side) for cone in PAIRS for side in ("left", "right"))]

# How far, in metres, the pull of one cone over another fades to a third.
SOFTNESS = 0.040
BOUNDS = np.array([[-0.92, -0.02, -0.26], [0.70, 1.02, 0.26]])


def field(places: Points) -> Points:
    """Below zero inside the body, zero on its surface: the cones' smooth union."""
    total = np.full(len(places), np.inf)
    for cone in CONES:
        distance = cone.distance(places)
        overlap = np.maximum(cone.blend - np.abs(np.where(np.isinf(total), 1e3, total) - distance), 0.0)
        total = np.minimum(total, distance) - overlap**2 / (4 * cone.blend)
    return total


def slope(places: Points) -> Points:
    """The field's gradient, by differences over the corners of a small tetrahedron."""
    corners = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]], float)
    step = 1e-4
    return np.asarray(sum(field(places + step * c)[:, None] * c for c in corners) / (4 * step))


def onto_surface(places: Points, rounds: int = 4) -> Points:
    """The places moved down the slope until they lie on the surface."""
    for _ in range(rounds):
        way = slope(places)
        places = places - field(places)[:, None] * way / np.maximum((way * way).sum(axis=1, keepdims=True), 0.05)
    return places


def skin_weights(places: Points) -> Points:
    """How much each joint moves each place, [places, joints]; rows sum to 1 and vary smoothly."""
    distances = np.stack([cone.distance(places) for cone in CONES], axis=1)
    pull = np.exp(-(distances - distances.min(axis=1, keepdims=True)) / SOFTNESS)
    names = list(JOINTS)
    weights = np.zeros((len(places), len(names)))
    np.add.at(weights.T, [names.index(cone.joint) for cone in CONES], pull.T)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))
