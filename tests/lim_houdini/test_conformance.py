"""Every hou name that we use, and every one the stand-in has, exists in Houdini 20.5 and 21 with these arguments.

The stubs lie in .venv-houdini, one folder per version (make .venv-houdini/installed). mypy walks our code with them;
the stand-in and the code in the digital assets are held against their syntax trees.
"""

from __future__ import annotations

import ast
import functools
import inspect
import os
import subprocess
import sys
import types
from pathlib import Path

import hou
import pytest

from lim_houdini.hda.library import find_libraries, read_library
from lim_houdini.hda.rules import code_sections

ROOT = Path(__file__).parents[2]
VERSIONS = ("20.5.487.0", "21.0.512.3")
STUBS = ROOT / ".venv-houdini"

pytestmark = pytest.mark.skipif(not (STUBS / "installed").exists(), reason="make .venv-houdini/installed")


@functools.cache
def stub(version: str) -> dict[str, ast.ClassDef | ast.FunctionDef]:
    tree = ast.parse((STUBS / version / "hou" / "__init__.pyi").read_text())
    return {node.name: node for node in tree.body if isinstance(node, (ast.ClassDef, ast.FunctionDef))}


def members(version: str, name: str) -> dict[str, list[ast.FunctionDef]]:
    """Methods of a class and its bases; several of one name are overloads."""
    found: dict[str, list[ast.FunctionDef]] = {}
    node = stub(version)[name]
    assert isinstance(node, ast.ClassDef)
    for item in node.body:
        if isinstance(item, ast.FunctionDef):
            found.setdefault(item.name, []).append(item)
    for base in node.bases:
        if isinstance(base, ast.Name) and base.id in stub(version):
            for inherited, functions in members(version, base.id).items():
                found.setdefault(inherited, functions)
    return found


def mypy(version: str, path: Path, *words: str) -> list[str]:
    """What mypy says about a file or package with that version's hou, of what it says about us."""
    command = [sys.executable, "-m", "mypy", "--cache-dir", str(STUBS / "cache" / version), *words]
    environment = {**os.environ, "MYPYPATH": f"{STUBS / version}:python3.11libs"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    return [line for line in done.stdout.splitlines() if path.name in line]


@pytest.mark.parametrize("version", VERSIONS)
def test_our_code_calls_what_there_is(version: str) -> None:
    assert mypy(version, Path("lim_houdini"), "-p", "lim_houdini") == []


@pytest.mark.parametrize("version", VERSIONS)
def test_what_is_run_in_a_real_houdini_calls_what_there_is(version: str) -> None:
    path = Path("tests/houdini/check.py")
    assert mypy(version, path, str(path), "--disallow-untyped-calls") == []


def test_calls_of_what_only_one_version_has_are_found(tmp_path: Path) -> None:
    path = tmp_path / "wrong.py"
    path.write_text(
        "import hou\n\ngeometry = hou.Geometry()\nprint(geometry.pointCount())\n"
        "geometry.copy(geometry, deep=True)\nhou.frames()\nhou.setFrame()\n"
    )
    for version, lines in zip(VERSIONS, ({4, 5, 6, 7}, {5, 6, 7})):
        assert {int(line.split(":")[1]) for line in mypy(version, path, str(path)) if "error" in line} == lines


@pytest.mark.parametrize("version", VERSIONS)
def test_the_stand_in_has_nothing_that_houdini_has_not(version: str) -> None:
    for name, thing in public(hou).items():
        if isinstance(thing, types.SimpleNamespace):
            there = names_in(version, name)
            assert set(vars(thing)) <= there, f"{name}: {set(vars(thing)) - there}"
        elif inspect.isclass(thing):
            known = members(version, name)
            for method, function in public(thing, hou).items():
                assert method in known, f"hou.{name}.{method} is not in {version}"
                assert any(fits(function, each) for each in known[method]), f"hou.{name}.{method} in {version}"
        else:
            node = stub(version)[name]
            assert isinstance(node, ast.FunctionDef)
            assert fits(thing, node), f"hou.{name} in {version}"


@pytest.mark.parametrize("version", VERSIONS)
def test_the_code_in_the_assets_calls_what_there_is(version: str) -> None:
    for path in find_libraries(ROOT / "houdini_otls"):
        for operator in read_library(path).operators:
            for name, tree in code_sections(operator):
                used = {node.attr for node in ast.walk(tree) if is_hou(node)}
                assert used <= stub(version).keys(), f"{operator.key} {name}"


def is_hou(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "hou"


def names_in(version: str, name: str) -> set[str]:
    node = stub(version)[name]
    assert isinstance(node, ast.ClassDef)
    return {
        item.target.id for item in node.body if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)
    }


def public(thing: object, within: object = None) -> dict[str, object]:
    """Names without an underscore; of a class, those that it or its bases in the stand-in define."""
    found: dict[str, object] = {}
    for name in dir(thing):
        value = inspect.getattr_static(thing, name)
        value = value.__func__ if isinstance(value, staticmethod) else value
        mine = within is None or any(name in vars(base) for base in thing.__mro__ if base.__module__.startswith("hou"))
        if not name.startswith("_") and mine and not isinstance(value, types.ModuleType):
            found[name] = value
    return found


def fits(function: object, there: ast.FunctionDef) -> bool:
    """Are the stand-in's arguments Houdini's, in their order and by their names, and none missing that must be given?

    Functions of hou.ui are without self in the stubs, as in the stand-in.
    """
    ours = [p.name for p in inspect.signature(function).parameters.values() if p.name != "self"]
    theirs = [arg.arg for arg in (*there.args.posonlyargs, *there.args.args) if arg.arg != "self"]
    required = theirs[: len(theirs) - len(there.args.defaults)]
    return [name for name in theirs if name in ours] == ours and set(required) <= set(ours)
