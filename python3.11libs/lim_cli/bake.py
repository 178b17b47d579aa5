"""`lim bake`: a tracked asset made compact, as a variant of itself or as one file for the web."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lim_cli.errors import BadInput
from lim_cli.server import JsonOption

if TYPE_CHECKING:
    from lim_usd.bake import Baked


def bake(
    asset: Annotated[Path, typer.Argument(metavar="ASSET.usd", help="The root of a tracked asset.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="OUT.glb", help="A glTF file with morph targets instead.")
    ] = None,
    error: Annotated[
        float, typer.Option(help="The most that a point may be off at any frame, in percent of the diagonal.")
    ] = 0.1,
    as_json: JsonOption = False,
) -> None:
    """Make a tracked asset compact: one joint and as few blend shapes as the error allows.

    Without --out the asset gains a variant set geoRep, where bake is the compact one and full, which stays chosen, is
    what was there. With it, the same motion is written as binary glTF for the web. The error is measured over every
    point of every frame and stands in the file. Track the asset again, and it must be baked again.
    """
    from lim_usd.bake import bake as bake_variant
    from lim_usd.bake import bake_glb
    from lim_usd.compact import ToleranceError
    from lim_usd.source import BadSource

    if not (math.isfinite(error) and error > 0):
        raise BadInput(f"--error: {error} percent. Use a number above zero, such as 0.1.")
    if out is not None and out.suffix != ".glb":
        raise BadInput(f"--out: {out} is no .glb. The compact USD is a variant of the asset: leave --out.")
    try:
        made = bake_variant(asset, error / 100) if out is None else bake_glb(asset, out, error / 100)
    except (BadSource, ToleranceError) as trouble:
        raise BadInput(
            f"{trouble}" if isinstance(trouble, BadSource) else f"--error: {trouble}. Allow more."
        ) from trouble
    print(json.dumps(_told(made), indent=1) if as_json else _text(made))


def _told(made: Baked) -> dict[str, object]:
    return {**vars(made), "path": str(made.path)}


def _text(made: Baked) -> str:
    return (
        f"{made.shapes} shapes for {made.frames} frames; off by {100 * made.error_max:.2g} % of the diagonal at most, "
        f"{100 * made.error_rms:.2g} % root mean square\n"
        f"wrote {made.path}: {made.bytes / 1e6:.2f} MB, where the master has {made.master_bytes / 1e6:.2f}"
    )
