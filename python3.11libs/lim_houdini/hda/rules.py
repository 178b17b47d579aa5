"""What Houdini wants of an expanded library, and what we want of ours beyond that: each broken rule as a sentence.

The rules that are only ours (`strict`) are those that some library in the wild breaks and is loaded all the same.
"""

from __future__ import annotations

import ast
import json
import re
import time
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from lim_houdini.hda.interface import CONDITIONS, TYPES, Folder, Interface, Parm, read_interface
from lim_houdini.hda.library import (
    INDEX_FILE,
    INDEX_SECTION,
    LIST,
    MARKER,
    LibraryError,
    Operator,
    escaped,
    read_library,
    read_list,
    table,
)  # fmt: skip

INDEX_KEYS = (
    "Operator", "Label", "Path", "Icon", "Table", "License", "Extra", "User", "Inputs", "Outputs", "Subnet", "Python",
    "Empty", "Modified",
)  # fmt: skip
ALWAYS = ("DialogScript", "CreateScript", "TypePropertiesOptions", "Tools.shelf", "ExtraFileOptions")
SCRIPTS = ("PythonModule", "OnCreated", "OnLoaded", "OnUpdated", "OnDeleted", "OnInputChanged", "OnNameChanged")
NUMBERS = ("float", "flt", "integer", "int", "toggle", "embed", "button", "angle", "log", "intlog")
SWITCH = {"0", "1", "on", "off"}
_COLUMN = 14


def check_library(path: Path, strict: bool = False) -> list[str]:
    """Every rule of the format that the library breaks, as sentences that begin with the file."""
    try:
        library = read_library(path)
    except LibraryError as error:
        return [str(error)]
    problems = [f"{path}: {text}" for text in _library_rules(path)]
    rules = (_index_rules, _section_rules, _option_rules, _dialog_rules, *((_own_rules,) if strict else ()))
    for operator in library.operators:
        problems += [f"{operator.folder}: {text}" for rule in rules for text in rule(operator)]
    return problems


def _own_rules(operator: Operator) -> Iterator[str]:
    """What we ask of our own operators beyond what Houdini does."""
    there = {entry.name for entry in operator.folder.iterdir()} - {LIST}
    for file in sorted(there - {file for file, _ in read_list(operator.folder / LIST)}):
        yield f"{file} is there, but {LIST} does not name it"
    if "PythonCook" in operator.sections and operator.text("FunctionName") != operator.type_name:
        yield f"FunctionName must be {operator.type_name}, without an end of line"
    if "Version" in operator.sections:
        yield "Version is a binary section; the version is in the name"
    try:
        interface = read_interface(operator.text("DialogScript"))
    except ValueError:
        return  # told already
    if not interface.name == interface.script == operator.type_name:
        yield f"DialogScript: name and script must be {operator.type_name}"
    for parm in interface.parms():
        yield from (f"DialogScript: line {parm.line}: {parm.name}: {text}" for text in _value_problems(parm))
    yield from _condition_problems(interface)


def _condition_problems(interface: Interface) -> Iterator[str]:
    """Conditions ask only for parameters that there are."""
    names = {name for parm in interface.parms() for name in (parm.name, *parm.components)}
    names |= {entry.name for entry in interface.root.entries()}
    for entry in interface.root.entries():
        for text in entry.conditions.values():
            for asked in re.findall(r"[{ ]\s*([A-Za-z_]\w*#?)\s*(?:==|!=|<|>)", text):
                if asked not in names:
                    yield f"DialogScript: line {entry.line}: {entry.name}: its condition asks for {asked}, not there"


def _library_rules(path: Path) -> Iterator[str]:
    if path.suffix not in (".hda", ".otl"):
        yield "the folder's name must end in .hda or .otl to be found"
    if not (path / MARKER).is_file() or (path / MARKER).stat().st_size:
        yield f"{MARKER} must be there and empty"
    listed = read_list(path / LIST)
    yield from _names(listed, {entry.name for entry in path.iterdir()})
    if (INDEX_FILE, INDEX_SECTION) not in listed:
        yield f"{LIST} does not list {INDEX_SECTION}"


