"""``glossi-sync unlock``: who holds the state, and an end to that."""

from __future__ import annotations

from pathlib import Path

import click

from glossi_sync.cli.errors import fail
from glossi_sync.cli.options import output_options, service_options, spec_option


@click.command("unlock")
@spec_option
@service_options
@click.option("--yes", is_flag=True, help="Do not ask.")
@output_options
def command(
    *, spec_path: Path, endpoint: str | None, state_location: str | None, yes: bool, verbose: bool, no_color: bool
) -> None:
    """Show who holds the state, and take the lock away from them.

    A lock ends with its run, however that ends, so this is for a run that hangs, or a machine that has vanished. A run
    that lives on after all writes nothing more. The lock of a file ends with its process, and with nothing else.
    """
    from glossi_sync.cli.session import interactive, open_session, stdout  # noqa: PLC0415
    from glossi_sync.reporting import holders_text  # noqa: PLC0415

    with open_session(spec_path, endpoint, state_location, create=False) as session:
        state = session.state
        holders = state.holders()
        if not holders:
            click.echo(f"Nobody holds the state {state.location}.")
            return
        stdout(no_color).print(holders_text(holders), end="")
        if "://" in state.location and not yes:
            if not interactive():
                fail("Nobody is here to be asked (no terminal): run `unlock --yes` to take the lock away.")
            if not click.confirm("\nTake the lock away from them?", err=True):
                fail("Nothing was changed.")
        state.break_lock()
        click.echo(f"Nobody holds the state {state.location} any more.")
