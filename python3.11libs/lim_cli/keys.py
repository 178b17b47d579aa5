"""`lim keys`: who may reach a server from another machine."""

from __future__ import annotations

from typing import Annotated

import typer

from lim_cli.errors import BadInput
from lim_client import keys

app = typer.Typer(help="Keys for servers that other machines can reach.", no_args_is_help=True, rich_markup_mode=None)


@app.command()
def make() -> None:
    """Make this user's client and server keys, where they are missing."""
    folder = keys.keys_dir()
    made = keys.make(folder)
    print(f"made {' and '.join(made)} keys in {folder}" if made else f"nothing to do: {folder} has both keys")
    show()


@app.command()
def show() -> None:
    """Print the public keys: the client's for 'lim keys allow' on the server's side, the server's for endpoints."""
    folder = keys.keys_dir()
    print(f"client  {keys.public_key(folder, 'client')}")
    print(f"server  {keys.public_key(folder, 'server')}")
    for name, key in keys.allowed(folder).items():
        print(f"allowed {key}  {name}")


@app.command()
def allow(
    name: Annotated[str, typer.Argument(help="What to call this client.")],
    key: Annotated[str, typer.Argument(help="Its public key, as 'lim keys show' prints it there.")],
) -> None:
    """Let a client in. Takes effect at once, also for a server that is running."""
    try:
        print(f"allowed in {keys.allow(keys.keys_dir(), name, key)}")
    except ValueError as error:
        raise BadInput(str(error)) from None


@app.command()
def deny(name: Annotated[str, typer.Argument(help="The client's name.")]) -> None:
    """Do not let a client in any more. Sessions it has now go on until they end."""
    path = keys.keys_dir() / "allowed" / f"{name}.key"
    if not path.exists():
        raise BadInput(
            f"no client '{name}' is allowed. There are: {', '.join(keys.allowed(keys.keys_dir())) or 'none'}"
        )
    path.unlink()
    print(f"{name} is not allowed any more")