def _names(listed: list[tuple[str, str]], there: set[str]) -> Iterator[str]:
    """Escaped as they should be, and there."""
    for file, section in listed:
        if file != escaped(section):
            yield f"{LIST}: section {section} must be in {escaped(section)}, not in {file}"
    files = {file for file, _ in listed}
    contents = {"Contents.gz", "Contents.dir", "Contents.mime", "Contents.createscript"}
    for file in sorted(files - there - contents):
        yield f"{LIST} names {file}, which is not there"
    if files & contents and not there & contents:
        yield f"{LIST} names Contents, which are not there"


def _index_rules(operator: Operator) -> Iterator[str]:
    index, key = operator.index, operator.key
    order = [name for name in INDEX_KEYS if name in index]
    if list(index) != order or not set(INDEX_KEYS) - {"Outputs"} <= index.keys():
        yield f"{INDEX_FILE}: keys are {', '.join(index)}; they must be {', '.join(INDEX_KEYS)}"
        return
    for name, value in index.items():
        if value.strip() and len(name) + 1 + len(value) - len(value.lstrip()) != _COLUMN:
            yield f"{INDEX_FILE}: the value of {name} must begin in column {_COLUMN + 1}"
    value_of = {name: value.strip() for name, value in index.items()}
    if value_of["Path"] != f"oplib:/{key}?{key}":
        yield f"{INDEX_FILE}: Path is {value_of['Path']}, not oplib:/{key}?{key}"
    if value_of["Operator"] != operator.type_name or value_of["Table"] != table(key):
        yield f"{INDEX_FILE}: Operator and Table do not say {key}"
    if not re.fullmatch(r"\d+ to \d+", value_of["Inputs"]):
        yield f"{INDEX_FILE}: Inputs is {value_of['Inputs']!r}, not 'least to most'"
    if not re.fullmatch(r"\d+", value_of.get("Outputs", "1")):
        yield f"{INDEX_FILE}: Outputs is {value_of['Outputs']!r}, not a number"
    for name in ("Subnet", "Python", "Empty"):
        if value_of[name] not in ("true", "false"):
            yield f"{INDEX_FILE}: {name} is {value_of[name]!r}, not true or false"
    if value_of["Subnet"] == value_of["Python"] == "true":
        yield f"{INDEX_FILE}: an operator is a subnet or Python, not both"
    try:
        time.strptime(value_of["Modified"], "%a %b %d %H:%M:%S %Y")
    except ValueError:
        yield f"{INDEX_FILE}: Modified is {value_of['Modified']!r}, not such as 'Mon Jan  5 12:00:00 2026'"


def _section_rules(operator: Operator) -> Iterator[str]:
    listed = read_list(operator.folder / LIST)
    yield from _names(listed, {entry.name for entry in operator.folder.iterdir()})
    for name in ALWAYS:
        if name not in operator.sections:
            yield f"no {name}"
    contents = any(name.startswith("Contents") for name in operator.sections)
    if contents != ("InternalFileOptions" in operator.sections):
        yield "InternalFileOptions belong to assets with Contents, and to no others"
    if (operator.index.get("Python", "").strip() == "true") != ("PythonCook" in operator.sections):
        yield "an operator has PythonCook when its index says Python: true, and only then"
    if "Version" in operator.sections:
        data = operator.sections["Version"].read_bytes()
        if int.from_bytes(data[:4], "big") != len(data) - 4:
            yield "Version must begin with its length, 32 bits, big-endian"


