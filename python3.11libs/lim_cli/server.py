"""`lim serve`, `lim status`, `lim stop`."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from lim_cli.errors import BadInput
from lim_client import launch
from lim_client.connection import Connection
from lim_client.endpoint import Endpoint
from lim_client.errors import NotReachable

ServerOption = Annotated[
    str | None,
    typer.Option(
        "--server",
        metavar="ENDPOINT",
        envvar="LIM_SERVER",
        help="A server: ipc:///path, tcp://host:port or tcp://host:port?key=KEY. Without it, your own.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def endpoint_of(text: str | None) -> Endpoint | None:
    """The endpoint of a --server option; None for the user's own. Raises BadInput."""
    try:
        return Endpoint.parse(text) if text else None
    except ValueError as error:
        raise BadInput(f"--server: {error}") from None


def serve(
    bind: Annotated[
        list[str] | None,
        typer.Option(metavar="ENDPOINT", help="Where to listen, e.g. tcp://127.0.0.1:5557. May be given again."),
    ] = None,
    device: Annotated[
        list[str] | None, typer.Option(help="cpu, cuda:0, ...; one worker each. Without it, all GPUs, else the CPU.")
    ] = None,
    curve: Annotated[bool, typer.Option(help="Let in only clients whose keys are allowed (see lim keys).")] = False,
    cache_size: Annotated[float, typer.Option(help="Gigabytes of results to keep on disk.")] = 20.0,
    step_limit: Annotated[
        float, typer.Option(help="Seconds without a sign of life after which a worker is killed.")
    ] = 300.0,
) -> None:
    """Run a server until it is stopped (Ctrl-C, or lim stop).

    `lim track` starts one by itself where none is running; run it yourself to choose the device, to see its log, or
    to let other machines in. Any address that others can reach needs --curve.
    """
    options = ["--cache-size", str(int(cache_size * (1 << 30))), "--step-limit", str(step_limit)]
    options += ["--curve"] * curve + (["--device", *device] if device else [])
    command = launch.server_command(bind or (), options)
    os.execv(command[0], command)


def status(server: ServerOption = None, as_json: JsonOption = False) -> None:
    """Say what a server is doing: device, memory, queue, models, uptime, cache."""
    with Connection(endpoint_of(server), client="lim status", patience=5, start=False) as connection:
        report = connection.status()
    print(json.dumps(report, indent=1) if as_json else status_text(report))


def stop(server: ServerOption = None) -> None:
    """Stop a server. Jobs in flight are lost to their clients, but not what was computed of them."""
    endpoint = endpoint_of(server)
    try:
        with Connection(endpoint, client="lim stop", patience=5, start=False) as connection:
            connection.stop()
    except NotReachable:
        if endpoint is not None or launch.running():
            raise
        print("no server of yours is running")
        return
    deadline = time.monotonic() + 10
    while endpoint is None and launch.running() and time.monotonic() < deadline:
        time.sleep(0.02)
    print("stopped")


def status_text(report: dict[str, Any]) -> str:
    """A status report for people."""
    cache, counts = report["cache"], report["counts"]
    lines = [
        f"LIM {report['software']}, process {report['pid']}, up {_duration(report['uptime'])}",
        *(f"listening  {endpoint}" for endpoint in report["endpoints"]),
        f"state      {'ready' if report['ready'] else report['state']}",
        *(_worker_line(worker) for worker in report["workers"]),
        f"jobs       {len(report['jobs'])} wanted, {report['queue']} waiting, {counts['runs']} so far "
        f"({counts['from_cache']} from the cache, {counts['requeued']} tried again)",
        *(f"           {job['job']}  {job['ready']} of {job['records']} records" for job in report["jobs"]),
        f"clients    {report['sessions']}",
        f"sent       {report['sent']['records']} records, {_size(report['sent']['bytes'])}",
        f"cache      {_size(cache['used'])} of {_size(cache['limit'])} in {Path(cache['path'])}",
    ]
    return "\n".join(lines)


def _worker_line(worker: dict[str, Any]) -> str:
    memory = f"{_size(worker.get('rss') or 0)} of {_size(worker.get('memory') or 0)}"
    models = ", ".join(worker.get("models", []))
    return (
        f"worker     {worker['device']} ({worker.get('name', '')}), {worker['state']}, memory {memory}, "
        f"models: {models}, restarted {worker['restarts']} times"
    )


def _size(size: float) -> str:
    for unit in ("B", "KB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s"
