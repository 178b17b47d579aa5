"""What a dialog script means: the operator's names and inputs, and its parameters in their folders."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from lim_houdini.hda.script import Argument, Block, Bracket, ScriptError, Text, parse_script

FOLDERS = ("group", "groupsimple", "groupcollapsible", "groupradio")
MULTIPARMS = ("multiparm", "multiscroll", "multiswitcher")
MENUS = ("menu", "menureplace", "menutoggle", "menumini")
CONDITIONS = ("hidewhen", "disablewhen", "hidewhentab", "disablewhentab")
SIZES = {
    "vector": 3, "vector3": 3, "vector2": 2, "vector4": 4, "intvector": 3, "intvector2": 2, "intvector3": 3,
    "intvector4": 4, "color": 3, "rgb": 3, "color4": 4, "rgba": 4, "direction": 3, "uv": 2, "uvw": 3,
    "float_minmax": 2, "int_minmax": 2,
}  # fmt: skip
TYPES = {
    *SIZES, "float", "flt", "integer", "int", "toggle", "embed", "button", "string", "str", "file", "directory", "dir",
    "image", "geometry", "oppath", "oplist", "ordinal", "ord", "separator", "label", "angle", "log", "intlog",
    "ramp_flt", "ramp_rgb", "data", "geometrydata", "buttonstrip", "iconstrip", "path", "nodepath", "plane",
    "simplestring", "keyvaluedict", "picfile",
}  # fmt: skip


@dataclass(frozen=True)
class Default:
    """A component's value before anybody has changed it; `language` of an expression, None for a plain value."""

    text: str
    language: str | None = None


@dataclass
class Parm:
    """One parameter, of one or more components."""

    name: str
    type: str
    line: int
    label: str = ""
    size: int = 1
    defaults: list[Default] = field(default_factory=list)
    menu: list[tuple[str, str]] = field(default_factory=list)
    menu_script: str = ""
    range: str = ""
    help: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    conditions: dict[str, str] = field(default_factory=dict)
    flags: set[str] = field(default_factory=set)

    @property
    def components(self) -> list[str]:
        """The names of its channels: its own, or with x, y, z, w (r, g, b, a; 1, 2, 3) behind it."""
        if self.size == 1:
            return [self.name]
        letters = "rgba" if self.type in ("color", "rgb", "color4", "rgba") else "xyzw"
        if "baseparm" in self.flags or self.size > 4 or self.type not in SIZES:
            letters = "".join(map(str, range(1, self.size + 1)))
        return [self.name + letter for letter in letters[: self.size]]


@dataclass
class Folder:
    """A group of parameters; for a multiparm, the template of one instance. `default` is its count at first."""

    kind: str
    name: str
    line: int
    label: str = ""
    default: int = 0
    tags: dict[str, str] = field(default_factory=dict)
    conditions: dict[str, str] = field(default_factory=dict)
    flags: set[str] = field(default_factory=set)
    children: list[Entry] = field(default_factory=list)

    @property
    def multiparm(self) -> bool:
        """Does it repeat?"""
        return self.kind in MULTIPARMS

    def entries(self) -> Iterator[Entry]:
        """Everything in it, each before what it holds."""
        for child in self.children:
            yield child
            if isinstance(child, Folder):
                yield from child.entries()


Entry: TypeAlias = "Parm | Folder"


@dataclass
class Interface:
    """An operator as its dialog script tells it."""

    name: str = ""
    script: str = ""
    label: str = ""
    inputs: dict[int, str] = field(default_factory=dict)
    outputs: dict[int, str] = field(default_factory=dict)
    root: Folder = field(default_factory=lambda: Folder("root", "", 0))

    def parms(self) -> Iterator[Parm]:
        """All parameters, those of multiparm templates with their # included."""
        return (entry for entry in self.root.entries() if isinstance(entry, Parm))

    def parm(self, name: str) -> Parm:
        """The parameter of that name. Raises KeyError."""
        for parm in self.parms():
            if parm.name == name:
                return parm
        raise KeyError(name)


def read_interface(text: str) -> Interface:
    """The interface a dialog script describes. Raises ScriptError, naming the line."""
    interface = Interface()
    for line in parse_script(text).lines:
        keyword, rest = _keyword(line)
        value = _value(rest)
        if keyword in ("name", "script", "label"):
            setattr(interface, keyword, value)
        elif keyword in ("inputlabel", "outputlabel") and len(rest) == 2:
            labels = interface.inputs if keyword == "inputlabel" else interface.outputs
            labels[int(value)] = _value(rest[1:])
        elif (entry := _entry(keyword, rest)) is not None:
            interface.root.children.append(entry)
    return interface


