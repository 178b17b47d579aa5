"""Write the asset of a scene from the command line, on a machine that nobody sits at.

    hython -m lim_houdini.batch shot.hip --node /obj/geo1/track1 --frames 1001-1048 --out asset.usd
    hython -m lim_houdini.batch shot.hip --node /out/lim_usd_out1

The node is a LIM Track SOP, or a LIM USD Out ROP, which says the rest itself. Exit codes and --json are those of
`lim track`. With --chunk the job can be taken up where it was left: clips that are finished are not written again.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import hou

from lim_cli.errors import BAD_INPUT, INTERRUPTED, Interrupted, exit_code_of
from lim_cli.frames import shot_frames
from lim_cli.progress import Lines, Reporter, Silence
from lim_houdini import servers
from lim_houdini.errors import Refused
from lim_houdini.nodes.usd_out import TRACK, shot_of, track_shot
from lim_houdini.writing import Shot, write_shot

WRITER = "lim::usd_out"


def main(words: Sequence[str]) -> int:
    """The exit code; expected errors are one line on stderr."""

    def interrupt(_number: int, _frame: object) -> None:
        raise Interrupted

    signal.signal(signal.SIGINT, interrupt)
    try:
        told = parser().parse_args(words)
        report: Reporter = Silence() if told.json else Lines()
        result = run(told, report)
    except Interrupted:
        print("lim: interrupted; nothing half-written stays, and what was computed is kept", file=sys.stderr)
        return INTERRUPTED
    except SystemExit as end:
        return BAD_INPUT if end.code else 0
    except Exception as error:
        code = exit_code_of(error)
        if code is None:
            raise
        print(f"lim: {error}", file=sys.stderr)
        return code
    print(json.dumps(result, indent=1) if told.json else "\n".join(f"wrote {path}" for path in result["files"]))
    return 0


def parser() -> argparse.ArgumentParser:
    """The options, in the words of `lim track`."""
    parser = argparse.ArgumentParser("lim_houdini.batch", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("hip", help="the scene")
    parser.add_argument("--node", required=True, help="a LIM Track SOP or a LIM USD Out ROP")
    parser.add_argument("--out", "-o", metavar="OUT.usd", help="the asset to write")
    parser.add_argument("--frames", help="1001-1024, 1001-1024x0.5, 1001,1003; without it what the node says")
    parser.add_argument("--hold", action="store_true", help="hold the end poses on frames outside the keyframes")
    parser.add_argument("--chunk", type=int, default=0, metavar="N", help="a clip file for every N frames")
    parser.add_argument("--chunks", help="which of them to write here, counted from 1: 1-4,9")
    parser.add_argument("--velocities", action="store_true", help="write velocities and accelerations")
    parser.add_argument(
        "--quality", action="store_true", help="write each point's distance to the keys, and confidence"
    )
    parser.add_argument("--server", default=os.environ.get("LIM_SERVER", ""), help="in place of the node's own")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


def run(told: argparse.Namespace, report: Reporter) -> dict[str, Any]:
    """Open the scene and write. Raises what `write_shot` raises, and Refused."""

    def tick(_fraction: float, doing: str) -> None:
        report.stage(doing.partition(" keyframe ")[0])

    report.stage("opening the scene")
    node = opened(told.hip, told.node)
    if node.type().name().startswith(WRITER):
        assert isinstance(node, hou.RopNode)
        shot, settings = shot_of(node, tick)
    elif told.out:
        assert isinstance(node, hou.SopNode)
        switches = {"velocities": told.velocities, "quality": told.quality, "unwrap": True}
        shot, settings = track_shot(node, Path(told.out), None, switches, tick)
    else:
        raise Refused("--out: where to? A LIM Track node does not say. Write --out asset.usd.")
    server, start = told.server or settings.server, bool(os.environ.get("LIM_PYTHON"))
    return write_shot(as_told(shot, told), lambda: servers.connect(server, settings.patience, tick, start), report)


def opened(hip: str, path: str) -> hou.OpNode:
    """The node of a scene. Raises Refused."""
    if not Path(hip).is_file():
        raise Refused(f"{hip}: no such file. Check the path.")
    try:
        hou.hipFile.load(hip, suppress_save_prompt=True, ignore_load_warnings=True)
    except hou.OperationFailed as error:
        raise Refused(f"{hip}: {error.instanceMessage()}") from None
    node = hou.node(path)
    if not isinstance(node, hou.OpNode) or not node.type().name().startswith((TRACK, WRITER)):
        found = f"is a {node.type().name()}" if node is not None else "is not there"
        raise Refused(f"--node: {path} {found} in {hip}. Name a LIM Track SOP or a LIM USD Out ROP.")
    return node


def as_told(shot: Shot, told: argparse.Namespace) -> Shot:
    """The shot with what the options say differently. Raises BadInput."""
    frames = shot_frames(shot.times, told.frames, told.hold) if told.frames else shot.frames
    params = {name: value or getattr(told, name, False) for name, value in shot.params.items()}
    out = Path(told.out) if told.out else shot.out
    return replace(shot, out=out, frames=frames, params=params, chunk=told.chunk or shot.chunk, chunks=told.chunks)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
