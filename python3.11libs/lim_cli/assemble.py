"""`lim assemble`: whether all chunks of an asset are there, and if so, the asset whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lim_cli.errors import BadInput
from lim_cli.server import JsonOption

if TYPE_CHECKING:
    from lim_usd.assemble import Assembly

MISSING = 1


def assemble(
    asset: Annotated[Path, typer.Argument(metavar="ASSET.usd", help="The root that was written with --chunk.")],
    as_json: JsonOption = False,
) -> None:
    """Check that every chunk of an asset is there, and write what they know of the whole range into its root.

    Exit code 0 when the asset is whole, 1 when chunks are missing or damaged: each is named. Chunks are left as
    they are, and missing ones show nothing rather than something made up, so an asset can be looked at while it grows.
    """
    from lim_usd.assemble import assemble as join
    from lim_usd.source import BadSource

    try:
        state = join(asset)
    except BadSource as error:
        raise BadInput(str(error)) from error
    print(json.dumps(_told(asset, state), indent=1) if as_json else _text(asset, state))
    if not state.complete:
        raise typer.Exit(MISSING)


def _told(asset: Path, state: Assembly) -> dict[str, object]:
    wrong = [
        {"chunk": chunk.number, "file": str(chunk.path), "what": state.wrong[chunk.number]}
        for chunk in state.chunks
        if chunk.number in state.wrong
    ]
    return {"output": str(asset), "chunks": len(state.chunks), "complete": state.complete, "wrong": wrong}


def _text(asset: Path, state: Assembly) -> str:
    lines = [f"{chunk}: {state.wrong[chunk.number]}" for chunk in state.chunks if chunk.number in state.wrong]
    good = len(state.chunks) - len(lines)
    done = "whole" if state.complete else f"write the others with: lim track ... --chunks {_numbers(state)}"
    return "\n".join([*lines, f"{asset}: {good} of {len(state.chunks)} chunks are good; {done}"])


def _numbers(state: Assembly) -> str:
    return ",".join(str(number) for number in sorted(state.wrong))
