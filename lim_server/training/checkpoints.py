"""A training's own checkpoint: all that its next step depends on, so that it goes on to the same bits."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn

from lim_server.models.weights import BadWeights, write_whole
from lim_server.training.recipes import Recipe
from lim_server.training.steps import Steps

LATEST = "latest.safetensors"
MUST_AGREE = {"model": None, "preset": None, "lim_blocks": None, "flow": False}
"""What of the recipe a checkpoint's tensors depend on, and what it is where one says nothing of it.

All else may change from run to run.
"""


def write_checkpoint(folder: Path, model: nn.Module, steps: Steps, step: int, recipe: Recipe, lrm_sha256: str) -> None:
    """The model's weights and all that its optimizers remember, whole or not at all."""
    tensors = {f"model.{name}": value.cpu().contiguous() for name, value in model.state_dict().items()}
    for which, (optimizer, _) in enumerate(steps.all):
        for index, held in optimizer.state_dict()["state"].items():
            tensors |= {f"state.{which}.{index}.{name}": value.cpu().contiguous() for name, value in held.items()}
    header = {"step": str(step), "recipe": json.dumps(asdict(recipe)), "lrm": lrm_sha256}
    write_whole(folder / LATEST, save(tensors, metadata=header))


def read_checkpoint(folder: Path, model: nn.Module, steps: Steps, recipe: Recipe, lrm_sha256: str) -> int:
    """Fills model and optimizers; returns the steps taken, 0 where there is no checkpoint yet."""
    path = folder / LATEST
    if not path.exists():
        return 0
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
        step = int(header["step"])
        _expect(path, json.loads(header["recipe"]), header["lrm"], recipe, lrm_sha256)
        tensors = load_file(path)
        model.load_state_dict({n.removeprefix("model."): t for n, t in tensors.items() if n.startswith("model.")})
    except (SafetensorError, OSError, KeyError, RuntimeError, json.JSONDecodeError) as error:
        raise BadWeights(f"{path}: cannot be gone on from ({error}). Move it away to begin anew.") from error
    for which, (optimizer, _) in enumerate(steps.all):
        groups = optimizer.state_dict()["param_groups"]
        optimizer.load_state_dict({"state": _state(tensors, f"state.{which}."), "param_groups": groups})
    return step


def _state(tensors: Mapping[str, Tensor], under: str) -> dict[int, dict[str, Tensor]]:
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith(under):
            index, part = name.removeprefix(under).split(".", 1)
            state.setdefault(int(index), {})[part] = value
    return state


def _expect(path: Path, made: Mapping[str, Any], lrm: str, recipe: Recipe, lrm_sha256: str) -> None:
    for name, before in MUST_AGREE.items():
        if made.get(name, before) != getattr(recipe, name):
            raise BadWeights(
                f"{path}: was made with {name} {made.get(name, before)}, {recipe.name} has {getattr(recipe, name)}. "
                "Give the recipe an --out of its own."
            )
    if lrm != lrm_sha256:
        raise BadWeights(
            f"{path}: was trained over another LRM ({lrm[:12]}, given is {lrm_sha256[:12]}). "
            "Give that one as --lrm, or another --out."
        )
