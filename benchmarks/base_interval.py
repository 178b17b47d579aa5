"""The paper's size at work, with random weights: one interval of two keys, 24 times between them.

    python -m benchmarks.base_interval [--device cuda] [--preset base]

Parameters beside the paper's, floating point operations as counted by torch, seconds and memory, and the share of what
the machine reaches in a plain matrix product in the same run.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.page import write_page
from lim_server.models.lim import Interval, Lim
from lim_server.models.lrm import Lrm
from lim_server.models.presets import PRESETS
from lim_server.render.cameras import Cameras, ring

TIMES, AT_ONCE = 24, 4


def _count(module: nn.Module) -> float:
    return sum(weight.numel() for weight in module.parameters()) / 1e6


def _seconds(work: Callable[[], object], device: str, runs: int) -> float:
    best = float("inf")
    for _ in range(runs):
        start = time.perf_counter()
        work()
        if device != "cpu":
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - start)
    return best


def _product(dtype: torch.dtype, device: str) -> float:
    """Floating point operations per second of a plain product."""
    n = 2048 if device == "cpu" else 8192
    a, b = torch.randn(2, n, n, device=device, dtype=dtype)
    return 2 * n**3 / _seconds(lambda: a @ b, device, 5)


@torch.inference_mode()
def main() -> None:
    """Builds, counts, times."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--preset", default="base", choices=sorted(PRESETS))
    given = parser.parse_args()
    device, preset = given.device, PRESETS[given.preset]()
    dtype = torch.float32 if device == "cpu" else torch.bfloat16
    torch.manual_seed(0)
    lrm = Lrm(preset).to(device, dtype)
    lim = Lim(lrm).to(device, dtype)
    rig = ring().to(device)
    cameras = Cameras(*(c[None].to(dtype) for c in (rig.world, rig.focal, rig.centre)))
    colour = torch.rand(1, 4, 3, preset.size, preset.size, device=device, dtype=dtype)
    mask = torch.ones_like(colour[:, :, :1])
    near, (far, carved) = lrm(colour, mask, cameras), lrm.encoder.see(colour, mask, cameras)
    cells = [c for c in (near.carved, carved) if c is not None]
    alphas = torch.linspace(0, 1, TIMES + 2, device=device, dtype=dtype)[1:-1]

    def interval() -> Interval:
        return lim.interval(near.features, far, carved=cells)

    def between() -> list[Tensor]:
        ready = interval()
        return [lim(ready, some).planes for some in alphas.split(TIMES if device != "cpu" else AT_ONCE)]

    with FlopCounterMode(display=False) as of_key:
        lrm(colour, mask, cameras)
    with FlopCounterMode(display=False) as of_between:
        between()
    runs = 1 if device == "cpu" else 5
    key_seconds = _seconds(lambda: lrm(colour, mask, cameras), device, runs)
    seconds, peak = _seconds(between, device, runs), _product(dtype, device)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    if device != "cpu":
        memory = torch.cuda.max_memory_allocated() / 2**30
    flops = of_between.get_total_flops()
    block = _count(lim.blocks) / preset.lim_blocks
    text = f"""| what | here | the paper |
|---|---|---|
| LRM, blocks | {preset.blocks} of width {preset.width}, {_count(lrm.blocks):.1f} M parameters | 12 of 1024 |
| LRM, all with image encoder | {_count(lrm):.1f} M | not told |
| LIM, blocks | {preset.lim_blocks}, {block:.1f} M each, {_count(lim.blocks):.1f} M | 6 |
| triplane tokens | 3 x {preset.tokens} x {preset.tokens} | not told |
| LRM, one key of 4 views | {of_key.get_total_flops() / 1e12:.2f} TFLOP, {key_seconds:.2f} s | not told |
| LIM, {TIMES} times of one interval | {flops / 1e12:.2f} TFLOP, {seconds:.2f} s, \
{seconds / TIMES * 1e3:.1f} ms each | not told |
| share of a plain matrix product's {peak / 1e12:.2f} TFLOP/s | {flops / seconds / peak:.2f} | |
| memory | {memory:.1f} GiB | not told |

Keys and values of features and images are computed once per interval; {dtype} on {device}, \
{torch.get_num_threads()} threads."""
    command = f"python -m benchmarks.base_interval --device {device} --preset {preset.name}"
    write_page(f"base_interval_{device}", f"One interval at the size of {preset.name}, random weights", text, command)


if __name__ == "__main__":
    main()
