"""``glossi-sync history``: the applies that were."""

from __future__ import annotations

import json
from pathlib import Path

import click

from glossi_sync.cli.options import format_option, output_options, service_options, spec_option


@click.command("history")
@spec_option
@service_options
@format_option("text", "json")
@click.option("--last", type=click.IntRange(1), default=20, show_default=True, help="How many runs to show.")
@output_options
def command(
    *,
    spec_path: Path,
    endpoint: str | None,
    state_location: str | None,
    form: str,
    last: int,
    verbose: bool,
    no_color: bool,
) -> None:
    """The applies that were, newest first: when, how they ended, what they took.

    A run's id (or its beginning) is what `glossi-sync rollback` takes.
    """
    from glossi_sync.cli.session import open_session, stdout  # noqa: PLC0415
    from glossi_sync.reporting import history_text  # noqa: PLC0415
    from glossi_sync.state import history  # noqa: PLC0415

    with open_session(spec_path, endpoint, state_location, create=False) as session:
        runs = session.state.runs()[:last]
    if form == "json":
        click.echo(json.dumps(history(runs), indent=2, ensure_ascii=False))
    else:
        stdout(no_color).print(history_text(runs), end="")
