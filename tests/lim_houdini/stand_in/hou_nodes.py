"""Nodes of the stand-in: parameters from our dialog scripts, cooks by our PythonCook sections."""

from __future__ import annotations

import os
import re
from pathlib import Path

import hou_scene
from hou_geometry import Geometry

from lim_houdini.hda.interface import Parm as Described
from lim_houdini.hda.interface import read_interface
from lim_houdini.hda.library import find_libraries, read_library

ASSETS = Path(__file__).resolve().parents[3] / "houdini_otls" / "otls"


class Error(Exception):
    def instanceMessage(self):
        return str(self.args[0]) if self.args else ""


class OperationFailed(Error):
    pass


class OperationInterrupted(Error):
    pass


class NodeError(Error):
    pass


class NodeWarning(Error):
    pass


_operators = {
    operator.type_name: operator for path in find_libraries(ASSETS) for operator in read_library(path).operators
}
_nodes = {}
_cooking = []


def node(path):
    return _nodes.get(path)


def pwd():
    return _cooking[-1]


def _clear():
    _nodes.clear()


class Parm:
    def __init__(self, node, described, component):
        self._node, self._described = node, described
        self._name = described.components[component]
        default = described.defaults[component] if described.defaults else None
        self._default = (default.text, default.language) if default else ("0", None)
        self._value = None

    def name(self):
        return self._name

    def set(self, value, language=None, follow_parm_reference=True):
        assert not _cooking, "no parameter may be set within a cook"
        tokens = [token for token, _ in self._described.menu]
        self._value = tokens.index(value) if isinstance(value, str) and self._described.type == "ordinal" else value
        self._node._dirty = True

    def _is_time_dependent(self):
        return self._value is None and self._default[0] in ("$F", "$FF")

    def eval(self):
        if self._value is not None:
            return self._value
        text, language = self._default
        if language == "hscript-expr":
            now = hou_scene._now
            return {"$FF": now.frame, "$F": int(now.frame), "$FSTART": now.start, "$FEND": now.end}[text]
        tokens = [token for token, _ in self._described.menu]
        if self._described.type == "ordinal":
            return tokens.index(text) if text in tokens else int(text)
        if self._described.type in ("float", "vector"):
            return float(text)
        return int(text) if self._described.type in ("toggle", "integer", "button") else text

    def evalAsFloat(self):
        return float(self.eval())

    def evalAsInt(self):
        return int(self.eval())

    def evalAsString(self):
        value = self.eval()
        if self._described.type == "ordinal":
            return self._described.menu[value][0]
        folder, name = Path(hou_scene._now.hip).parent, self._node.name()
        plain = re.sub(r"\$HIP\b", str(folder), str(value))
        return os.path.expandvars(re.sub(r"\$OS\b", name, plain))

    def pressButton(self, arguments=None):
        called = re.fullmatch(r"hou\.phm\(\)\.(\w+)\(kwargs\)", self._described.tags["script_callback"])
        getattr(self._node.hm(), called[1])({"node": self._node, "parm": self})


class ParmTuple:
    def __init__(self, parms):
        self._parms = parms

    def __iter__(self):
        return iter(self._parms)

    def __len__(self):
        return len(self._parms)

    def set(self, value, language=None, follow_parm_reference=True):
        for parm, one in zip(self._parms, value):
            parm.set(one)


class HDAModule:
    def __init__(self, source):
        exec(source, self.__dict__)


class Node:
    pass


class OpNodeType:
    def __init__(self, name):
        self._name = name

    def name(self):
        return self._name


