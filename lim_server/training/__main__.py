"""python -m lim_server.training RECIPE: the door of training; `lim train` starts it."""

from __future__ import annotations

import argparse
import math
import sys
from dataclasses import replace
from pathlib import Path

import torch

from lim_server.models.weights import BadWeights
from lim_server.training.data.clip import BadClip, read_clip
from lim_server.training.interrupt import Interrupt
from lim_server.training.memory import NoMemory
from lim_server.training.recipes import RECIPES
from lim_server.training.train import BadJob, Job, train

INSTEAD = ("steps", "decay", "seed", "batch")


def main() -> None:
    """Reads the command line and trains; a signal stops it after its step, with 128 and its number as exit code."""
    job = _job()
    try:
        with Interrupt() as interrupt:
            print(train(job, interrupt))
    except (BadJob, BadWeights, BadClip, NoMemory) as error:
        sys.exit(f"lim train: {error}")
    if interrupt.number:
        print(f"lim train: stopped by a signal; {job.folder} holds the checkpoint to go on from", file=sys.stderr)
        sys.exit(128 + interrupt.number)


def _job() -> Job:
    parser = argparse.ArgumentParser("lim train", description="Train by a recipe, going on from where it stopped.")
    parser.add_argument("recipe", choices=sorted(RECIPES))
    parser.add_argument("--out", type=Path, required=True, help="folder of checkpoint, log and samples")
    parser.add_argument("--lrm", type=Path, help="LRM checkpoint that LIM is trained over")
    parser.add_argument("--start", type=Path, help="weights to begin with")
    parser.add_argument("--clips", type=Path, help="folder of own clips (lim clips)")
    parser.add_argument("--minutes", type=float, default=math.inf, help="stop after so many, with a checkpoint")
    for name in INSTEAD:
        parser.add_argument(f"--{name}", type=int, help="instead of the recipe's")
    parser.add_argument(
        "--pace", type=float, default=1.0, help="times the recipe's rates: less than 1 goes on from good weights gently"
    )
    parser.add_argument("--device", default="cpu")
    given = parser.parse_args()
    if fault := _fault(given):
        parser.error(fault)
    changed = {name: getattr(given, name) for name in INSTEAD if getattr(given, name) is not None}
    recipe = replace(RECIPES[given.recipe](), **changed)
    recipe = replace(recipe, rate=recipe.rate * given.pace, muon=recipe.muon * given.pace)
    return Job(recipe, given.out, given.lrm, given.start, given.clips, given.minutes, given.device)


def _fault(given: argparse.Namespace) -> str:
    """What is wrong with the command line, if anything."""
    for name, least in (("steps", 1), ("decay", 0), ("seed", 0), ("batch", 1)):
        value = getattr(given, name)
        if value is not None and value < least:
            return f"--{name}: {value}. Use {least} or more"
    if not 0 < given.pace <= 1:
        return f"--pace: {given.pace}. Use a number from above 0 to 1"
    if not given.minutes > 0:
        return f"--minutes: {given.minutes}. Use a number above zero"
    if given.out.exists() and not given.out.is_dir():
        return f"--out: {given.out} is a file. Name a folder"
    if given.lrm is None and RECIPES[given.recipe]().model != "lrm":
        return f"{given.recipe} is trained over an LRM: give --lrm CHECKPOINT"
    for path in (given.lrm, given.start):
        if path is not None and not path.is_file():
            return f"{path}: no such file"
    return _clips_fault(given.clips) or _device_fault(given.device)


def _clips_fault(folder: Path | None) -> str:
    if folder is None:
        return ""
    files = sorted(folder.glob("*.npz"))
    if not files:
        return f"--clips: {folder} holds no clips. Make some with lim clips"
    try:
        for path in files:  # all now: a broken one would end the training when its turn comes
            read_clip(path)
    except BadClip as error:
        return f"--clips: {error}"
    return ""


def _device_fault(name: str) -> str:
    try:
        device = torch.device(name)
    except RuntimeError:
        return f"--device: {name} is none. Use cpu or cuda"
    if device.type == "cuda" and not torch.cuda.is_available():
        return f"--device: torch finds no {name} on this machine. Use cpu"
    return ""


if __name__ == "__main__":
    main()
