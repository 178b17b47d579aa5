"""How the creature moves: one leap, as joint angles over the frames, and points bent by them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator
from scipy.spatial.transform import Rotation

from examples.creature.body import JOINTS, Points, skin_weights

FPS = 24.0
KEYS = (1001, 1009, 1017, 1025)
FRAMES = tuple(range(KEYS[0], KEYS[-1] + 1))

# Degrees about (x, y, z) in the parent's axes at each key: x rolls to its right, y turns its nose to its left,
# z lifts its nose (and swings a leg forward). A joint that is not named stays as it is at rest.
POSES: dict[str, tuple[tuple[float, float, float], ...]] = {
    "pelvis": ((0, 0, -6), (4, -4, 20), (0, 6, 2), (0, 10, -16)),
    "spine": ((0, 2, 8), (2, -2, 6), (0, 6, -8), (0, 6, 4)),
    "chest": ((0, 2, 4), (2, -4, 4), (-3, 4, -10), (0, 4, -4)),
    "neck": ((0, 6, -8), (0, -8, 4), (4, 6, 8), (0, -12, 16)),
    "head": ((4, 14, -6), (-6, -20, -10), (6, 10, -2), (-10, -26, 4)),
    "ear.left": ((0, 0, 10), (-8, 0, 42), (6, 0, -12), (0, 0, -10)),
    "ear.right": ((0, 0, -6), (8, 0, 46), (-12, 0, -4), (10, 0, 16)),
    "tail.1": ((0, 12, -12), (0, -8, 0), (0, 6, -18), (0, -10, -12)),
    "tail.2": ((0, 14, -10), (0, -10, 0), (0, 8, -16), (0, -12, -14)),
    "tail.3": ((0, 14, -8), (0, -12, 0), (0, 12, -8), (0, -14, -12)),
    "tail.4": ((0, 10, -6), (0, -12, 4), (0, 16, 2), (0, -12, -10)),
    "tail.5": ((0, 8, -4), (0, -10, 8), (0, 18, 8), (0, -8, -12)),
    "shoulder.left": ((0, 0, -24), (6, 0, 52), (0, 0, 30), (4, 0, -6)),
    "elbow.left": ((0, 0, 26), (0, 0, -64), (0, 0, 8), (0, 0, 18)),
    "wrist.left": ((0, 0, 4), (0, 0, -34), (0, 0, 20), (0, 0, 4)),
    "shoulder.right": ((0, 0, -8), (-6, 0, 30), (0, 0, 50), (-4, 0, 22)),
    "elbow.right": ((0, 0, 14), (0, 0, -46), (0, 0, -4), (0, 0, 4)),
    "wrist.right": ((0, 0, 0), (0, 0, -42), (0, 0, 14), (0, 0, -10)),
    "hip.left": ((2, 0, 22), (0, 0, -62), (4, 0, -28), (4, 0, 46)),
    "knee.left": ((0, 0, -22), (0, 0, 34), (0, 0, -14), (0, 0, -26)),
    "ankle.left": ((0, 0, 6), (0, 0, -36), (0, 0, -30), (0, 0, -4)),
    "hip.right": ((-2, 0, 12), (0, 0, -44), (-4, 0, 2), (-4, 0, 40)),
    "knee.right": ((0, 0, -16), (0, 0, 20), (0, 0, -36), (0, 0, -28)),
    "ankle.right": ((0, 0, 10), (0, 0, -30), (0, 0, -18), (0, 0, -4)),
}
# Where the pelvis goes, metres from its place at rest.
PATH = ((0.0, -0.035, 0.0), (0.26, 0.13, 0.01), (0.60, 0.24, 0.03), (0.92, 0.05, 0.05))


def joint_matrices(frame: float) -> NDArray[np.float64]:
    """World from rest for each joint, [joints, 4, 4]."""
    moved: dict[str, NDArray[np.float64]] = {}
    for name, (parent, place) in JOINTS.items():
        turn = np.eye(4)
        angles = PchipInterpolator(KEYS, POSES[name])(frame)
        turn[:3, :3] = Rotation.from_euler("zyx", angles[::-1], degrees=True).as_matrix()
        turn[:3, 3] = place - turn[:3, :3] @ place
        if parent is None:
            turn[:3, 3] += PchipInterpolator(KEYS, PATH)(frame)
        moved[name] = turn if parent is None else moved[parent] @ turn
    return np.stack(list(moved.values()))


class Skin:
    """Places of the body at rest, tied to the joints once and posed at any frame (linear blend skinning)."""

    def __init__(self, rest: Points) -> None:
        self.rest = np.concatenate([rest, np.ones((len(rest), 1))], axis=1)
        self.weights = skin_weights(rest)

    def at(self, frame: float) -> Points:
        """Where the places are at a frame, [places, 3]."""
        blend = np.tensordot(self.weights, joint_matrices(frame)[:, :3], axes=1)
        return np.asarray(np.einsum("pab,pb->pa", blend, self.rest))
