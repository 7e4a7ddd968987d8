"""``glossi-sync doctor``: what is wrong with this setup."""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from glossi_sync.cli import exits
from glossi_sync.cli.options import format_option, output_options, service_options, spec_option

if TYPE_CHECKING:
    from glossi_sync.diagnosing import Finding

_SIGNS = {"ok": ("✓", "green"), "note": ("•", "yellow"), "problem": ("✗", "red")}
_READ_ELSEWHERE = ("GLOSSI_API_KEY", "GLOSSI_STATE_KEY", "GLOSSI_CYCLES_PYTHON")
"""Variables that no option stands for."""


@click.command("doctor")
@spec_option
@service_options
@format_option("text", "json")
@click.option("--render", is_flag=True, help="Draw one small picture as well, to try the graphics driver.")
@output_options
def command(
    *,
    spec_path: Path,
    endpoint: str | None,
    state_location: str | None,
    form: str,
    render: bool,
    verbose: bool,
    no_color: bool,
) -> None:
    """Look at everything that an apply stands on, and say what is wrong and what to do about it.

    The installation, the engines, the spec, the state, the service with its key, clock and templates, the webhook, the
    disk, and git. It changes nothing and shows no secret. Exit code 1 where there is a problem.
    """
    from glossi_sync.cli.session import load_spec, stdout  # noqa: PLC0415
    from glossi_sync.diagnosing import Setup, diagnose  # noqa: PLC0415
    from glossi_sync.reporting.words import counted  # noqa: PLC0415

    setup = Setup(
        spec_path=spec_path,
        load=lambda: load_spec(spec_path, endpoint, files=True),
        state_location=state_location,
        variables=os.environ,
        known={*_variables(click.get_current_context().find_root().command), *_READ_ELSEWHERE},
        now=time.time,
        render=render,
    )
    found: Counter[str] = Counter()
    findings: list[dict[str, str | None]] = []
    console = stdout(no_color)
    for finding in diagnose(setup):
        found[finding.level] += 1
        if form == "json":
            findings.append(asdict(finding))
        else:
            sign, colour = _SIGNS[finding.level]
            console.print(f"{sign} ", style=colour, end="")
            console.print(_told(finding), markup=False)
    if form == "json":
        document = {"problems": found["problem"], "notes": found["note"], "findings": findings}
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        click.echo(f"\n{counted(found['problem'], 'problem')}, {counted(found['note'], 'note')}.")
    sys.exit(exits.ERROR if found["problem"] else exits.DONE)


def _told(finding: Finding) -> str:
    """The finding, and below it what to do."""
    message = finding.message.replace("\n", "\n    ")
    return f"{finding.check}: {message}" + (f"\n    → {finding.advice}" if finding.advice else "")


def _variables(command: click.Command) -> Iterator[str]:
    """The environment variables that stand for options, of a command and of those below it."""
    for parameter in command.params:
        if isinstance(parameter.envvar, str):
            yield parameter.envvar
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            if below is not None:
                yield from _variables(below)
