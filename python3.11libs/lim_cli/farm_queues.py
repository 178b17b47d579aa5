"""The same plan for other queues: a Tractor job script, an OpenCue outline. A task starts the server it needs."""

from __future__ import annotations

from lim_cli.farm_job import Plan


def tractor(plan: Plan) -> str:
    """A Tractor job in its own language: the assembly waits for all of its subtasks."""
    gpu = " -service {GPU}" if plan.gpus else ""
    tasks = [
        f"    Task {{clips {clips}}} -cmds {{\n"
        f"      RemoteCmd {{{_tcl(plan.filled(plan.track, clips))}}}{gpu} -maxrunsecs {plan.timeout}\n    }}"
        for clips in _shares(plan)
    ]
    join = _tcl(plan.filled(plan.assemble, ""))
    return "\n".join(
        [
            f"Job -title {{{plan.name}}} -serialsubtasks 0 -subtasks {{",
            "  Task {assemble} -subtasks {",
            *tasks,
            f"  }} -cmds {{\n    RemoteCmd {{{join}}}\n  }}",
            "}\n",
        ]
    )


def opencue(plan: Plan) -> str:
    """A Python script that submits through OpenCue's pyoutline; run it where that is installed."""
    clips = "#FRAME_START#-#FRAME_END#"
    lines = [
        f'"""Submits {plan.name} to OpenCue: python this_file.py"""',
        "",
        "from outline import Outline, cuerun",
        "from outline.modules.shell import Shell",
        "",
        f"job = Outline({plan.name!r})",
        f"track = Shell('track', command={plan.filled(plan.track, clips)!r},",
        f"              range='1-{plan.clips}', chunk={plan.together})",
        *([f"track.set_arg('gpus', {plan.gpus})"] if plan.gpus else []),
        f"assemble = Shell('assemble', command={plan.filled(plan.assemble, '')!r}, range='1')",
        "assemble.depend_all(track)",
        "job.add_layer(track)",
        "job.add_layer(assemble)",
        "cuerun.launch(job)",
    ]
    return "\n".join(lines) + "\n"


def _shares(plan: Plan) -> list[str]:
    firsts = range(1, plan.clips + 1, plan.together)
    return [f"{first}-{min(first + plan.together - 1, plan.clips)}" for first in firsts]


def _tcl(words: list[str]) -> str:
    return " ".join(f"{{{word}}}" for word in words)
