"""python -m lim_server.training RECIPE: the door of training; `lim train` starts it."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from lim_server.training.recipes import RECIPES
from lim_server.training.train import Job, train


def main() -> None:
    """Reads the command line and trains."""
    parser = argparse.ArgumentParser("lim train", description="Train by a recipe, going on from where it stopped.")
    parser.add_argument("recipe", choices=sorted(RECIPES))
    parser.add_argument("--out", type=Path, required=True, help="folder of checkpoint, log and samples")
    parser.add_argument("--lrm", type=Path, help="LRM checkpoint that LIM is trained over")
    parser.add_argument("--start", type=Path, help="weights to begin with")
    parser.add_argument("--clips", type=Path, help="folder of own clips (lim clips)")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="stop after so many, with a checkpoint")
    parser.add_argument("--steps", type=int, help="instead of the recipe's")
    parser.add_argument("--decay", type=int, help="instead of the recipe's")
    parser.add_argument("--seed", type=int, help="instead of the recipe's")
    parser.add_argument("--device", default="cpu")
    given = parser.parse_args()
    recipe = RECIPES[given.recipe]()
    changed = {name: getattr(given, name) for name in ("steps", "decay", "seed") if getattr(given, name) is not None}
    if recipe.model != "lrm" and given.lrm is None:
        parser.error(f"{recipe.name} is trained over an LRM: give --lrm CHECKPOINT")
    for path in (given.lrm, given.start, given.clips):
        if path is not None and not path.exists():
            parser.error(f"{path}: no such file or folder")
    if given.clips is not None and not any(given.clips.glob("*.npz")):
        parser.error(f"{given.clips}: holds no clips. Make some with lim clips")
    job = Job(replace(recipe, **changed), given.out, given.lrm, given.start, given.clips, given.minutes, given.device)
    print(train(job))


if __name__ == "__main__":
    main()
