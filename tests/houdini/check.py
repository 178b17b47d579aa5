"""What can only be seen in a real Houdini. Run it with hython, and mail back the one file it writes:

    LIM_PYTHON=/path/to/python hython tests/houdini/check.py lim_houdini_report.json

LIM_PYTHON is the Python that has the server (pip install 'lim[server]'); without it LIM_SERVER must name one that runs.
Each check stands alone; one that fails is noted with its traceback, and the next goes on.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "python3.11libs"))
sys.path.insert(1, str(ROOT))

import hou  # noqa: E402
import numpy as np  # noqa: E402

from lim_houdini import geometry as reading  # noqa: E402
from lim_houdini import servers  # noqa: E402
from lim_houdini.errors import Refused  # noqa: E402
from lim_houdini.hda.interface import read_interface  # noqa: E402
from lim_houdini.hda.library import find_libraries, read_library  # noqa: E402
from lim_protocol.types import Mesh  # noqa: E402

Check = Callable[["Bench"], Any]


class Bench:
    """A scene with a folder beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        hou.hipFile.clear(suppress_save_prompt=True)
        self.geo = cast(hou.OpNode, hou.node("/obj")).createNode("geo", "lim")

    def sop(self, kind: str, name: str) -> hou.SopNode:
        """A new node."""
        return cast(hou.SopNode, self.geo.createNode(kind, name))

    def set(self, node: hou.OpNode, **values: Any) -> None:
        """Parameters."""
        for name, value in values.items():
            parm = node.parm(name)
            assert parm is not None, f"{node.path()} has no parameter {name}"
            parm.set(value)

    def keys(self) -> hou.SopNode:
        """Two keyframes of different topology, from files."""
        for frame, mesh in ((1, tube(8, 10, 0.0)), (9, tube(10, 12, 0.4))):
            (self.folder / f"scan.{frame:04d}.obj").write_text(obj(mesh))
        node = self.sop("lim::keys::1.0", "keys1")
        self.set(node, files=f"{self.folder}/scan.####.obj")
        return node

    def track(self) -> hou.SopNode:
        """A LIM Track node over them."""
        node = self.sop("lim::track::1.0", "track1")
        node.setInput(0, self.keys())
        self.set(node, keymode="input")
        return node


def tube(rings: int, around: int, bend: float) -> Mesh:
    """Quads, counter-clockwise from outside, closed by two caps."""
    turn, along = np.linspace(0, 2 * np.pi, around, endpoint=False), np.linspace(0, 2, rings)[:, None]
    angle = bend * along / 2
    out, depth = 0.3 * np.cos(turn) * (1 - 0.2 * along), np.broadcast_to(0.4 * np.sin(turn), (rings, around))
    points = np.stack([along * np.sin(angle) + out * np.cos(angle), depth, along * np.cos(angle) - out * np.sin(angle)])
    ring = np.arange(rings * around).reshape(rings, around)
    after = np.roll(ring, -1, axis=1)
    quads = np.stack([ring[:-1], after[:-1], after[1:], ring[1:]], -1).reshape(-1)
    counts = np.array([4] * ((rings - 1) * around) + [around, around], np.int32)
    indices = np.concatenate([quads, ring[0][::-1], ring[-1]]).astype(np.int32)
    return Mesh(points.transpose(1, 2, 0).reshape(-1, 3).astype(np.float32), counts, indices)


def obj(mesh: Mesh) -> str:
    """As a file."""
    lines = ["v " + " ".join(f"{x:.9g}" for x in point) for point in mesh.points]
    faces = np.split(mesh.face_indices + 1, np.cumsum(mesh.face_counts)[:-1])
    return "\n".join([*lines, *("f " + " ".join(map(str, face)) for face in faces)]) + "\n"


def volume(mesh: Mesh) -> float:
    """Above zero where faces are counter-clockwise from outside."""
    a, b, c = mesh.points.astype(np.float64)[mesh.triangles()].transpose(1, 0, 2)
    return float((np.cross(a, b) * c).sum() / 6)


def positions(geometry: hou.Geometry | None) -> np.ndarray[Any, Any]:
    """P."""
    assert geometry is not None
    return np.frombuffer(geometry.pointFloatAttribValuesAsString("P"), np.float32).reshape(-1, 3)