class OpNode(Node):
    def __init__(self, path, type_name):
        self._path, self._type, self._inputs = path, type_name, []
        self._user_data, self._dirty, self._cooked_at = {}, True, None
        self._warnings, self._errors, self._messages, self._cooks = [], [], [], 0
        self._tuples = {}
        operator = _operators.get(type_name)
        for described in read_interface(operator.text("DialogScript")).parms() if operator else ():
            assert isinstance(described, Described)
            parms = [Parm(self, described, i) for i in range(described.size)]
            self._tuples[described.name] = ParmTuple(parms)

    def _changed_parms(self):
        return {p.name(): p._value for t in self._tuples.values() for p in t if p._value is not None}

    def path(self):
        return self._path

    def name(self):
        return self._path.rsplit("/", 1)[-1]

    def type(self):
        return OpNodeType(self._type)

    def parmTuple(self, parm_path):
        return self._tuples.get(parm_path)

    def parm(self, parm_path):
        for parms in self._tuples.values():
            for parm in parms:
                if parm.name() == parm_path:
                    return parm
        return None

    def evalParm(self, parm_path):
        return self.parm(parm_path).eval()

    def hm(self):
        return HDAModule(_operators[self._type].text("PythonModule"))

    def input(self, input_index):
        return self._inputs[input_index] if input_index < len(self._inputs) else None

    def setInput(self, input_index, item_to_become_input, output_index=0):
        self._inputs += [None] * (input_index + 1 - len(self._inputs))
        self._inputs[input_index] = item_to_become_input
        self._dirty = True

    def cachedUserData(self, name):
        return self._user_data.get(name)

    def setCachedUserData(self, name, value):
        self._user_data[name] = value

    def addWarning(self, message=None):
        assert _cooking and _cooking[-1] is self
        self._warnings.append(message)

    def warnings(self):
        return tuple(self._warnings)

    def errors(self):
        return tuple(self._errors)

    def isTimeDependent(self):
        timed = any(parm._is_time_dependent() for parms in self._tuples.values() for parm in parms)
        return timed or any(other.isTimeDependent() for other in self._inputs if other is not None)

    def _stale(self):
        timed = self.isTimeDependent() and self._cooked_at != hou_scene.frame()
        return self._dirty or timed or any(other._stale() for other in self._inputs if other is not None)

    def _begin(self):
        """Before the cook's own code."""

    def cook(self, force=False, frame_range=()):
        if not force and not self._stale():
            return
        self._warnings, self._errors, self._cooks = [], [], self._cooks + 1
        self._begin()
        _cooking.append(self)
        try:
            exec(compile(_operators[self._type].text("PythonCook"), self._path, "exec"), {})
        except NodeError as error:
            self._errors = [error.instanceMessage()]
        except OperationInterrupted:
            self._errors = ["Cooking was interrupted"]
        finally:
            _cooking.pop()
        self._dirty, self._cooked_at = bool(self._errors), hou_scene.frame()
        if self._errors:
            raise OperationFailed(self._errors[0])


class SopNode(OpNode):
    _geometry = None

    def _begin(self):
        for other in self._inputs:
            if other is not None:
                other.cook()
        self._geometry = Geometry(self._inputs[0]._geometry if self._inputs and self._inputs[0] else None)

    def geometry(self, output_index=0):
        if not (_cooking and _cooking[-1] is self):
            self.cook()
            return self._geometry.freeze(read_only=True)
        return self._geometry

    def inputGeometry(self, index):
        other = self.input(index)
        return other.geometry() if other is not None else None

    def inputGeometryAtFrame(self, frame, index):
        other = self.input(index)
        return other.geometryAtFrame(frame) if other is not None else None

    def geometryAtFrame(self, frame, output_index=0):
        """Cooks there and comes back."""
        now = hou_scene.frame()
        hou_scene.setFrame(frame)
        try:
            return self.geometry()
        finally:
            hou_scene.setFrame(now)


class _Recorded(SopNode):
    """Geometry of a test's making: poses by frame, each held until the next; or a function of the frame."""

    def __init__(self, path, poses):
        super().__init__(path, "")
        self._poses, self._version = poses, 0

    def isTimeDependent(self):
        return callable(self._poses) or len(self._poses) > 1

    def cook(self, force=False, frame_range=()):
        if not force and not self._stale():
            return
        self._cooks += 1
        at = hou_scene.frame()
        if callable(self._poses):
            self._geometry = self._poses(at)
        else:
            held = [time for time in sorted(self._poses) if time <= at] or [min(self._poses)]
            self._geometry = self._poses[held[-1]]
        self._dirty, self._cooked_at = False, at

    def _touch(self, poses):
        """An edit upstream."""
        self._poses, self._dirty = poses, True
        for each in _nodes.values():
            if self in each._inputs:
                each._dirty = True


class RopNode(OpNode):
    pass


class LopNode(OpNode):
    _stage = None

    def _begin(self):
        from pxr import Usd

        self._stage = Usd.Stage.CreateInMemory()

    def editableStage(self):
        assert _cooking and _cooking[-1] is self
        return self._stage

    def stage(self, apply_viewport_overrides=False, ignore_errors=False, use_last_cook_context_options=True):
        self.cook()
        return self._stage


def _make(path, type_name):
    table = _operators[type_name].index["Table"].strip()
    _nodes[path] = {"Sop": SopNode, "Driver": RopNode, "Lop": LopNode}[table](path, type_name)
    return _nodes[path]


def _recorded(path, poses):
    _nodes[path] = _Recorded(path, poses)
    return _nodes[path]
