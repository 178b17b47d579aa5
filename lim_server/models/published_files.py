"""Reads published LRM weights in their own files: TripoSR's model.ckpt, InstantMesh's instant_nerf_base.ckpt.

Which model a file holds is found by its keys, which size by the shapes of its tensors. Only tensors are unpickled.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from lim_server.models.instantmesh import InstantNerf, InstantNerfSize
from lim_server.models.published import PublishedLrm
from lim_server.models.triposr import Triposr
from lim_server.models.weights import BadWeights

WANTED = "Give TripoSR's model.ckpt (config.yaml may lie beside it) or InstantMesh's instant_nerf_base.ckpt"
PREFIX = "lrm_generator."
"""InstantMesh's files are whole training modules, this part of which is the model."""


@dataclass(frozen=True)
class Release:
    """A published size of a model: known by `mark`, a key that no other model has."""

    name: str
    mark: str
    make: Callable[[], PublishedLrm]


RELEASES = (
    Release("TripoSR", "tokenizer.embeddings", Triposr),
    Release("InstantMesh instant_nerf_base", "transformer.deconv.weight", InstantNerf),
    Release(
        "InstantMesh instant_nerf_large",
        "transformer.deconv.weight",
        lambda: InstantNerf(InstantNerfSize(blocks=16, channels=80)),
    ),
)

TRIPOSR_SETTINGS = {
    "cond_image_size": "512",
    "num_attention_heads": "16",
    "activation": "silu",
    "radius": "0.87",
    "feature_reduction": "concat",
    "density_activation": "exp",
    "density_bias": "-1.0",
    "color_activation": "sigmoid",
}
"""What TripoSR's config.yaml says that the shapes of its tensors do not."""


def load_published(
    path: Path, releases: Sequence[Release] = RELEASES, device: str | torch.device = "cpu"
) -> PublishedLrm:
    """The model in a file, or in a folder with model.ckpt in it; in evaluation mode, float32.

    BadWeights names the file, what was found and what to do: it cannot be read or is damaged, holds another model,
    lacks a tensor, has one too many or one of another shape, or values that are not finite.
    """
    path = path / "model.ckpt" if path.is_dir() else path
    tensors = _model_of(_read(path))
    known = [release for release in releases if release.mark in tensors]
    if not known:
        few = ", ".join(sorted(tensors)[:3]) or "no tensor"
        raise BadWeights(f"{path}: no published LRM that is known; found {few}. {WANTED}.")
    faults = {}
    for release in known:
        with torch.device("meta"):
            model = release.make()
        faults[release.name] = _misfits(model, tensors)
        if not faults[release.name]:
            _check(path, release, tensors)
            return _filled(model, tensors, device)
    name, worst = min(faults.items(), key=lambda item: len(item[1]))
    raise BadWeights(f"{path}: does not fit {name}: {worst[0]}; {len(worst)} tensors in all. {WANTED}, as published.")


def _read(path: Path) -> Mapping[Any, Any]:
    """Whatever mapping the file holds, or the one that a training run saved as state_dict within."""
    found: object
    try:
        if path.suffix == ".safetensors":
            found = load_file(path)
        else:
            _sound(path)
            found = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise BadWeights(f"{path}: not there. {WANTED}.") from error
    except Exception as error:  # what a damaged pickle raises can be anything
        why = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise BadWeights(
            f"{path}: cannot be read as weights ({why}): cut off, damaged, or more than tensors. Fetch it again; if it "
            "is whole, save its tensors alone, under the same names, as safetensors."
        ) from error
    if isinstance(found, Mapping) and "state_dict" in found:
        found = found["state_dict"]
    if not isinstance(found, Mapping):
        raise BadWeights(f"{path}: holds a {type(found).__name__}, no tensors by name. {WANTED}.")
    return found


def _sound(path: Path) -> None:
    """The checksums that a checkpoint, a ZIP of tensors, carries: torch itself does not look at them."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as parts:
            bad = parts.testzip()
        if bad is not None:
            raise zipfile.BadZipFile(f"the checksum of {bad} does not match")


def _model_of(found: Mapping[Any, Any]) -> dict[str, Tensor]:
    """The model's own tensors by its own names."""
    named = {str(name): value for name, value in found.items() if isinstance(value, Tensor)}
    part = {name.removeprefix(PREFIX): value for name, value in named.items() if name.startswith(PREFIX)}
    return part or named


def _misfits(model: PublishedLrm, tensors: Mapping[str, Tensor]) -> list[str]:
    """What is wrong with each tensor that does not fit, most telling first."""
    own = model.state_dict()
    missing = [f"{name} is missing" for name in own if name not in tensors]
    wrong = [
        f"{name} is {list(tensors[name].shape)}, wanted {list(value.shape)}"
        for name, value in own.items()
        if name in tensors and tensors[name].shape != value.shape
    ]
    return missing + wrong + [f"{name} is not known" for name in tensors if name not in own]


def _check(path: Path, release: Release, tensors: Mapping[str, Tensor]) -> None:
    for name, value in tensors.items():
        if not (value.is_floating_point() and bool(value.isfinite().all())):
            raise BadWeights(f"{path}: damaged, {name} has values that are no finite numbers. Fetch it again.")
    config = path.with_name("config.yaml")
    if release.mark != RELEASES[0].mark or not config.exists():
        return
    for setting, published in TRIPOSR_SETTINGS.items():
        said = re.search(rf"^\s*{setting}:\s*[\"']?([^\s\"'#]+)", config.read_text(errors="replace"), re.MULTILINE)
        if said is not None and said[1] != published:
            raise BadWeights(f"{config}: {setting} is {said[1]}, only {published} (as published) is known.")


def _filled(model: PublishedLrm, tensors: Mapping[str, Tensor], device: str | torch.device) -> PublishedLrm:
    own = {name: value.to(device, torch.float32) for name, value in tensors.items()}
    model.load_state_dict(own, assign=True)
    return model.eval().requires_grad_(False)
