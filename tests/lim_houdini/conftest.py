"""The stand-in for Houdini, a scene with keyframes in it, and a real server."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).with_name("stand_in")))

import hou
import hou_nodes
import hou_scene

from lim_houdini import servers
from lim_houdini.geometry import build
from lim_protocol.types import Mesh
from tests.conftest import Server, tube

FIRST = tube(6, 8)
LAST = tube(7, 9, bend=0.5, shift=0.1)


@pytest.fixture(autouse=True)
def scene(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An empty scene at frame 1, and no connections left behind."""
    monkeypatch.delenv("LIM_SERVER", raising=False)
    hou_nodes._clear()
    hou_scene._user.reset()
    hou_scene.setFrame(1.0)
    hou_scene.setFps(24.0)
    hou_scene._now.start, hou_scene._now.end = 1.0, 240.0
    yield
    servers.close_all()


def plain(mesh: Mesh) -> Mesh:
    """Without colours."""
    return Mesh(mesh.points, mesh.face_counts, mesh.face_indices, mesh.st, mesh.st_indices)


def poses(*meshes: Mesh, at: tuple[float, ...] = (1.0, 9.0)) -> dict[float, hou.Geometry]:
    return {time: build(mesh) for time, mesh in zip(at, meshes)}


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """One server for all tests here that do it no harm."""
    with TemporaryDirectory(prefix="lim") as folder:
        one = Server(Path(folder))
        one.start()
        yield one
        one.kill(signal.SIGTERM)


@pytest.fixture
def track(server: Server) -> hou.SopNode:
    """A LIM Track node over two keyframes of different topology, at frames 1 and 9, and a server to do the work."""
    return make_track("/obj/geo1/track1", poses(plain(FIRST), plain(LAST)), server)


def make_track(path: str, inputs: dict[float, hou.Geometry], server: Server | None) -> hou.SopNode:
    node = hou_nodes._make(path, "lim::track::1.0")
    node.setInput(0, hou_nodes._recorded(path.replace("track", "scan"), inputs))
    node.parm("keymode").set("list")
    node.parm("keylist").set(" ".join(f"{time:g}" for time in inputs))
    if server is not None:
        node.parm("server").set(str(server.endpoint))
    return node


def positions(geometry: hou.Geometry, name: str = "P") -> np.ndarray:
    return np.frombuffer(geometry.pointFloatAttribValuesAsString(name), np.float32).reshape(-1, 3)


def at(node: hou.SopNode, frame: float) -> np.ndarray:
    hou.setFrame(frame)
    return positions(node.geometry())


def positions_of(geometry: hou.Geometry, name: str) -> np.ndarray:
    return np.frombuffer(geometry.pointFloatAttribValuesAsString(name), np.float32)


def with_ids(*meshes: Mesh) -> dict[float, hou.Geometry]:
    """Keyframes whose points are known by number, so that nothing needs to be tracked."""
    inputs = poses(*map(plain, meshes))
    for geometry in inputs.values():
        geometry.addAttrib(hou.attribType.Point, "id", 0)
        count = geometry.intrinsicValue("pointcount")
        geometry.setPointIntAttribValuesFromString("id", np.arange(count, dtype=np.int32).tobytes())
    return inputs
