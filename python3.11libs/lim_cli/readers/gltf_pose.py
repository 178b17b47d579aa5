"""Where the points of a glTF mesh stand: morph weights, then the skin or the node (specification, 3.7)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lim_cli.errors import BadInput
from lim_cli.readers.gltf_file import GltfFile
from lim_protocol.types import Float32

Matrices = NDArray[np.float64]
MOST_LOST = 16  # points of a mesh without weights that may be mended, or 1 % of it


def world_matrices(nodes: Sequence[dict[str, Any]]) -> Matrices:
    """World from node for every node, float64 [nodes, 4, 4], for columns. Raises BadInput for nodes in a ring."""
    worlds = np.zeros((len(nodes), 4, 4))
    children = [child for node in nodes for child in node.get("children", [])]
    if len(set(children)) < len(children):
        raise BadInput("a node with two parents. Export it again.")
    waiting = [(i, np.eye(4)) for i in range(len(nodes)) if i not in set(children)]
    reached = 0
    while waiting:
        i, parent = waiting.pop()
        worlds[i] = parent @ _local(nodes[i])
        reached += 1
        waiting += [(child, worlds[i]) for child in nodes[i].get("children", [])]
    if reached < len(nodes):
        raise BadInput("nodes that are their own ancestors. Export it again.")
    return worlds


def posed(
    file: GltfFile,
    node: dict[str, Any],
    primitive: dict[str, Any],
    world: Matrices,
    worlds: Matrices,
) -> Float32:
    """The primitive's points in the scene, [points, 3], with the morph weights of its node, else of its mesh. A
    skinned mesh stands where its joints put it, and its own node does not move it.
    """
    attributes = primitive["attributes"]
    points = file.array(attributes["POSITION"])
    if points.shape[1] != 3:
        raise BadInput("positions that are not of three numbers. Export it again.")
    weights = node.get("weights", file.tree["meshes"][node["mesh"]].get("weights", []))
    for weight, target in zip(weights, primitive.get("targets", []), strict=False):
        if weight and "POSITION" in target:
            points = points + weight * file.array(target["POSITION"], len(points))
    if "skin" in node and "JOINTS_0" in attributes:
        matrices = _skinned(file, file.tree["skins"][node["skin"]], attributes, worlds, points)
        points = np.einsum("pij,pj->pi", matrices[:, :, :3], points) + matrices[:, :, 3]
    elif not np.array_equal(world, np.eye(4)):
        points = points @ world[:3, :3].T + world[:3, 3]
    return points.astype(np.float32)


def _local(node: dict[str, Any]) -> Matrices:
    if "matrix" in node:
        return np.array(node["matrix"], np.float64).reshape(4, 4).T
    x, y, z, w = np.array(node.get("rotation", (0, 0, 0, 1)), np.float64)
    rotation = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
    local = np.eye(4)
    local[:3, :3] = rotation * np.array(node.get("scale", (1, 1, 1)), np.float64)
    local[:3, 3] = node.get("translation", (0, 0, 0))
    return local


def _skinned(
    file: GltfFile, skin: dict[str, Any], attributes: dict[str, int], worlds: Matrices, points: NDArray[Any]
) -> Matrices:
    """One matrix a point, [points, 3, 4]: its joints' matrices by weight, in sets of four."""
    count = len(points)
    joints = worlds[skin["joints"]]
    if "inverseBindMatrices" in skin:
        binds = file.array(skin["inverseBindMatrices"]).reshape(-1, 4, 4).transpose(0, 2, 1)
        joints = joints @ binds[: len(joints)]
    matrices, total = np.zeros((count, 3, 4)), np.zeros(count)
    for k in range(8):
        if f"JOINTS_{k}" not in attributes or f"WEIGHTS_{k}" not in attributes:
            break
        indices = file.array(attributes[f"JOINTS_{k}"], count).astype(np.int64)
        weights = file.array(attributes[f"WEIGHTS_{k}"], count).astype(np.float64)
        for index, weight in zip(indices.T, weights.T, strict=True):
            matrices += weight[:, None, None] * joints[index, :3]
            total += weight
    still = total == 0  # a point without weights keeps its place
    matrices[still], total[still] = np.eye(4)[:3], 1
    matrices /= total[:, None, None]
    return _mended(matrices, points)


def _mended(matrices: Matrices, points: NDArray[Any]) -> Matrices:
    """Some exporters divide the weights of a point that no joint holds by their sum, 0: a few such points, whose
    weights are not numbers, follow the nearest point that has some.
    """
    lost = np.asarray(~np.isfinite(matrices).all(axis=(1, 2)), np.bool_)
    if 0 < lost.sum() <= max(MOST_LOST, len(lost) // 100) and not lost.all():
        apart = np.linalg.norm(points[lost][:, None] - points[~lost], axis=2)
        matrices[lost] = matrices[~lost][np.argmin(apart, axis=1)]
    return matrices


def lost_weights(file: GltfFile, primitive: dict[str, Any]) -> int:
    """How many points of a primitive have weights that are not numbers."""
    weights = primitive["attributes"].get("WEIGHTS_0")
    return 0 if weights is None else int((~np.isfinite(file.array(weights)).all(axis=1)).sum())
