"""A page of results: the table, the machine it was measured on, the day, and the command that makes it again."""

from __future__ import annotations

import datetime
import os
import platform
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


def write_page(name: str, title: str, text: str, command: str) -> None:
    """Print the page and keep it as benchmarks/results/NAME.md."""
    today = datetime.date.today().isoformat()
    machine = f"{processor()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    page = f"# {title}\n\n{text}\n\nMachine: {machine}; {today}.\nCommand: `{command}`\n"
    print(page)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.md").write_text(page)


def processor() -> str:
    """The processor's name as the system tells it."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":")[1].strip()
    return platform.processor() or platform.machine()
