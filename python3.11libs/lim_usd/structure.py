"""The light layers of an asset: its root, the payload below it, and the look that lies over the geometry."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pxr import Sdf, Usd

from lim_protocol.png import png
from lim_protocol.types import Float32
from lim_usd.atomic import DiskError, disk_errors
from lim_usd.component import define_look, define_root, set_thumbnail
from lim_usd.layout import Layout, anchored
from lim_usd.maps import is_there, map_path
from lim_usd.mesh import MeshPrim
from lim_usd.picture import draw
from lim_usd.provenance import Provenance, sign, write_provenance
from lim_usd.sampled import Shot
from lim_usd.source import Source

Author = Callable[[Usd.Stage], object]
Join = Callable[[Sdf.Layer], object]
Move = tuple[Path, Path]  # where a file was made, and its final name


@dataclass(frozen=True, eq=False)
class Structure:
    """An asset but for its samples. Its files are made in `scratch`, to be moved to where `layout` has them."""

    layout: Layout
    source: Source
    shot: Shot
    meshes: Sequence[MeshPrim]
    scratch: Path

    @property
    def image(self) -> Path | None:
        """Where the texture goes."""
        return map_path(self.layout.root, self.source.texture) if self.source.texture else None

    def texture(self) -> list[Move]:
        """The texture, where it is not in its place already."""
        texture, target = self.source.texture, self.image
        if texture is None or target is None or is_there(target, texture.data):
            return []
        with disk_errors(target):
            ready = self.scratch / target.name
            ready.write_bytes(texture.data)
        return [(ready, target)]

    def thumbnail(self, points: Float32) -> Move:
        """The picture of one frame."""
        mesh, ready = self.source.mesh, self.scratch / "thumbnail.png"
        with disk_errors(self.layout.thumbnail):
            ready.write_bytes(png(draw(points, mesh.triangles(), mesh.colors, self.shot.up_axis)))
        return ready, self.layout.thumbnail

    def look(self, request: str) -> Move:
        """The material layer."""
        target = self.layout.look
        return self.layer(target, request, lambda stage: self.define_look(stage, target))

    def payload(self, request: str, join: Join | None = None) -> Move:
        """The layer that puts the look over the geometry; `join` may put clips over both."""
        target = self.layout.payload

        def sublayers(layer: Sdf.Layer) -> None:
            for below in (self.layout.look, self.layout.geometry):
                layer.subLayerPaths.append(anchored(below, target))
            if join:
                join(layer)

        return self.layer(target, request, self._over, sublayers)

    def root(self, provenance: Provenance, more: Join | None = None) -> Move:
        """The file that everyone opens; `more` may add to it, such as samples of its extentsHint."""
        target = self.layout.root

        def author(stage: Usd.Stage) -> None:
            root = define_root(stage, self.layout)
            set_thumbnail(root, self.layout)
            write_provenance(root, provenance)

        def payload(layer: Sdf.Layer) -> None:
            arc = Sdf.Payload(anchored(self.layout.payload, target))
            layer.GetPrimAtPath(self.layout.prim).payloadList.Prepend(arc)
            if more:
                more(layer)

        return self.layer(target, provenance.request_sha256, author, payload)

    def define_look(self, stage: Usd.Stage, layer: Path) -> None:
        """Author material and bindings for a layer that is to lie at `layer`."""
        image = anchored(self.image, layer) if self.image else None
        define_look(stage, self.layout.prim, self.meshes, image, self.source.mesh.colors is not None)

    def layer(self, target: Path, request: str, author: Author | None = None, join: Join | None = None) -> Move:
        """A small layer in a file of its own, read back. Raises DiskError.

        author  writes prims
        join    names other layers, not in their places yet: only after the stage is gone, which would look for them
        """
        ready = self.scratch / "light" / target.name  # by itself: an asset may have any name
        with disk_errors(target):
            ready.parent.mkdir(exist_ok=True)
            layer = Sdf.Layer.CreateNew(str(ready))
            stage = Usd.Stage.Open(layer)
            self.shot.set_on(stage)
            sign(layer, request)
            if author:
                author(stage)
            del stage
            if join:
                join(layer)
            layer.Save()
            if not _equal(Sdf.Layer.OpenAsAnonymous(str(ready)), layer):
                raise DiskError(f"{target}: does not read back as it was written")
        return ready, target

    def _over(self, stage: Usd.Stage) -> None:
        stage.SetDefaultPrim(stage.OverridePrim(self.layout.prim))


def shot_of(source: Source, fps: float, start: float, end: float) -> Shot:
    """What all layers of an asset say. Raises ValueError for a source that does not say its up axis or unit, or has a
    texture that lies nowhere."""
    if source.up_axis is None or source.metres_per_unit is None:
        raise ValueError("the source's up axis and unit are not said: converted(source, 'Y', 0.01) says them")
    if source.texture is not None and source.mesh.st is None:
        raise ValueError("a texture needs texture coordinates, and the source's mesh has none")
    return Shot(source.up_axis, source.metres_per_unit, fps, start, end)


def diagonal(source: Source) -> float:
    """Of the source's bounding box, in scene units."""
    points = source.mesh.points
    return float(np.linalg.norm(points.max(0).astype(np.float64) - points.min(0)))


def _equal(one: Sdf.Layer, other: Sdf.Layer) -> bool:
    """Whether two layers have the same specs with the same default values."""
    paths: list[list[Sdf.Path]] = [[], []]
    for layer, found in zip((one, other), paths):
        layer.Traverse("/", found.append)  # type: ignore[arg-type]  # the stubs take Sdf.Path for pathlib's
    if paths[0] != paths[1]:
        return False
    properties = [path for path in paths[0] if path.IsPropertyPath()]
    return all(_default(one, path) == _default(other, path) for path in properties)


def _default(layer: Sdf.Layer, path: Sdf.Path) -> object:
    spec = layer.GetObjectAtPath(path)
    return spec.default if isinstance(spec, Sdf.AttributeSpec) else None
