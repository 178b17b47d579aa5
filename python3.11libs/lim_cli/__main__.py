"""`lim`: the command, and what its exit codes mean."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable

EXIT_CODES = """
Exit codes: 0 done; 1 something is wrong or missing (verify, assemble, clips); 2 bad input or options; 3 trouble with
the server or the job; 4 the result could not be written; 130 interrupted. Nothing half-written stays, and what was
computed is kept for the next try.
"""


def main() -> None:
    """Run the command line; every expected error becomes one line on stderr and its exit code."""
    try:
        import typer
    except ImportError:
        sys.exit("lim: the command line needs more than the bare package. Install it with: pip install 'lim[cli]'")
    from lim_cli import assemble, bake, clips, farm, houdini, keys, models, reconstruct, server, track, verify
    from lim_protocol.memory import keep_freed_memory

    keep_freed_memory()
    app = typer.Typer(
        name="lim",
        help="Key meshes of any topology in, one tracked and textured USD mesh out.",
        epilog=EXIT_CODES,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    app.command("track")(track.track)
    app.command("reconstruct")(reconstruct.reconstruct)
    app.command("assemble")(assemble.assemble)
    app.command("verify")(verify.verify)
    app.command("bake")(bake.bake)
    app.command("clips")(clips.clips)
    app.command("train", context_settings=models.AS_THEY_ARE)(models.train)
    app.command("eval", context_settings=models.AS_THEY_ARE)(models.evaluate)
    app.command("serve")(server.serve)
    app.command("status")(server.status)
    app.command("stop")(server.stop)
    app.add_typer(keys.app, name="keys")
    app.add_typer(farm.app, name="farm")
    app.add_typer(houdini.app, name="houdini")
    sys.exit(run(app))


def run(app: Callable[[], object]) -> int:
    """The app's exit code; expected errors are told in words."""
    from lim_cli.errors import INTERRUPTED, Interrupted, exit_code_of

    def interrupt(_number: int, _frame: object) -> None:
        raise Interrupted

    signal.signal(signal.SIGINT, interrupt)
    try:
        app()
    except Interrupted:
        print("lim: interrupted; nothing half-written stays, and what was computed is kept", file=sys.stderr)
        return INTERRUPTED
    except Exception as error:
        code = exit_code_of(error)
        if code is None:
            raise
        print(f"lim: {error}", file=sys.stderr)
        return code
    return 0


if __name__ == "__main__":
    main()
