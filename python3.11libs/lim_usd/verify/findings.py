"""What is wrong with an asset: each thing once, with all frames it is seen at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

_GAP = 1.5  # frames this close are told as a run


@dataclass
class Finding:
    """One thing that is wrong.

    code   what kind of thing, for programs: stable, in lower case with dashes
    where  path of the prim, property or file
    what   what was found; at the first frame where it is one of frames
    fix    what to do about it
    times  the frames it is seen at; empty for what does not depend on time
    """

    code: str
    where: str
    what: str
    fix: str
    times: list[float] = field(default_factory=list)

    def __str__(self) -> str:
        at = f" at {frames_text(self.times)}" if self.times else ""
        return f"{self.code}: {self.where}{at}: {self.what}. {self.fix}"


class Findings:
    """Gathers what the checks find."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], Finding] = {}

    def add(self, code: str, where: object, what: str, fix: str, time: float | None = None) -> None:
        """Note one thing; told again of the same kind and place, only its frame is added."""
        finding = self._found.setdefault((code, str(where)), Finding(code, str(where), what, fix))
        if time is not None and time not in finding.times:
            finding.times.append(time)

    def has(self, code: str, where: object) -> bool:
        """Whether such a thing was noted of a place."""
        return (code, str(where)) in self._found

    def all(self) -> list[Finding]:
        """Everything, in the order it was found."""
        return list(self._found.values())


def frames_text(times: Sequence[float]) -> str:
    """Frames as a person writes them: `frames 3-5, 9`."""
    runs: list[list[float]] = []
    for time in sorted(times):
        if runs and time - runs[-1][1] <= _GAP:
            runs[-1][1] = time
        else:
            runs.append([time, time])
    words = [f"{first:g}" if first == last else f"{first:g}-{last:g}" for first, last in runs[:6]]
    more = f" and {len(runs) - 6} more runs" if len(runs) > 6 else ""
    return f"frame{'s' if len(times) > 1 else ''} {', '.join(words)}{more}"
