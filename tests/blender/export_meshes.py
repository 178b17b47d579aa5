"""Exports animated meshes from Blender into a folder, as its users do: run by run.py."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import bpy

LAST = 12


def main(folder: str) -> None:
    for name, make in (("wave", wave), ("keys", shape_keys), ("travel", travel)):
        bpy.ops.wm.read_factory_settings(use_empty=True)
        bpy.context.scene.frame_start, bpy.context.scene.frame_end = 1, LAST
        make(Path(folder))
        bpy.ops.wm.usd_export(filepath=f"{folder}/{name}.usdc", export_animation=True)


def wave(folder: Path) -> None:
    """A textured ball that a modifier deforms: point samples."""
    bpy.ops.mesh.primitive_uv_sphere_add(segments=24, ring_count=12)
    bpy.context.object.modifiers.new("wave", "WAVE").height = 0.3
    _paint(folder)


def shape_keys(folder: Path) -> None:
    """A head with a shape key: a skeleton and a blend shape."""
    bpy.ops.mesh.primitive_monkey_add()
    head = bpy.context.object
    _paint(folder)
    head.shape_key_add(name="rest")
    key = head.shape_key_add(name="crumpled")
    for number, point in enumerate(key.data):
        point.co.x += 0.2 * math.sin(number)
    for frame, value in ((1, 0.0), (LAST, 1.0)):
        key.value = value
        key.keyframe_insert("value", frame=frame)


def travel(folder: Path) -> None:
    """A bare cube that is moved by its transform."""
    bpy.ops.mesh.primitive_cube_add()
    cube = bpy.context.object
    for frame, place in ((1, 0.0), (LAST, 5.0)):
        cube.location.x = place
        cube.keyframe_insert("location", frame=frame)


def _paint(folder: Path) -> None:
    image = bpy.data.images.new("paint", 32, 32)
    image.generated_type = "COLOR_GRID"
    image.filepath_raw, image.file_format = str(folder / "paint.png"), "PNG"
    image.save()
    material = bpy.data.materials.new("skin")
    material.use_nodes = True
    nodes, links = material.node_tree.nodes, material.node_tree.links
    texture, uv = nodes.new("ShaderNodeTexImage"), nodes.new("ShaderNodeUVMap")
    texture.image, uv.uv_map = image, "UVMap"
    links.new(uv.outputs["UV"], texture.inputs["Vector"])
    links.new(texture.outputs["Color"], nodes["Principled BSDF"].inputs["Base Color"])
    bpy.context.object.data.materials.append(material)


if __name__ == "__main__":
    main(sys.argv[1])
