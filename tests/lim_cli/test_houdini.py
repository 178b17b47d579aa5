"""`lim houdini`: the package put into preferences and taken out again, and what the doctor says."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lim_cli.houdini_package import LIBRARIES, PLATFORMS, PYTHONS, Payload, pip_command, preference_folders, version_of
from lim_houdini.hda.library import find_libraries
from lim_houdini.hda.rules import check_library
from lim_houdini.vendored import vendor_name

LIM = str(Path(sys.executable).with_name("lim"))
ROOT = Path(__file__).parents[2]


def lim(*words: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [LIM, "houdini", *map(str, words)]
    merged = {**os.environ, **environment}
    return subprocess.run(command, env=merged, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture
def prefs(tmp_path: Path) -> Path:
    folder = tmp_path / "houdini21.0"
    folder.mkdir()
    return folder


def test_the_package_file_has_no_fixed_path_and_no_byte_order_mark() -> None:
    data = (ROOT / "lim.json").read_bytes()
    data.decode("ascii")
    described = json.loads(data)
    assert all(path.startswith("$LIM_HOUDINI") for path in described["hpath"])
    assert "path" not in described, "the old spelling of hpath"
    paths = [value for entry in described["env"] for value in entry.values()]
    for value in paths:
        if isinstance(value, dict):
            assert value["method"] == "prepend", "without it, Houdini's own is replaced"
        assert str(value.get("value") if isinstance(value, dict) else value).startswith("$")
    lowest, highest = "houdini_version >= '20.5'", "houdini_version < '23.0'"
    assert described["enable"] == f"{lowest} and {highest}"


@pytest.mark.parametrize(("version", "enabled"), [("20.0.1", 0), ("20.5.487", 1), ("21.0.512", 1), ("22.0.1", 1), ("23.0", 0)])  # fmt: skip # noqa: E501
def test_it_is_enabled_for_the_houdinis_we_serve(version: str, enabled: int) -> None:
    expression = json.loads((ROOT / "lim.json").read_text())["enable"]
    assert eval(expression, {"houdini_version": version}) == bool(enabled)


def test_what_is_installed_works_from_where_it_lies(prefs: Path) -> None:
    done = lim("install", "--prefs", prefs)
    assert done.returncode == 0, done.stderr
    packages = prefs / "packages"
    described = json.loads((packages / "lim.json").read_bytes().decode("ascii"))
    assert described["env"][0] == {"LIM_HOUDINI": "$HOUDINI_PACKAGE_PATH/lim"}
    assert {"LIM_PYTHON": sys.executable} in described["env"]
    installed = list(find_libraries(packages / "lim"))
    assert len(installed) == 4
    assert [text for path in installed for text in check_library(path, strict=True)] == []
    show = "import lim_houdini.vendored, lim_client.connection, lim_usd; print(lim_houdini.__file__)"
    path = str(packages / "lim" / "python3.11libs")
    done = subprocess.run(
        [sys.executable, "-c", show], env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith(path)
    (packages / "lim" / "left over").touch()
    assert lim("install", "--prefs", prefs).returncode == 0
    assert not (packages / "lim" / "left over").exists(), "an older version leaves nothing behind"
    assert lim("uninstall", "--prefs", prefs).returncode == 0
    assert list(packages.iterdir()) == []
    assert "was not in" in lim("uninstall", "--prefs", prefs).stdout


def test_preferences_are_found_newest_first(tmp_path: Path) -> None:
    for name in ("houdini19.5", "houdini20.5", "houdini21.0", "houdini23.0", "houdini_old"):
        (tmp_path / name).mkdir()
    found = lim("install", HOME=str(tmp_path), HOUDINI_USER_PREF_DIR="").stdout
    assert [line.split("/")[-3] for line in found.splitlines() if line.startswith("installed")] == [
        "houdini21.0",
        "houdini20.5",
    ]
    empty = lim("install", HOUDINI_USER_PREF_DIR=str(tmp_path / "studio" / "h__HVER__"))
    assert empty.returncode == 2
    assert "--prefs" in empty.stderr
    assert version_of(tmp_path / "houdini_old") is None
    assert all(version_of(folder) for folder in preference_folders())


def test_the_doctor_names_what_is_missing_and_how_to_mend_it(prefs: Path, short_tmp: Path) -> None:
    home = {"LIM_RUNTIME_DIR": str(short_tmp / "run"), "LIM_SERVER": "", "LIM_PYTHON": ""}
    sick = lim("doctor", "--prefs", prefs, **home)
    assert sick.returncode == 1
    assert f"lim houdini install --prefs {prefs}" in sick.stdout
    lim("install", "--prefs", prefs)
    better = json.loads(lim("doctor", "--prefs", prefs, "--json", **home).stdout)
    assert [finding["what"] for finding in better if finding["mend"]] == ["pyzmq, msgpack", "server"]
    file = prefs / "packages" / "lim.json"
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    (prefs / "packages" / "lim" / "vendor" / "linux-x86_64-py311").mkdir(parents=True)
    marked = json.loads(lim("doctor", "--prefs", prefs, "--json", **{**home, "LIM_PYTHON": "/none/python"}).stdout)
    mend = {finding["what"]: finding["found"] for finding in marked if finding["mend"]}
    assert "byte order mark" in mend[str(file)]
    assert "No such file" in mend["server's Python"]


def test_what_is_vendored_is_what_nodes_look_for() -> None:
    target = Path("out")
    for platform in PLATFORMS:
        system, machine = platform.split("-")
        for python in PYTHONS:
            major, minor = map(int, python.split("."))
            command = pip_command(target, platform, python)
            assert vendor_name(system, machine, (major, minor)) == f"{platform}-py{major}{minor}"
            assert "--no-deps" in command and "--only-binary=:all:" in command
            assert not any(word.startswith(("numpy", "usd", "torch")) for word in command)
    assert lim("vendor", "--platform", "amiga").returncode == 2


@pytest.mark.parametrize("minor", [10, 13])
def test_the_light_side_is_written_for_the_pythons_of_houdini(minor: int) -> None:
    for name in LIBRARIES:
        for path in (Payload.here().libraries / name).rglob("*.py"):
            ast.parse(path.read_text(), str(path), feature_version=(3, minor))


def test_anybodys_assets_can_be_checked(tmp_path: Path) -> None:
    assert lim("check", ROOT / "houdini_otls").returncode == 0
    assert lim("check", tmp_path).returncode == 1