def _entry(keyword: str, rest: list[Argument]) -> Entry | None:
    if not rest or not isinstance(rest[-1], Block):
        return None
    if keyword == "parm":
        return _parm(rest[-1])
    return _folder(keyword, rest[-1]) if keyword in (*FOLDERS, *MULTIPARMS) else None


def _parm(block: Block) -> Parm:
    parm = Parm("", "", block.line)
    sized = False
    for line in block.lines:
        keyword, rest = _keyword(line)
        if keyword in ("name", "label", "type"):
            setattr(parm, keyword, _value(rest))
        elif keyword == "size":
            parm.size, sized = int(_value(rest)), True
        elif keyword == "default":
            parm.defaults = [_default(argument) for argument in _block(rest, keyword).arguments()]
        elif keyword in MENUS:
            parm.menu, parm.menu_script = _menu(_block(rest, keyword))
            parm.flags.add(keyword)
        elif keyword == "range":
            parm.range = " ".join(_block(rest, keyword).texts())
        elif keyword == "help":
            parm.help = _value(rest)
        else:
            _common(parm, keyword, rest)
    if not parm.name and "baseparm" not in parm.flags:
        raise ScriptError(f"line {block.line}: a parm without a name")
    if not sized:
        parm.size = SIZES.get(parm.type, 1)
    return parm


def _folder(kind: str, block: Block) -> Folder:
    folder = Folder(kind, "", block.line)
    for line in block.lines:
        keyword, rest = _keyword(line)
        if keyword in ("name", "label"):
            setattr(folder, keyword, _value(rest))
        elif keyword == "default" and rest and isinstance(rest[0], Text):
            folder.default = int(float(rest[0].value))
        elif (entry := _entry(keyword, rest)) is not None:
            folder.children.append(entry)
        else:
            _common(folder, keyword, rest)
    return folder


def _common(entry: Entry, keyword: str, rest: list[Argument]) -> None:
    """What parameters and folders have in common: tags, conditions, and words that stand alone."""
    if keyword in ("parmtag", "grouptag"):
        name, value = _pair(_block(rest, keyword))
        entry.tags[name] = value
    elif keyword in CONDITIONS:
        entry.conditions[keyword] = _value(rest)
    else:
        entry.flags.add(keyword)


def _menu(block: Block) -> tuple[list[tuple[str, str]], str]:
    script = [a.items[0].value for a in block.arguments() if isinstance(a, Bracket) and a.items]
    if script:
        return [], "\n".join(script)
    texts = block.texts()
    if len(texts) % 2:
        raise ScriptError(f"line {block.line}: a menu has {len(texts)} texts: each token needs a label")
    return list(zip(texts[::2], texts[1::2])), ""


def _default(argument: Argument) -> Default:
    if isinstance(argument, Text):
        return Default(argument.value)
    if isinstance(argument, Bracket) and len(argument.items) >= 2:
        return Default(argument.items[0].value, argument.items[1].value)
    if isinstance(argument, Bracket) and argument.items:
        return Default(argument.items[0].value)
    raise ScriptError(f"line {argument.line}: a default that is neither a value nor an expression")


def _pair(block: Block) -> tuple[str, str]:
    texts = block.texts()
    if len(texts) < 2:
        raise ScriptError(f"line {block.line}: a tag without a value")
    return texts[0], texts[1]


def _keyword(line: list[Argument]) -> tuple[str, list[Argument]]:
    first = line[0]
    if not isinstance(first, Text):
        raise ScriptError(f"line {first.line}: no keyword before the brace")
    return first.value, line[1:]


def _value(rest: list[Argument]) -> str:
    first = rest[0] if rest else None
    if isinstance(first, Block):
        return "\n".join(first.texts())
    return first.value if isinstance(first, Text) else ""


def _block(rest: list[Argument], keyword: str) -> Block:
    last = rest[-1] if rest else None
    if not isinstance(last, Block):
        where = f"line {last.line}: " if last is not None else ""
        raise ScriptError(f"{where}{keyword} without its braces")
    return last