def check_assets_are_what_their_files_say(bench: Bench) -> Any:
    """Types, sections, inputs, and every parameter by name, with its default."""
    seen = {}
    for path in find_libraries(ROOT / "houdini_otls"):
        for operator in read_library(path).operators:
            category = hou.nodeTypeCategories()[operator.index["Table"].strip()]
            node_type = hou.nodeType(category, operator.type_name)
            assert node_type is not None, f"{operator.type_name} is not there"
            definition = cast(hou.OpNodeType, node_type).definition()
            assert definition is not None
            parms = {template.name() for template in node_type.parmTemplates()}
            wanted = {parm.name for parm in read_interface(operator.text("DialogScript")).parms()}
            lost = sorted(wanted - {t.name() for t in flat(node_type.parmTemplates())})
            assert not lost, f"{operator.type_name} lacks {lost}; it has {sorted(parms)}"
            seen[operator.type_name] = sorted(definition.sections())
    return seen


def flat(templates: Any) -> Any:
    """Templates in folders too."""
    for template in templates:
        yield template
        if isinstance(template, hou.FolderParmTemplate):
            yield from flat(template.parmTemplates())


def check_components_are_named_as_we_think(bench: Bench) -> Any:
    """keyrangex, keyrangey, keyrangez."""
    parms = bench.sop("lim::track::1.0", "names").parmTuple("keyrange")
    assert parms is not None
    return [parm.name() for parm in parms]


def check_faces_are_turned_the_right_way(bench: Bench) -> Any:
    """A box of Houdini's own has its volume above zero as our mesh, and comes back as it went."""
    box = bench.sop("box", "box1").geometry()
    assert box is not None
    mesh = reading.read_mesh(box, "box", "uv", colors=True)
    assert volume(mesh) > 0, f"volume {volume(mesh)}: Houdini's faces do not run clockwise here"
    back = reading.read_mesh(reading.build(mesh), "box", "uv", colors=True)
    assert np.array_equal(back.face_indices, mesh.face_indices) and np.array_equal(back.points, mesh.points)
    return volume(mesh)


def check_topology_by_verb_is_topology_one_by_one(bench: Bench) -> Any:
    """The promoted attribute against prim.vertices(), on faces of three sizes."""
    geometry = bench.sop("platonic", "platonic1").geometry()
    merged = reading.build(tube(6, 7, 0.2))
    assert geometry is not None
    merged.merge(geometry)
    _, prims, vertices = reading.counts(merged)
    started = time.perf_counter()
    fast = reading.topology(merged, prims, vertices)
    took = time.perf_counter() - started
    slow = reading._topology_one_by_one(merged)
    assert all(np.array_equal(a, b) for a, b in zip(fast, slow))
    verb = hou.sopNodeTypeCategory().nodeVerb("attribpromote")
    return {"verb": verb is not None, "seconds": took}


def check_packed_is_unpacked_and_volumes_are_refused(bench: Bench) -> Any:
    """And in what words."""
    pack = bench.sop("pack", "pack1")
    pack.setInput(0, bench.sop("box", "box2"))
    packed = pack.geometry()
    assert packed is not None and len(reading.read_mesh(packed, "packed", "uv", False).points) == 8
    vdb = bench.sop("vdbfrompolygons", "vdb1")
    vdb.setInput(0, bench.sop("sphere", "sphere1"))
    volumes = vdb.geometry()
    assert volumes is not None
    try:
        reading.read_mesh(volumes, "vdb", "uv", False)
    except Refused as error:
        return str(error)
    raise AssertionError("volumes were taken")


def check_a_cook_from_end_to_end(bench: Bench) -> Any:
    """Frames, subframes, backwards; at the keys what the keys are; times."""
    track = bench.track()
    seconds = {}
    for frame in (1.0, 9.0, 4.5, 5.0, 1.0):
        hou.setFrame(frame)
        started = time.perf_counter()
        points = positions(track.geometry())
        seconds[str(frame)] = time.perf_counter() - started
        assert np.isfinite(points).all() and len(points) == 80
    assert np.abs(points - positions(cast(hou.SopNode, hou.node("/obj/lim/keys1")).geometry())).max() < 1e-5
    return {"seconds": seconds, "warnings": track.warnings(), "time dependent": track.isTimeDependent()}


