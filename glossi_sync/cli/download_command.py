"""``glossi-sync download``: bring finished renders home."""

from __future__ import annotations

import asyncio
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from glossi_sync.cli import exits
from glossi_sync.cli.errors import fail
from glossi_sync.cli.options import output_options, service_options, spec_option

if TYPE_CHECKING:
    from glossi_sync.applying import Home


@click.command("download")
@spec_option
@service_options
@output_options
def command(
    *, spec_path: Path, endpoint: str | None, state_location: str | None, verbose: bool, no_color: bool
) -> None:
    """Bring finished renders home, to where the spec's `downloads` says.

    Only what is not there yet; an apply does the same at its end.
    """
    from glossi_sync.cli.session import connect, fetch_home, open_session  # noqa: PLC0415
    from glossi_sync.reporting.events import EventLines  # noqa: PLC0415

    with open_session(spec_path, endpoint, state_location, create=False) as session:
        if session.spec.downloads is None:
            fail(f"{spec_path} has no `downloads`: say there where finished renders are to go.")
        models = session.hash_models()

        async def fetch() -> Home:
            async with connect(session.spec, verbose=verbose) as service:
                surveyed = await session.survey(models, service)
                return await fetch_home(session, surveyed.desired, service, EventLines(partial(click.echo, err=True)))

        home = asyncio.run(fetch())
    click.echo(f"Brought home: {home.fetched}." if home.fetched or home.failed else "Everything is at home already.")
    for address, reason in home.failed.items():
        click.echo(f"  {address}: {reason}")
    sys.exit(exits.PARTLY if home.failed else exits.DONE)
