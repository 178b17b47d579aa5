"""What a cook of LIM Track costs on this side of the wire, by part, for a mesh of a million points.

    python -m benchmarks.houdini_cook [--points 1000000] [--rounds 9]

The asset's own code runs in the tests' stand-in for Houdini, whose attribute calls copy whole arrays as Houdini's do;
the server is a real one whose job was finished before, so that its work is no part of it. The floor is what cannot be
done without: to receive as many bytes through a bare socket, and to copy each attribute once.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "lim_houdini" / "stand_in"))

import hou
import hou_nodes
import hou_scene

from benchmarks.page import write_page
from benchmarks.streaming import bare, server
from lim_houdini import keys as keys_module
from lim_houdini import servers, tracking
from lim_houdini.geometry import build
from lim_houdini.nodes import track
from lim_houdini.settings import Settings
from lim_protocol import messages as m
from lim_protocol import records
from lim_protocol.types import Frame, Surface
from lim_server.serve.jobs import record_name, run_key, summary_name
from lim_server.serve.provenance import code_digest
from lim_server.serve.store import Store
from tests.conftest import tube

PARTS = ("look at one key again", "ask, receive", "put into the geometry")


def main() -> None:
    options = _options()
    rows: dict[str, list[float]] = {name: [] for name in (*PARTS, "the rest", "whole cook", "floor")}
    with tempfile.TemporaryDirectory(prefix="lim") as folder:
        node = network(options.points)
        started = time.perf_counter()
        kept = keys_module.read_keys(node, keys_module.KeySettings.of(node), lambda *_: None)
        first = time.perf_counter() - started
        size = finished(Path(folder), node, kept, options.rounds)
        os.sync()
        with server(Path(folder), "ipc") as endpoint:
            node.parm("server").set(str(endpoint))
            timer = Timer()
            for frame in range(1, options.rounds + 2):
                rows["floor"].append(floor(size, options.points))
                spent = timer.cook(node, frame)
                for name, seconds in spent.items():
                    rows[name].append(seconds)
            late = [escape(str(endpoint), press) for press in range(options.presses)]
        servers.close_all()
    table = [
        f"| {name} | {1000 * statistics.median(seconds[1:]):.1f} | {1000 * min(seconds[1:]):.1f} |"
        for name, seconds in rows.items()
    ]
    text = (
        f"{options.points} points with P, N and v; a frame is {size / 1e6:.0f} MB on the wire, as velocities come with "
        f"accelerations. Medians and least of {options.rounds} cooks at different frames, keys and topology read "
        f"before. The first cook also reads, packs and hashes the keys: {first / 2:.2f} s for each here.\n\n"
        + "\n".join(["| part | ms, median | ms, least |", "|---|---|---|", *table])
        + f"\n\nFrom Esc to the end of the cook, while the server tracks: {1000 * statistics.median(late):.0f} ms in "
        f"the median of {options.presses} presses at different moments, {1000 * max(late):.0f} ms at most."
    )
    write_page("houdini_cook", "A cook in Houdini", text, f"python -m benchmarks.houdini_cook {_words(options)}")


class Timer:
    """Seconds of each part of a cook, taken by what the parts are called."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = {}
        for name, (place, function) in zip(PARTS, ((tracking, "changed"), (tracking.Tracked, "_ask"), (track, "show"))):
            setattr(place, function, self._timed(name, getattr(place, function)))

    def cook(self, node: hou.SopNode, frame: float) -> dict[str, float]:
        """Cook at a frame."""
        self.spent = dict.fromkeys(PARTS, 0.0)
        hou.setFrame(frame)
        node.input(0).cook()
        started = time.perf_counter()
        node.cook()
        whole = time.perf_counter() - started
        return {**self.spent, "the rest": whole - sum(self.spent.values()), "whole cook": whole}

    def _timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any, **named: Any) -> Any:
            started = time.perf_counter()
            try:
                return function(*arguments, **named)
            finally:
                self.spent[name] += time.perf_counter() - started

        return timed


def network(points: int) -> hou.SopNode:
    """A LIM Track node over two keys of a grid."""
    side = int(points**0.5)
    geometry = hou.Geometry()
    across = np.linspace(0, 1, side, dtype=np.float32)
    x, z = np.meshgrid(across, across)
    geometry._attribs["Point"]["P"] = np.stack([x, np.sin(9 * x) * 0.1, z], -1).reshape(-1, 3).astype(np.float32)
    grid = np.arange(side * side, dtype=np.int32).reshape(side, side)
    corners = np.stack([grid[:-1, :-1], grid[1:, :-1], grid[1:, 1:], grid[:-1, 1:]], -1)
    geometry._table = corners.reshape(-1)
    geometry._counts = np.full((side - 1) ** 2, 4, np.int32)
    node = hou_nodes._make("/obj/geo1/track1", "lim::track::1.0")
    node.setInput(0, hou_nodes._recorded("/obj/geo1/scan1", {1.0: geometry, 100.0: geometry}))
    node.parm("keymode").set("list")
    node.parm("keylist").set("1 100")
    node.parm("cachesize").set(0)
    return node


def escape(server: str, press: int) -> float:
    """Press Esc while the server tracks keys it has not seen; seconds until the cook has ended."""
    other = hou_nodes._make(f"/obj/geo1/other{press}", "lim::track::1.0")
    bent = tube(9, 9, bend=0.3 + press / 100)
    other.setInput(0, hou_nodes._recorded(f"/obj/geo1/pose{press}", {1.0: build(tube(8, 8)), 9.0: build(bent)}))
    for name, value in (("keymode", "list"), ("keylist", "1 9"), ("server", server)):
        other.parm(name).set(value)
    hou.setFrame(5.0)
    hou_scene._user.esc_at = time.monotonic() + 0.3 + 0.037 * press
    try:
        other.cook()
    except hou.OperationFailed:
        return time.monotonic() - hou_scene._user.esc_at
    finally:
        pressed, hou_scene._user.esc_at = hou_scene._user.esc_at, None
    raise SystemExit(f"the cook was over before Esc ({pressed}): press earlier")


def finished(folder: Path, node: hou.SopNode, keys: keys_module.Keys, rounds: int) -> int:
    """Put the answer to every cook where the server looks for it. Returns the bytes of one."""
    store, rng = Store(folder / "cache", 1 << 40), np.random.default_rng(1)
    params = tracking.job_params(keys, Settings.of(node), velocities=True)
    vectors = list(rng.random((4, len(keys.source.points), 3), np.float32))
    for frame in range(1, rounds + 2):
        submit = m.Submit(bytes(16), "track", params, keys.digests, np.array([float(frame)]))
        key = run_key(submit, code_digest())
        record = records.pack_frame(Frame(float(frame), *vectors))
        store.put(record_name(key, 0), records.pack_surface(Surface()))
        store.put(record_name(key, 1), record)
        store.put(summary_name(key), b'{"keys": []}')
    return len(record)


def floor(size: int, points: int) -> float:
    """Bare: the same bytes through a socket, and three attributes copied."""
    arrays = [np.zeros((points, 3), np.float32) for _ in range(3)]
    received = bare("ipc", size, 1, 1)
    started = time.perf_counter()
    for array in arrays:
        array.tobytes()
    return received + time.perf_counter() - started


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--presses", type=int, default=20)
    return parser.parse_args()


def _words(options: argparse.Namespace) -> str:
    return f"--points {options.points} --rounds {options.rounds} --presses {options.presses}"


if __name__ == "__main__":
    main()
