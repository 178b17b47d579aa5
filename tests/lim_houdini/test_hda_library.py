# ruff: noqa: E501
"""Expanded libraries: ours keep every rule, and a copy with one thing broken is caught."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from lim_houdini.hda.interface import read_interface
from lim_houdini.hda.library import LibraryError, escaped, find_libraries, read_library, read_list, type_name
from lim_houdini.hda.rules import check_library, code_sections

ROOT = Path(__file__).parents[2] / "houdini_otls" / "otls"
OURS = sorted(ROOT.iterdir())
OPERATOR = "lim_8_8Sop_1track_8_81.0"


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.name)
def test_ours_keep_every_rule(path: Path) -> None:
    assert check_library(path, strict=True) == []


def test_all_four_are_found() -> None:
    keys = {operator.key for path in find_libraries(ROOT) for operator in read_library(path).operators}
    names = {"lim::Sop/track::1.0", "lim::Sop/keys::1.0", "lim::Driver/usd_out::1.0", "lim::Lop/asset::1.0"}
    assert keys == names


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.name)
def test_the_doorways_lead_to_functions_that_are_there(path: Path) -> None:
    (operator,) = read_library(path).operators
    imported: dict[str, Callable[..., object]] = {}
    for name, tree in code_sections(operator):
        assert len([node for node in tree.body if not isinstance(node, ast.Import)]) <= 2, f"{name} is a doorway"
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom):
                module = importlib.import_module(str(node.module))
                for alias in node.names:
                    if not hasattr(module, alias.name):
                        importlib.import_module(f"{node.module}.{alias.name}")
                    imported[alias.name] = getattr(module, alias.name)
    interface = read_interface(operator.text("DialogScript"))
    for parm in interface.parms():
        called = re.findall(r"hm\(\)\.(\w+)\(", parm.tags.get("script_callback", "") + parm.menu_script)
        for function in called:
            assert len(inspect.signature(imported[function]).parameters) == 1, f"{parm.name} calls {function}"
        assert parm.type != "button" or called


def test_escapes() -> None:
    assert escaped("lim::Sop/track::1.0") == OPERATOR
    assert escaped("INDEX_SECTION") == "INDEX__SECTION"
    assert type_name("Sop/box") == "box"
    assert type_name("lim::Sop/track") == "lim::track"
    with pytest.raises(LibraryError):
        type_name("no table")


def test_names_with_blanks_are_quoted(tmp_path: Path) -> None:
    (tmp_path / "Sections.list").write_text('""\n"Sharp Edge"\t"Sharp Edge"\nHelp\tHelp\n')
    assert read_list(tmp_path / "Sections.list") == [("Sharp Edge", "Sharp Edge"), ("Help", "Help")]


def change(file: str, old: str, new: str) -> Callable[[Path], None]:
    def apply(library: Path) -> None:
        path = library / file
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))

    return apply


BROKEN: dict[str, tuple[Callable[[Path], None], str]] = {
    "marker gone": (lambda p: (p / "houdini.hdalibrary").unlink(), "houdini.hdalibrary"),
    "marker not empty": (lambda p: (p / "houdini.hdalibrary").write_text("x") and None, "there and empty"),
    "suffix": (lambda p: p.rename(p.with_suffix(".txt")) and None, "must end in .hda"),
    "list without its first line": (change("Sections.list", '""\n', ""), 'not ""'),
    "list without a tab": (change("Sections.list", "\tINDEX", " INDEX"), "a tab and a section"),
    "list without an end": (change("Sections.list", "::1.0\n", "::1.0"), "does not end"),
    "escape": (change(f"{OPERATOR}/Sections.list", "Help\tHelp", "Help\tHe_lp"), "must be in He__lp"),
    "section gone": (lambda p: (p / OPERATOR / "Help").unlink(), "names Help, which is not there"),
    "section too many": (lambda p: (p / OPERATOR / "Notes").write_text("x") and None, "does not name it"),
    "no dialog script": (change(f"{OPERATOR}/Sections.list", "DialogScript\tDialogScript\n", ""), "no DialogScript"),
    "operator's folder gone": (lambda p: shutil.rmtree(p / OPERATOR), "no such folder"),
    "index order": (change("INDEX__SECTION", "Table:        Sop\n", ""), "they must be Operator, Label"),
    "index column": (change("INDEX__SECTION", "Table:        Sop", "Table: Sop"), "column 15"),
    "index path": (change("INDEX__SECTION", "?lim::Sop", "?Sop"), "Path is"),
    "index operator": (change("INDEX__SECTION", "Operator:     lim::track", "Operator:     track"), "do not say"),
    "index inputs": (change("INDEX__SECTION", "1 to 2", "2"), "least to most"),
    "index flag": (change("INDEX__SECTION", "Python:       true", "Python:       yes"), "not true or false"),
    "index both": (change("INDEX__SECTION", "Subnet:       false", "Subnet:       true"), "not both"),
    "index date": (change("INDEX__SECTION", "Mon Jan", "Januar"), "Modified is"),
    "cook without the flag": (change("INDEX__SECTION", "Python:       true", "Python:       false"), "PythonCook"),
    "function name with an end": (lambda p: (p / OPERATOR / "FunctionName").write_text("lim::track::1.0\n") and None, "FunctionName"),
    "options": (change(f"{OPERATOR}/TypePropertiesOptions", " := 1;", " = 1"), "Name := value"),
    "shelf": (change(f"{OPERATOR}/Tools.shelf", "</tool>", ""), "Tools.shelf"),
    "extra options": (change(f"{OPERATOR}/ExtraFileOptions", "{", ""), "ExtraFileOptions"),
    "script taken for hscript": (change(f"{OPERATOR}/ExtraFileOptions", "IsPython", "WasPython"), "HScript"),
    "dialog script": (change(f"{OPERATOR}/DialogScript", "{", "["), "DialogScript"),
    "menu default": (change(f"{OPERATOR}/DialogScript", 'default { "auto" }', 'default { "aut" }'), "neither in its menu"),
    "toggle default": (change(f"{OPERATOR}/DialogScript", 'toggle\n            default { "1" }', 'toggle\n            default { "yes" }'), "neither on nor off"),
    "condition": (change(f"{OPERATOR}/DialogScript", "keymode != list", "keymod != list"), "asks for keymod"),
    "name": (change(f"{OPERATOR}/DialogScript", "script\tlim", "script\tlum"), "name and script"),
}  # fmt: skip


@pytest.mark.parametrize("what", BROKEN)
def test_one_thing_broken_is_caught(what: str, tmp_path: Path) -> None:
    library = tmp_path / "lim.track.1.0.hda"
    shutil.copytree(ROOT / library.name, library)
    damage, said = BROKEN[what]
    damage(library)
    (left,) = tmp_path.iterdir()
    found = "\n".join(check_library(left, strict=True))
    assert said in found
