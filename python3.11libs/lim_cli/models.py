"""`lim train` and `lim eval`: the doors of training and evaluation, in the server's own Python."""

from __future__ import annotations

import os
import subprocess
import sys

import typer

from lim_cli.errors import BadInput

AS_THEY_ARE = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
"""All words go on to the process, --help too."""
NEEDED = ("torch", "numpy", "safetensors", "jaxtyping", "lim_server")


def train(context: typer.Context) -> None:
    """Train a model by a recipe, going on from where it stopped. lim train --help tells the options."""
    _become("train", "lim_server.training", context.args)


def evaluate(context: typer.Context) -> None:
    """Judge trained models by sequences they have never seen. lim eval --help tells the options."""
    _become("eval", "lim_server.evaluation", context.args)


def _become(command: str, module: str, words: list[str]) -> None:
    python = os.environ.get("LIM_PYTHON") or sys.executable
    if missing := _missing(python):
        raise BadInput(
            f"lim {command}: {python} has no {missing}, which training and evaluation need. Install them there with: "
            "pip install 'lim[server]'. Or set LIM_PYTHON to a Python that has them."
        )
    os.execv(python, [python, "-m", module, *words])


def _missing(python: str) -> str:
    """What that Python lacks, in words; nothing is imported, which would take seconds."""
    look = f"import importlib.util as i; print(*(n for n in {NEEDED!r} if i.find_spec(n) is None))"
    try:
        found = subprocess.run([python, "-c", look], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise BadInput(f"LIM_PYTHON: {python} cannot be run ({error}). Name a Python.") from None
    return ", ".join(found.stdout.split())
