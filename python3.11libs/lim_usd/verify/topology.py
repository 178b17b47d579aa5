"""Which meshes of a stage keep their topology, and which do not: what motion blur, caches and simulations ask."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Topology:
    """One mesh over all its frames.

    kind     static: faces written once. sampled: written many times, always the same, so hosts that go by the file
             and not by the values take it for varying. varying: faces change
    points   least and most, and `faces` of the first frame
    changes  at how many frames the faces are others than before
    """

    prim: str
    kind: str
    frames: int
    first: float
    last: float
    points: tuple[int, int]
    faces: int
    changes: int
    skinned: bool

    def __str__(self) -> str:
        least, most = self.points
        count = f"{least:,}" if least == most else f"{least:,} to {most:,}"
        moves = f"{self.frames} frames {self.first:g} to {self.last:g}" if self.frames > 1 else "one pose"
        words = {
            "static": "consistent topology",
            "sampled": "consistent topology, but sampled over time: write the faces once",
            "varying": f"VARYING topology, {self.changes} changes",
        }[self.kind]
        return f"{self.prim}: {words}; {count} points, {self.faces:,} faces, {moves}" + (
            ", skinned" if self.skinned else ""
        )
