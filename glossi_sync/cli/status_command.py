"""``glossi-sync status``: every address of the spec, and how far it is."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from glossi_sync.cli import event_loop
from glossi_sync.cli.options import format_option, output_options, refresh_option, service_options, spec_option

if TYPE_CHECKING:
    from glossi_sync.planning import Survey


@click.command("status")
@spec_option
@service_options
@format_option("text", "json")
@refresh_option
@output_options
def command(
    *,
    spec_path: Path,
    endpoint: str | None,
    state_location: str | None,
    form: str,
    refresh: str,
    verbose: bool,
    no_color: bool,
) -> None:
    """Every address: phase, age, remote id, error.

    The state, corrected by what the service says now (--refresh none: the state alone).
    """
    from glossi_sync.cli.session import connect, open_session, stdout  # noqa: PLC0415
    from glossi_sync.planning import Refresh  # noqa: PLC0415
    from glossi_sync.reporting import status_document, status_rows, status_text  # noqa: PLC0415

    with open_session(spec_path, endpoint, state_location, create=False) as session:
        if Refresh(refresh) is Refresh.NONE:
            realised = session.state.realised()
            bound = [(address, realised.bound(address)) for address in realised.bindings]
        else:
            models = session.hash_models()

            async def look() -> Survey:
                async with connect(session.spec, verbose=verbose) as service:
                    return await session.survey(models, service, refresh=Refresh(refresh))

            bound = event_loop.run(look()).status()
    rows = status_rows(bound, time.time())
    if form == "json":
        click.echo(json.dumps(status_document(rows), indent=2, ensure_ascii=False))
    else:
        stdout(no_color).print(status_text(rows))
