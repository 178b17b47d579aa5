"""A stand-in for hou, for tests alone: real geometry, real cooks of our own digital assets, nothing more of Houdini.

Whatever is public here exists in Houdini's own hou with the same arguments; test_conformance.py holds it to that.
"""

from hou_geometry import (  # noqa: F401
    Attrib,
    EnumValue,
    Geometry,
    PointGroup,
    SopVerb,
    attribData,
    attribType,
    numericData,
    primType,
    sopNodeTypeCategory,
)
from hou_nodes import (  # noqa: F401
    Error,
    HDAModule,
    LopNode,
    Node,
    NodeError,
    NodeWarning,
    OperationFailed,
    OperationInterrupted,
    OpNode,
    OpNodeType,
    Parm,
    ParmTuple,
    RopNode,
    SopNode,
    node,
    pwd,
)
from hou_scene import InterruptableOperation, fps, frame, hipFile, isUIAvailable, setFps, setFrame, ui  # noqa: F401


def applicationVersionString() -> str:
    """The Houdini that the stand-in behaves like."""
    return "21.0.512"
