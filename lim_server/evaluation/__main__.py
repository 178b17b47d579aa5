"""python -m lim_server.evaluation: the door of evaluation; `lim eval` starts it."""

from __future__ import annotations

import argparse
import os
import platform
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from lim_server.evaluation.evaluate import Job, evaluate
from lim_server.evaluation.lpips import load_lpips
from lim_server.evaluation.report import Made, as_json, as_markdown
from lim_server.models.lim import Lim
from lim_server.models.lrm import Lrm
from lim_server.models.weights import BadWeights, load_lim, load_lrm, read_card, write_whole
from lim_server.training.data.clip import BadClip, read_clip

LIM, DIRECT = "LIM", "LIM without L_causal"
BAD_INPUT = 2


def main(words: Sequence[str] | None = None) -> None:
    """Reads the command line, evaluates, and writes results.md, results.json and picture.png."""
    words = sys.argv[1:] if words is None else words
    parser = _parser()
    given = parser.parse_args(words)
    if fault := _fault(given):
        parser.error(fault)
    try:
        job, members = _job(given)
    except BadWeights as error:
        print(f"lim eval: {error}", file=sys.stderr)
        sys.exit(BAD_INPUT)
    begun = time.monotonic()
    result, pictures = evaluate(job)
    made = _made(shlex.join(["lim", "eval", *words]), given, job, time.monotonic() - begun)
    markdown = as_markdown(result, made, {LIM: members}, pictures.rows)
    write_whole(given.out / "picture.png", pictures.drawn())
    write_whole(given.out / "results.json", as_json(result, made).encode())
    write_whole(given.out / "results.md", markdown.encode())
    print(given.out / "results.md")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "lim eval", description="Judge an LRM, and LIMs over it, by sequences that no training has seen."
    )
    parser.add_argument("--lrm", type=Path, required=True, metavar="FILE", help="LRM checkpoint")
    parser.add_argument(
        "--lim", type=Path, nargs="+", default=[], metavar="FILE", help="LIM; more of them: trained from other seeds"
    )
    parser.add_argument("--lim-nocausal", type=Path, metavar="FILE", help="LIM trained without L_causal")
    parser.add_argument("--lim-short", type=Path, metavar="FILE", help="LIM of fewer blocks")
    parser.add_argument("--xyz", type=Path, metavar="FILE", help="LIM's twin for canonical coordinates")
    parser.add_argument("--lpips", type=Path, metavar="FILE", help="weights of LPIPS; without them its column is empty")
    parser.add_argument("--clips", type=Path, metavar="FOLDER", help="clips to judge by, instead of made-up ones")
    parser.add_argument("--sequences", type=int, default=40, metavar="N", help="to judge by")
    parser.add_argument("--validation", type=int, default=16, metavar="N", help="others, to choose thresholds on")
    parser.add_argument("--views", type=int, default=2, metavar="N", help="novel views to render each from")
    parser.add_argument("--seed", type=int, default=0, help="of the sequences")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="for results and picture")
    return parser


def _fault(given: argparse.Namespace) -> str:
    """What is wrong with the command line, if anything."""
    for name in ("sequences", "validation", "views"):
        if getattr(given, name) < 1:
            return f"--{name}: {getattr(given, name)}. Use 1 or more"
    if not 0 <= given.seed < 10**6:
        return f"--seed: {given.seed}. Use 0 to 999999"
    if given.out.exists() and not given.out.is_dir():
        return f"--out: {given.out} is a file. Name a folder"
    one = {"--lrm": given.lrm, "--lim-nocausal": given.lim_nocausal, "--lim-short": given.lim_short}
    one |= {"--xyz": given.xyz, "--lpips": given.lpips}
    for option, path in [*one.items(), *(("--lim", path) for path in given.lim)]:
        if path is not None and not path.is_file():
            return f"{option}: {path}: no such file"
    if given.clips is not None and (fault := _clips_fault(given.clips)):
        return f"--clips: {fault}"
    return _device_fault(given.device)


def _clips_fault(folder: Path) -> str:
    files = sorted(folder.glob("*.npz"))
    try:
        for path in files:  # all now: a broken one would end the evaluation when its turn comes
            read_clip(path)
    except BadClip as error:
        return str(error)
    return "" if files else f"{folder} holds no clips. Make some with lim clips"


def _device_fault(name: str) -> str:
    try:
        device = torch.device(name)
    except RuntimeError:
        return f"--device: {name} is none. Use cpu or cuda"
    if device.type == "cuda" and not torch.cuda.is_available():
        return f"--device: torch finds no {name} on this machine. Use cpu"
    return ""


def _job(given: argparse.Namespace) -> tuple[Job, list[str]]:
    """The models in their rows, and the names of the rows that differ by their training's seed only."""
    lrm, sha256 = load_lrm(given.lrm)
    lrm.to(given.device)
    lims: dict[str, Lim] = {}
    if given.lim_nocausal:
        lims[DIRECT] = _lim(given.lim_nocausal, lrm, sha256, given.device)
    if given.lim_short:
        short = _lim(given.lim_short, lrm, sha256, given.device)
        lims[f"LIM with {len(short.blocks)} of {lrm.preset.lim_blocks} blocks"] = short
    members = [_name(path, given.lim) for path in given.lim]
    for name, path in zip(members, given.lim, strict=True):
        lims[name] = _lim(path, lrm, sha256, given.device)
    twin = _lim(given.xyz, lrm, sha256, given.device, twin=True) if given.xyz else None
    job = Job(
        lrm,
        lims,
        lims[members[0]] if members else None,
        twin,
        load_lpips(given.lpips) if given.lpips else None,
        given.sequences,
        given.validation,
        given.views,
        given.clips,
        given.seed,
        given.device,
    )
    return job, members


def _name(path: Path, among: list[Path]) -> str:
    seed = read_card(path)[0].recipe.get("seed", 0)
    return LIM if path == among[0] else f"{LIM}, training seed {seed} ({path.name})"


def _lim(path: Path, lrm: Lrm, sha256: str, device: str, *, twin: bool = False) -> Lim:
    wanted, found = "lim-xyz" if twin else "lim", read_card(path)[0].model
    if found != wanted:
        raise BadWeights(f"{path}: holds the model {found}, wanted is {wanted}.")
    return load_lim(path, lrm, sha256).to(device)


def _made(command: str, given: argparse.Namespace, job: Job, seconds: float) -> Made:
    paths = [given.lrm, given.lim_nocausal, given.lim_short, *given.lim, given.xyz]
    lines = []
    for path in (path for path in paths if path is not None):
        card, sha256 = read_card(path)
        lines.append(f"{path.name}: {card.model}, preset {card.preset}, {card.step} steps, sha256 {sha256}")
    source = f"seeds that no training draws (--seed {job.seed})" if job.clips is None else f"clips of {job.clips.name}"
    chip = torch.cuda.get_device_name(job.device) if job.device.startswith("cuda") else platform.machine()
    machine = f"{chip}, {torch.get_num_threads()} of {os.cpu_count()} threads, torch {torch.__version__}"
    lpips = job.lpips.name if job.lpips else ""
    return Made(
        command,
        machine,
        seconds,
        lines,
        job.sequences,
        job.validation,
        job.views,
        source,
        lpips,
    )


if __name__ == "__main__":
    main()
