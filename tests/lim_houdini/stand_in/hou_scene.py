"""Time, the file, and the user of the stand-in."""

from __future__ import annotations

import json
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np

_now = SimpleNamespace(frame=1.0, fps=24.0, start=1.0, end=240.0, hip="/tmp/untitled.hip")


def frame():
    return _now.frame


def setFrame(frame):
    _now.frame = float(frame)


def fps():
    return _now.fps


def setFps(fps):
    _now.fps = float(fps)


class _User:
    """Presses Esc at a time (`esc_at`), or when a text is shown (`esc_on`); None never does."""

    def __init__(self):
        self.reset()

    def reset(self):
        self.esc_at, self.esc_on, self.seen, self.interface = None, None, [], False
        self.callbacks, self.messages, self.displayed = [], [], []


_user = _User()


class InterruptableOperation:
    def __init__(self, operation_name, long_operation_name=None, open_interrupt_dialog=False):
        self._name = operation_name

    def __enter__(self):
        return self

    def __exit__(self, type, value, traceback):
        return None

    def updateLongProgress(self, percentage=-1.0, long_op_status=None):
        assert -1 <= percentage <= 1, "a fraction"
        _user.seen.append(long_op_status)
        if _user.esc_on is not None and _user.esc_on in (long_op_status or ""):
            _user.esc_at = time.monotonic()

    def updateProgress(self, percentage=-1.0):
        from hou_nodes import OperationInterrupted

        assert -1 <= percentage <= 1, "a fraction"
        if _user.esc_at is not None and time.monotonic() >= _user.esc_at:
            raise OperationInterrupted("The operation was interrupted.")


def isUIAvailable():
    return _user.interface


class ui:
    @staticmethod
    def addEventLoopCallback(callback):
        _user.callbacks.append(callback)

    @staticmethod
    def removeEventLoopCallback(callback):
        _user.callbacks.remove(callback)

    @staticmethod
    def setStatusMessage(message):
        _user.messages.append(message)

    @staticmethod
    def displayMessage(text, title=None, details=None, details_expanded=False):
        _user.displayed.append((text, details))
        return 0


class hipFile:
    """A scene as the stand-in records it: a JSON of nodes, parameters and connections, with inputs as numpy files."""

    @staticmethod
    def load(file_name, suppress_save_prompt=False, ignore_load_warnings=False):
        import hou_nodes
        from hou_geometry import _load

        hou_nodes._clear()
        with np.load(file_name, allow_pickle=False) as archive:
            scene = json.loads(str(archive["scene"]))
            _now.fps, _now.frame = scene["fps"], scene["frame"]
            _now.start, _now.end, _now.hip = scene["start"], scene["end"], str(file_name)
            for path, held in scene["recorded"].items():
                poses = {}
                for at in held:
                    prefix = f"{path}|{at}|"
                    names = [name for name in archive.files if name.startswith(prefix)]
                    poses[float(at)] = _load({name.removeprefix(prefix): archive[name] for name in names})
                hou_nodes._recorded(path, poses)
            for path, described in scene["nodes"].items():
                node = hou_nodes._make(path, described["type"])
                for name, value in described["parms"].items():
                    node.parm(name).set(value)
            for path, described in scene["nodes"].items():
                for index, other in enumerate(described["inputs"]):
                    if other:
                        hou_nodes.node(path).setInput(index, hou_nodes.node(other))

    @staticmethod
    def path():
        return _now.hip

    @staticmethod
    def save(file_name=None, save_to_recent_files=True):
        import hou_nodes
        from hou_geometry import _save

        arrays, recorded, nodes = {}, {}, {}
        for path, each in hou_nodes._nodes.items():
            if isinstance(each, hou_nodes._Recorded):
                recorded[path] = [repr(at) for at in each._poses]
                for at, geometry in each._poses.items():
                    arrays |= {f"{path}|{at!r}|{name}": values for name, values in _save(geometry).items()}
            else:
                inputs = [other.path() if other else "" for other in each._inputs]
                nodes[path] = {"type": each._type, "inputs": inputs, "parms": each._changed_parms()}
        scene = {**vars(_now), "recorded": recorded, "nodes": nodes}
        with Path(file_name or _now.hip).open("wb") as file:
            np.savez(file, scene=json.dumps(scene), **arrays)
