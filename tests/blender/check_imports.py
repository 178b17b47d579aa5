"""Imports every asset of a folder into Blender and compares it with the arrays beside it: run by run.py."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import bpy
import numpy as np

POSITIONS = 1e-5  # units of the file, on assets of a size of about 2


def main(folder: str) -> int:
    failures = 0
    print(f"Blender {bpy.app.version_string}")
    for asset in sorted(each for each in Path(folder).iterdir() if each.suffix in (".usd", ".usda", ".glb")):
        truth = np.load(asset.with_suffix(".npz"))
        _open(asset)
        for what, found, good in _compared(truth):
            failures += not good
            print(f"{asset.stem:18} {what:32} {found:24} {'ok' if good else 'WRONG'}")
    print(f"{failures} wrong")
    return min(failures, 1)


def _open(asset: Path) -> None:
    bpy.ops.wm.read_factory_settings(use_empty=True)
    with _quiet():
        if asset.suffix == ".glb":
            bpy.ops.import_scene.gltf(filepath=str(asset), import_pack_images=True)
        else:
            bpy.ops.wm.usd_import(filepath=str(asset))


def _compared(truth: dict[str, np.ndarray]) -> Iterator[tuple[str, str, bool]]:
    """What was looked at, what was found, and whether it is as written."""
    objects = sorted((each for each in bpy.context.scene.objects if each.type == "MESH"), key=lambda each: each.name)
    yield "meshes", str(len(objects)), len(objects) >= 1
    if "off" in truth:  # a compact one, which need not be the same but near
        error = max(_position_error(objects, truth, place, 0.0) for place in range(len(truth["times"])))
        yield "positions, of the stated error", f"{error / truth['off']:.2f}", error <= truth["off"] + POSITIONS
        return
    scene, times = bpy.context.scene, truth["times"]
    span = (scene.frame_start, scene.frame_end)
    yield "frames", str(span), span == (times[0], times[-1])
    for subframe, what in [(0.0, "positions at whole frames"), (0.5, "positions at half frames")]:
        error = max(_position_error(objects, truth, place, subframe) for place in range(len(times) - 1))
        yield what, f"{error:.1e}", error <= POSITIONS
    st = np.concatenate([_corner_st(each) for each in objects])
    error = np.abs(st - truth["st"]).max() if st.shape == truth["st"].shape else np.inf
    yield "texture coordinates", f"{error:.1e}", error == 0
    sizes = np.concatenate([_array(each.data.polygons, "loop_total", np.int32) for each in objects])
    yield "faces", str(len(sizes)), np.array_equal(sizes, truth["face_counts"])
    colors = np.concatenate([_corner_colors(each) for each in objects])
    error = np.abs(colors - truth["colors"]).max()
    yield "colours", f"{error:.1e}", error < 1e-6
    if len(truth["image"]):
        yield from _compared_texture(objects, truth["image"].tobytes())


def _position_error(
    objects: list[bpy.types.Object], truth: dict[str, np.ndarray], place: int, subframe: float
) -> float:
    bpy.context.scene.frame_set(int(truth["times"][place]), subframe=subframe)
    found = np.concatenate([_corner_positions(each) for each in objects]) / truth["metres_per_unit"]
    points = truth["points"].astype(np.float64)
    following = points[min(place + 1, len(points) - 1)]
    expected = (points[place] * (1 - subframe) + following * subframe)[truth["face_indices"]]
    if truth["up_axis"] == "Y":
        x, y, z = expected.T
        expected = np.stack([x, -z, y], 1)
    return float(np.abs(found - expected).max())


def _corner_positions(each: bpy.types.Object) -> np.ndarray:
    evaluated = each.evaluated_get(bpy.context.evaluated_depsgraph_get())
    mesh = evaluated.to_mesh()
    points = _array(mesh.vertices, "co", np.float32, 3).astype(np.float64)
    matrix = np.array(evaluated.matrix_world)
    corners = points[_array(mesh.loops, "vertex_index", np.int32)]
    evaluated.to_mesh_clear()
    return corners @ matrix[:3, :3].T + matrix[:3, 3]


def _corner_st(each: bpy.types.Object) -> np.ndarray:
    return _array(each.data.uv_layers["st"].uv, "vector", np.float32, 2)


def _corner_colors(each: bpy.types.Object) -> np.ndarray:
    colors = _array(each.data.attributes["displayColor"].data, "color", np.float32, 4)[:, :3]
    return colors[_array(each.data.loops, "vertex_index", np.int32)]


def _compared_texture(objects: list[bpy.types.Object], encoded: bytes) -> Iterator[tuple[str, str, bool]]:
    for each in objects:
        nodes = each.active_material.node_tree.nodes
        shader = next(node for node in nodes if node.type == "BSDF_PRINCIPLED")
        image_node = shader.inputs["Base Color"].links[0].from_node
        uv_node = image_node.inputs["Vector"].links[0].from_node
        image = image_node.image
        yield "texture is read at", uv_node.uv_map, uv_node.uv_map == "st"
        found = f"{image.size[0]} x {image.size[1]}"
        same = Path(bpy.path.abspath(image.filepath)).read_bytes() == encoded
        yield "texture is loaded", found, image.has_data and same and image.size[0] > 0


def _array(items: object, name: str, kind: type, width: int = 1) -> np.ndarray:
    values = np.empty(len(items) * width, kind)
    items.foreach_get(name, values)
    return values.reshape(-1, width) if width > 1 else values


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without Blender's own progress lines, which do not go through sys.stdout."""
    kept = os.dup(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
