"""What importing each light package drags in, in a fresh interpreter, and what installing the bare one does."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys

import pytest

ALWAYS = {
    "lim",
    "_lim",
    "sitecustomize",
    "usercustomize",
    "_distutils_hack",
    "__main__",
    "__mp_main__",
    "cython_runtime",
}
BUDGETS = {
    "lim_protocol": {"numpy", "msgpack"},
    "lim_client": {"numpy", "msgpack", "zmq"},
    "lim_usd": {"numpy", "msgpack", "pxr"},
}
SHOW = """
import sys, importlib, pkgutil, json
package = importlib.import_module(sys.argv[1])
for module in pkgutil.iter_modules(package.__path__):
    importlib.import_module(f"{sys.argv[1]}.{module.name}")
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


def imported_by(*words: str) -> set[str]:
    out = subprocess.run([sys.executable, "-c", *words], capture_output=True, text=True, check=True).stdout
    return set(json.loads(out.splitlines()[-1]))


@pytest.mark.parametrize("package", BUDGETS)
def test_a_light_package_drags_in_only_its_budget(package: str) -> None:
    found = imported_by(SHOW, package) - set(sys.stdlib_module_names) - ALWAYS
    foreign = {name for name in found if not name.startswith(("lim_", "_", "editable"))}
    assert foreign <= BUDGETS[package], f"{package} drags in {sorted(foreign - BUDGETS[package])}"


def test_the_track_command_starts_without_what_it_may_not_need() -> None:
    show = "import json, sys, lim_cli.track; print(json.dumps(sorted(sys.modules)))"
    assert not imported_by(show) & {"pxr", "trimesh", "PIL", "tinyobjloader", "torch", "scipy"}


def test_the_front_end_starts_without_torch() -> None:
    show = "import json, sys, lim_server.serve.__main__; print(json.dumps(sorted(sys.modules)))"
    assert not imported_by(show) & {"torch", "scipy", "igl"}


def test_the_bare_package_asks_for_nothing_that_houdini_brings() -> None:
    required = importlib.metadata.requires("lim") or []
    bare = {line.split(">")[0].strip() for line in required if "extra ==" not in line}
    assert bare == {"pyzmq", "msgpack"}