def _option_rules(operator: Operator) -> Iterator[str]:
    for line in operator.text("TypePropertiesOptions").splitlines():
        if not re.fullmatch(r"\w+ := [^;]*;", line):
            yield f"TypePropertiesOptions: {line!r} is not 'Name := value;'"
    try:
        ElementTree.fromstring(operator.text("Tools.shelf").strip() or "<shelfDocument/>")
    except ElementTree.ParseError as error:
        yield f"Tools.shelf: {error}"
    options: dict[str, dict[str, object]] = {}
    for name in ("ExtraFileOptions", "InternalFileOptions"):
        if name in operator.sections:
            try:
                options |= json.loads(operator.text(name))
            except ValueError as error:
                yield f"{name}: {error}"
    for name in SCRIPTS:
        said = options.get(f"{name}/IsPython", {}).get("value")
        if name in operator.sections and said is None:
            yield f"ExtraFileOptions do not say {name}/IsPython, so it would be taken for HScript"


def _dialog_rules(operator: Operator) -> Iterator[str]:
    try:
        interface = read_interface(operator.text("DialogScript"))
    except ValueError as error:
        yield f"DialogScript: {error}"
        return
    for text in interface_problems(interface):
        yield f"DialogScript: {text}"


def interface_problems(interface: Interface) -> Iterator[str]:
    """What would silently cost parameters their place, their value or their visibility."""
    components: Counter[str] = Counter()
    for entry in interface.root.entries():
        if isinstance(entry, Parm):
            components.update(entry.components)
            yield from _parm_problems(entry)
        elif entry.multiparm:
            components[entry.name] += 1
            yield from _instance_problems(entry)
    for name, count in components.items():
        if count > 1 and name:
            yield f"{count} parameters are named {name}: names must be unique"


def _instance_problems(folder: Folder) -> Iterator[str]:
    for entry in folder.children:
        if isinstance(entry, Parm) and "#" not in entry.name:
            yield f"line {entry.line}: {entry.name} in the multiparm {folder.name} needs a # for the instance's number"


def _parm_problems(parm: Parm) -> Iterator[str]:
    where = f"line {parm.line}: {parm.name}"
    if "baseparm" in parm.flags:
        return
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_#]*", parm.name):
        yield f"{where}: not a name for a parameter"
    if parm.type not in TYPES:
        yield f"{where}: type {parm.type!r} is none"
    if parm.defaults and len(parm.defaults) != parm.size and not parm.type.startswith("ramp"):
        yield f"{where}: {len(parm.defaults)} defaults for {parm.size} components"
    if parm.range and not re.fullmatch(r"\S+!? \S+!?", parm.range):
        yield f"{where}: range {{ {parm.range} }} is not two numbers, each with ! or without"
    for default in parm.defaults:
        if default.language not in (None, "hscript-expr", "python", "hscript"):
            yield f"{where}: {default.language!r} is no language for a default"
    for kind in CONDITIONS:
        text = parm.conditions.get(kind, "{ }")
        if not re.fullmatch(r"\s*(\{[^{}]*\}\s*)+", text):
            yield f"{where}: {kind} {text!r} is not '{{ parm == value }}'"


def _value_problems(parm: Parm) -> Iterator[str]:
    """Menus without doubles, and defaults that are one of what the parameter can be."""
    tokens = [token for token, _ in parm.menu]
    for token, count in Counter(tokens).items():
        if count > 1:
            yield f"{count} menu entries are {token!r}"
    for default in parm.defaults:
        if default.language is not None:
            continue
        if parm.type in ("ordinal", "ord") and default.text not in tokens and not _index_of(default.text, len(tokens)):
            yield f"default {default.text!r} is neither in its menu nor a place in it"
        elif parm.type in ("toggle", "embed") and default.text not in SWITCH:
            yield f"default {default.text!r} is neither on nor off"
        elif parm.type in NUMBERS and not _number(default.text):
            yield f"default {default.text!r} is no number"


def _index_of(text: str, count: int) -> bool:
    return text.isdigit() and int(text) < count


def _number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return text in SWITCH
    return True


def code_sections(operator: Operator) -> Iterator[tuple[str, ast.Module]]:
    """Name and tree of the operator's Python. Raises SyntaxError."""
    for name in ("PythonCook", *SCRIPTS):
        if name in operator.sections:
            yield name, ast.parse(operator.text(name), f"{operator.folder}/{name}")
