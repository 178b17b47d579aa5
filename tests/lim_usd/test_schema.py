"""usd_schemas/: what is generated is what the source says, and every USD we serve takes it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from usd_assets import sheet, write

from lim_usd.provenance import Provenance

FOLDER = Path(__file__).parents[2] / "usd_schemas"
GENERATE = [sys.executable, "-m", "pxr.Usd.usdGenSchema", "--quiet"]


def generated(source: Path, into: Path, *more: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "USD_DISABLE_PRIM_DEFINITIONS_FOR_USDGENSCHEMA": "1"}
    command = [*GENERATE, *more, str(source), str(into)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_the_generated_files_are_those_of_the_source():
    assert generated(FOLDER / "schema.usda", FOLDER, "--validate").returncode == 0


def test_a_drift_would_be_seen(tmp_path: Path):
    for name in ("generatedSchema.usda", "plugInfo.json"):
        (tmp_path / name).write_text((FOLDER / name).read_text())
    source = (FOLDER / "schema.usda").read_text()
    (tmp_path / "schema.usda").write_text(source.replace("double lim:track:frame:conf", "float lim:track:frame:conf"))
    assert generated(tmp_path / "schema.usda", tmp_path, "--validate").returncode == 1


def test_the_library_is_codeless_and_has_applied_schemas_only():
    text = (FOLDER / "plugInfo.json").read_text()
    (plugin,) = json.loads(re.sub(r"^#.*$", "", text, flags=re.MULTILINE))["Plugins"]
    assert (plugin["Type"], plugin["Root"], plugin["LibraryPath"]) == ("resource", ".", "")
    types = plugin["Info"]["Types"]
    assert {each["schemaKind"] for each in types.values()} == {"singleApplyAPI"}
    assert all(name != each["schemaIdentifier"] for name, each in types.items()), "24.03 needs the alias"


LOOK = """
import sys
from pxr import Usd
stage = Usd.Stage.Open(sys.argv[1])
mesh, root = stage.GetPrimAtPath("/a/geo/mesh"), stage.GetDefaultPrim()
assert mesh.HasAPI("LimTrackAPI") and root.HasAPI("LimProvenanceAPI")
assert not root.CanApplyAPI("LimTrackAPI"), "of geometry only"
unit = mesh.GetAttribute("lim:track:lengthUnit")
assert unit.Get() == "sourceDiagonal" and not unit.HasAuthoredValue()
known = set(mesh.GetPrimDefinition().GetPropertyNames()) | set(root.GetPrimDefinition().GetPropertyNames())
ours = {p.GetName() for prim in (mesh, root) for p in prim.GetAuthoredProperties() if p.GetName().startswith("lim:")}
assert ours and ours <= known, ours - known
for name in ours:
    prim = mesh if mesh.HasAttribute(name) else root
    authored = prim.GetAttribute(name)
    defined = prim.GetPrimDefinition().GetAttributeDefinition(name) if hasattr(Usd.PrimDefinition, "Attribute") else 0
    assert not defined or defined.GetTypeName() == authored.GetTypeName(), name
"""


@pytest.mark.parametrize("python", [sys.executable, *os.environ.get("LIM_USD_PYTHONS", "").split()])
def test_every_attribute_written_is_in_the_schema(tmp_path: Path, python: str):
    """More interpreters, with other versions of OpenUSD, may be named in LIM_USD_PYTHONS."""
    provenance = Provenance("geometry", "m", "w", "r", [("rest.obj", 1.0, "00")])
    write(tmp_path / "a.usd", sheet(), provenance=provenance)
    environment = {**os.environ, "PXR_PLUGINPATH_NAME": str(FOLDER)}
    result = subprocess.run(
        [python, "-c", LOOK, tmp_path / "a.usd"], env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
