"""Our own checkpoints: safetensors, with all that is to be known about the weights in the header."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from lim_server.models.lim import Lim
from lim_server.models.lrm import Lrm
from lim_server.models.presets import PRESETS, Preset

FORMAT = "lim-1"


class BadWeights(ValueError):
    """A checkpoint that cannot be used; the message names the file, what was found and what to do."""


@dataclass(frozen=True)
class Card:
    """What a checkpoint says about itself.

    model    lrm, lim or lim-xyz
    preset   name of its size; lim_blocks where they differ from the preset's own
    recipe   the recipe that made it, as a dictionary
    step     steps taken
    scores   what it reached, by name
    lrm      digest of the LRM that a LIM was trained over, else empty
    """

    model: str
    preset: str
    recipe: Mapping[str, Any]
    step: int
    scores: Mapping[str, float]
    lrm: str = ""
    lim_blocks: int | None = None

    def size(self) -> Preset:
        """The preset, with what differs replaced."""
        preset = PRESETS[self.preset]()
        return preset if self.lim_blocks is None else replace(preset, lim_blocks=self.lim_blocks)


def digest(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over names, shapes and values."""
    total = hashlib.sha256()
    for name in sorted(tensors):
        value = tensors[name].detach().cpu().contiguous()
        total.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        total.update(value.flatten().view(torch.uint8).numpy().tobytes())
    return total.hexdigest()


def save_weights(path: Path, module: nn.Module, card: Card) -> str:
    """Written whole or not at all; returns the digest."""
    return save_tensors(path, {name: value.detach() for name, value in module.state_dict().items()}, card)


def save_tensors(path: Path, tensors: Mapping[str, Tensor], card: Card) -> str:
    """A module's weights by name."""
    tensors = {name: value.cpu().contiguous() for name, value in tensors.items()}
    found = digest(tensors)
    header = {"format": FORMAT, "sha256": found, "card": json.dumps(asdict(card))}
    write_whole(path, save(tensors, metadata=header))
    return found


def write_whole(path: Path, data: bytes) -> None:
    """Under another name first, then moved into place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())  # a name must not outlive, over a power cut, what it names
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def read_card(path: Path) -> tuple[Card, str]:
    """What a checkpoint says about itself, and its digest; BadWeights where it is none of ours."""
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise BadWeights(f"{path}: cannot be read as safetensors ({error}). Give a checkpoint of LIM.") from error
    if header.get("format") != FORMAT:
        raise BadWeights(f"{path}: safetensors, but no checkpoint of LIM ({FORMAT}).")
    try:
        return Card(**json.loads(header["card"])), header["sha256"]
    except (KeyError, TypeError, ValueError) as error:
        raise BadWeights(f"{path}: its header is not whole ({error!r}). Fetch it again.") from error


def read_tensors(path: Path, sha256: str) -> dict[str, Tensor]:
    """Every tensor, checked against the digest."""
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    if digest(tensors) != sha256:
        raise BadWeights(f"{path}: damaged, its values do not match the digest in its header. Fetch it again.")
    return tensors


def load_lrm(path: Path, preset: str | None = None) -> tuple[Lrm, str]:
    """An LRM and its digest, in evaluation mode."""
    card, sha256 = read_card(path)
    _expect(path, card, ("lrm",), preset)
    lrm = Lrm(card.size())
    _fill(path, lrm, read_tensors(path, sha256))
    return lrm.eval().requires_grad_(False), sha256


def load_lim(path: Path, lrm: Lrm, lrm_sha256: str) -> Lim:
    """A LIM or its twin over the LRM that it was trained with."""
    card, sha256 = read_card(path)
    _expect(path, card, ("lim", "lim-xyz"), lrm.preset.name)
    if card.lrm != lrm_sha256:
        raise BadWeights(f"{path}: was trained over another LRM ({card.lrm[:12]}, given is {lrm_sha256[:12]}).")
    lim = Lim(lrm, blocks=card.lim_blocks, twin=card.model == "lim-xyz")
    _fill(path, lim, read_tensors(path, sha256))
    return lim.eval().requires_grad_(False)


def begin_from(path: Path, model: Lrm | Lim, models: tuple[str, ...]) -> None:
    """Weights to train on from; a twin's tag that they lack, and what is the LRM's in LIM, keep their values."""
    card, sha256 = read_card(path)
    _expect(path, card, models, model.preset.name)
    own = model.state_dict()
    tag = {name: value for name, value in own.items() if name == "tag"}
    parts = ("head.", "ahead.", "sway.carve.") if isinstance(model, Lim) else ()
    kept = {name: value for name, value in own.items() if name.startswith(parts)}
    given = {name: value for name, value in read_tensors(path, sha256).items() if name != "tag" or tag}
    _fill(path, model, tag | given | kept)


def _expect(path: Path, card: Card, models: tuple[str, ...], preset: str | None) -> None:
    if card.model not in models:
        raise BadWeights(f"{path}: holds the model {card.model}, wanted is {' or '.join(models)}.")
    if card.preset not in PRESETS or preset not in (None, card.preset):
        raise BadWeights(f"{path}: is of preset {card.preset}, wanted is {preset or ', '.join(PRESETS)}.")


def _fill(path: Path, module: nn.Module, tensors: dict[str, Tensor]) -> None:
    own = module.state_dict()
    wrong = sorted(own.keys() ^ tensors.keys()) or [n for n in own if own[n].shape != tensors[n].shape]
    if wrong:
        raise BadWeights(f"{path}: {wrong[0]} does not fit the preset. Was it made by another version?")
    module.load_state_dict(tensors)
