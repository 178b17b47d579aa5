"""What `lim track` says when it is done."""

from __future__ import annotations

from typing import Any

from lim_cli.frames import frame_text

POOR_RESIDUAL = 0.01
POOR_CONFIDENCE = 0.5
HEAD = ("key", "residual %", "p95 %", "coverage %", "confidence", "")


def key_table(keys: list[dict[str, Any]]) -> list[str]:
    """Lines of a table of the keyframes with how well each was met; none without keys."""
    if not keys:
        return []
    rows = [HEAD, *map(_key_row, keys)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEAD))]
    return ["  ".join(word.rjust(width) for word, width in zip(row, widths)).rstrip() for row in rows]


def is_doubtful(key: dict[str, Any]) -> bool:
    """Should a person look at this keyframe?"""
    poor = key["residual_mean"] > POOR_RESIDUAL or key["coverage_p95"] > 5 * POOR_RESIDUAL
    return bool(poor or key["confidence"] < POOR_CONFIDENCE)


def summary_text(result: dict[str, Any]) -> str:
    """A table of the keyframes with how well each was met, then files and times."""
    frames, seconds = result["frames"], result["seconds"]
    server = ", ".join(f"{name} {value:.2f}" for name, value in seconds["server"].items())
    client = ", ".join(f"{name} {value:.2f}" for name, value in seconds["client"].items())
    return "\n".join(
        [
            *key_table(result["keys"]),
            "(distances in percent of the source's diagonal: from the tracked points to the key's surface, and back)",
            "",
            f"{result['points']:,} points, {result['faces']:,} faces, {frames['count']} frames "
            f"{frame_text(frames['first'])} to {frame_text(frames['last'])}, method {result['method']}",
            f"seconds here: {client}",
            f"seconds on the server{' (when it was computed)' if result['from_cache'] else ''}: {server}",
            *(f"wrote {path}" for path in result["files"]),
        ]
    )


def _key_row(key: dict[str, Any]) -> tuple[str, ...]:
    distances = (f"{100 * key[name]:.3f}" for name in ("residual_mean", "residual_p95", "coverage_p95"))
    words = f"look at this one: {key['name']}" if is_doubtful(key) else key["name"]
    return (frame_text(key["time"]), *distances, f"{key['confidence']:.2f}", words)
