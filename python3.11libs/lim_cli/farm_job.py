"""A shot as a farm does it: one command for any of its clips, one that joins them, and what they need.

The commands are the same for every queue; what differs from queue to queue is how it says them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from lim_cli.frames import frame_text
from lim_cli.words import Key

LIM, HYTHON, KEYS, SCENE, OUT, CLIPS = "@LIM@", "@HYTHON@", "@KEYS@", "@SCENE@", "@OUT@", "@CLIPS@"
START_LIMIT, STOP_LIMIT, ASSEMBLE_LIMIT, NOTICE = 300, 60, 1800, 30


@dataclass(frozen=True)
class Plan:
    """What to run. Words hold places (@OUT@ and the like) that each queue fills in its own way.

    track     writes the clips @CLIPS@, such as 3 or 3-5
    assemble  brings them together; runs when all are written
    clips     how many there are, and `together` how many a task writes
    files     what is read; `folder` is where all of it lies
    out       the folder that is written to
    gpus      what a machine must have
    timeout   seconds that a task may take
    """

    name: str
    track: tuple[str, ...]
    assemble: tuple[str, ...]
    clips: int
    together: int
    files: tuple[Path, ...]
    folder: Path
    out: Path
    gpus: int
    timeout: int

    def filled(self, words: Sequence[str], clips: str) -> list[str]:
        """Words of a command as a shell on this machine takes them."""
        places = {LIM: "lim", HYTHON: "hython", KEYS: str(self.folder), OUT: str(self.out), CLIPS: clips}
        places[SCENE] = str(self.files[0])
        return [_replaced(word, places) for word in words]


def key_words(keys: Sequence[Key]) -> tuple[list[str], Path]:
    """FRAME=PATH of each key with its folder left open, and the folder that all have in common."""
    paths = [key.path.absolute() for key in keys]
    folder = Path(os.path.commonpath([path.parent for path in paths]))
    inside = [PurePosixPath(path.relative_to(folder)) for path in paths]
    return [f"{frame_text(key.time)}={KEYS}/{path}" for key, path in zip(keys, inside)], folder


def write_bundle(plan: Plan, target: Path) -> list[Path]:
    """The Open Job Description bundle: template, values of its parameters, files it refers to. JSON is YAML too."""
    target.mkdir(parents=True, exist_ok=True)
    written = []
    for name, content in (
        ("template", template(plan)),
        ("parameter_values", {"parameterValues": [{"name": n, "value": v} for n, v in values(plan).items()]}),
        ("asset_references", _references(plan)),
    ):
        path = target / f"{name}.json"
        path.write_text(json.dumps(content, indent=2) + "\n")
        written.append(path)
    return written


def values(plan: Plan) -> dict[str, str]:
    """The parameters that have no default: paths, which a farm maps to where they are on each machine."""
    said = {"OutDir": str(plan.out)}
    said |= {"Scene": str(plan.files[0])} if _needs(plan, SCENE) else {"KeysDir": str(plan.folder)}
    return said


def template(plan: Plan) -> dict[str, Any]:
    """The job template: a server per session, clips in chunks, then the assembly."""
    command, *words = _openjd(plan.track)
    run = {"command": command, "args": words, "timeout": plan.timeout, **_notice()}
    step: dict[str, Any] = {
        "name": "Track",
        "stepEnvironments": [_server()],
        "parameterSpace": {"taskParameterDefinitions": [_clips()]},
        "script": {"actions": {"onRun": run}},
    }
    if plan.gpus:
        step["hostRequirements"] = {"amounts": [{"name": "amount.worker.gpu", "min": plan.gpus}]}
    command, *words = _openjd(plan.assemble)
    join = {"command": command, "args": words, "timeout": ASSEMBLE_LIMIT}
    return {
        "specificationVersion": "jobtemplate-2023-09",
        "extensions": ["TASK_CHUNKING"],
        "name": plan.name,
        "parameterDefinitions": _parameters(plan),
        "steps": [
            step,
            {"name": "Assemble", "dependencies": [{"dependsOn": "Track"}], "script": {"actions": {"onRun": join}}},
        ],
    }


def _server() -> dict[str, Any]:
    """One server per session, which all its tasks use: it is started once, and keeps what it has computed."""
    start = {"command": "{{Param.Lim}}", "args": ["farm", "start", "{{Session.WorkingDirectory}}"]}
    stop = {"command": "{{Param.Lim}}", "args": ["farm", "stop", "{{Session.WorkingDirectory}}"]}
    actions = {"onEnter": {**start, "timeout": START_LIMIT}, "onExit": {**stop, "timeout": STOP_LIMIT}}
    return {"name": "LimServer", "script": {"actions": actions}}


def _clips() -> dict[str, Any]:
    chunks = {"defaultTaskCount": "{{Param.ClipsPerTask}}", "rangeConstraint": "CONTIGUOUS"}
    return {"name": "Clips", "type": "CHUNK[INT]", "range": "{{Param.Clips}}", "chunks": chunks}


def _notice() -> dict[str, Any]:
    return {"cancelation": {"mode": "NOTIFY_THEN_TERMINATE", "notifyPeriodInSeconds": NOTICE}}


def _parameters(plan: Plan) -> list[dict[str, Any]]:
    definitions: list[dict[str, Any]] = [
        {"name": "Lim", "type": "STRING", "default": "lim", "description": "The lim command on the workers."},
        {"name": "Clips", "type": "STRING", "default": f"1-{plan.clips}", "description": "Which clips to write."},
        {"name": "ClipsPerTask", "type": "INT", "default": plan.together, "minValue": 1},
        {"name": "OutDir", "type": "PATH", "objectType": "DIRECTORY", "dataFlow": "OUT"},
    ]
    if _needs(plan, SCENE):
        definitions += [
            {"name": "Hython", "type": "STRING", "default": "hython", "description": "hython on the workers."},
            {"name": "Scene", "type": "PATH", "objectType": "FILE", "dataFlow": "IN"},
        ]
    else:
        # The files are listed one by one in asset_references; the folder itself may hold much more.
        definitions.append({"name": "KeysDir", "type": "PATH", "objectType": "DIRECTORY", "dataFlow": "NONE"})
    return definitions


def _references(plan: Plan) -> dict[str, Any]:
    inputs = {"filenames": [str(path) for path in plan.files], "directories": []}
    return {"assetReferences": {"inputs": inputs, "outputs": {"directories": [str(plan.out)]}}}


def _openjd(words: Sequence[str]) -> list[str]:
    names = {LIM: "Lim", HYTHON: "Hython", KEYS: "KeysDir", SCENE: "Scene", OUT: "OutDir"}
    places = {place: "{{Param." + name + "}}" for place, name in names.items()}
    return [_replaced(word, {**places, CLIPS: "{{Task.Param.Clips}}"}) for word in words]


def _replaced(word: str, places: dict[str, str]) -> str:
    for place, value in places.items():
        word = word.replace(place, value)
    return word


def _needs(plan: Plan, place: str) -> bool:
    return any(place in word for word in plan.track)