def check_scenes_open_and_save_and_keep_nothing(bench: Bench) -> Any:
    """Saved after a cook and opened again without a server: the parameters are there, and no user data."""
    track = bench.track()
    hou.setFrame(4.0)
    track.geometry()
    path = str(bench.folder / "scene.hip")
    hou.hipFile.save(path)
    hou.hipFile.clear(suppress_save_prompt=True)
    servers.close_all()
    hou.hipFile.load(path, suppress_save_prompt=True)
    again = cast(hou.SopNode, hou.node("/obj/lim/track1"))
    assert again.userDataDict() == {} and again.cachedUserData("lim") is None
    bench.set(again, server=f"ipc://{bench.folder}/nobody.ipc", patience=1.0)
    try:
        again.cook(force=True)
    except hou.OperationFailed:
        return again.errors()
    raise AssertionError("it cooked without a server")


def check_the_writer_and_the_asset_on_a_stage(bench: Bench) -> Any:
    """LIM USD Out writes it, LIM Asset brings it onto a stage."""
    track = bench.track()
    out = cast(hou.OpNode, hou.node("/out")).createNode("lim::usd_out::1.0", "usd1")
    bench.set(out, soppath=track.path(), file=str(bench.folder / "a.usd"))
    button = out.parm("write")
    assert button is not None
    button.pressButton()
    assert (bench.folder / "a.usd").exists()
    stage = cast(hou.OpNode, hou.node("/stage"))
    asset = cast(hou.LopNode, stage.createNode("lim::asset::1.0", "asset1"))
    bench.set(asset, filepath=str(bench.folder / "a.usd"))
    prims = [str(prim.GetPath()) for prim in cast(Any, asset.stage()).Traverse()]
    assert any(path.startswith("/asset1") for path in prims), prims
    return prims


def check_hotl_packs_and_unpacks(bench: Bench) -> Any:
    """hotl -l makes one file of our text, hotl -t makes the same text of it again."""
    hotl = shutil.which("hotl") or str(Path(os.environ["HFS"]) / "bin" / "hotl")
    said = {}
    for path in find_libraries(ROOT / "houdini_otls"):
        packed, back = bench.folder / f"{path.name}.packed.hda", bench.folder / f"{path.name}.back"
        done = [subprocess.run([hotl, "-l", str(path), str(packed)], capture_output=True, text=True, check=False)]
        done += [subprocess.run([hotl, "-t", str(back), str(packed)], capture_output=True, text=True, check=False)]
        there = sorted(str(file.relative_to(path)) for file in path.rglob("*") if file.is_file())
        again = sorted(str(file.relative_to(back)) for file in back.rglob("*") if file.is_file())
        said[path.name] = {
            "packed": packed.stat().st_size if packed.exists() else 0,
            "words": [each.stdout + each.stderr for each in done],
            "lost": sorted(set(there) - set(again)),
            "changed": [f for f in there if f in again and (path / f).read_bytes() != (back / f).read_bytes()],
        }
        assert packed.exists(), said
    return said


def check_a_million_points(bench: Bench) -> Any:
    """Seconds to read a mesh of a million points, and to write it back."""
    grid = bench.sop("grid", "grid1")
    bench.set(grid, rows=1000, cols=1000)
    geometry = grid.geometry()
    assert geometry is not None
    started = time.perf_counter()
    mesh = reading.read_mesh(geometry, "grid", "uv", False)
    read = time.perf_counter() - started
    copy = hou.Geometry()
    copy.copy(geometry, clone_data_ids=True)
    started = time.perf_counter()
    for name in ("P", "N", "v"):
        reading.put(copy, name, mesh.points)
    return {"read": read, "put P, N, v": time.perf_counter() - started}


def main(out: Path) -> int:
    """Run them all; the exit code is how many failed."""
    for path in find_libraries(ROOT / "houdini_otls"):
        hou.hda.installFile(str(path))
    report: dict[str, Any] = {
        "houdini": hou.applicationVersionString(),
        "python": sys.version,
        "numpy": np.__version__,
        "platform": platform.platform(),
    }
    if os.environ.get("LIM_PYTHON") and not os.environ.get("LIM_SERVER"):
        servers.start_own(lambda *_: None)
    results = report["checks"] = {}
    for name, check in list(globals().items()):
        if name.startswith("check_"):
            with tempfile.TemporaryDirectory() as folder:
                try:
                    results[name] = {"ok": True, "told": cast(Check, check)(Bench(Path(folder)))}
                except BaseException:
                    results[name] = {"ok": False, "told": traceback.format_exc()}
            print(f"{'ok    ' if results[name]['ok'] else 'FAILED'} {name}", flush=True)
    out.write_text(json.dumps(report, indent=1, default=str) + "\n")
    print(f"wrote {out}: please mail it back")
    return sum(not result["ok"] for result in results.values())


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else "lim_houdini_report.json")))
