"""The whole demo: `python -m examples.creature FOLDER` makes keyframes, tracks them, draws and measures the result."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from rich.console import Console

from examples.creature.contact_sheet import contact_sheet
from examples.creature.make import made_once
from examples.creature.measure import read_keys, read_tracked, read_truth
from examples.creature.motion import FPS
from examples.creature.report import report


def main() -> int:
    """The command line; the exit status is that of `lim track`."""
    parser = argparse.ArgumentParser(description="Make, track, draw and measure the demo's creature.")
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    console = Console()
    demo = made_once(folder / "keys")
    console.print(f"keyframes: {', '.join(str(key) for key in demo.keys)}", soft_wrap=True)
    words, out = [str(key) for key in demo.keys], folder / "creature.usd"
    command = [sys.executable, "-m", "lim_cli", "track", *words, "-o", str(out), "--fps", f"{FPS:g}"]
    if status := subprocess.run(command).returncode:
        return status
    tracked, keys, truth = read_tracked(out), read_keys(words), read_truth(demo.truth)
    sheet = folder / "contact_sheet.png"
    contact_sheet(tracked, keys, truth, out.name).save(sheet)
    console.print(report(tracked, keys, truth))
    console.print(f"contact sheet: {sheet}", soft_wrap=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
