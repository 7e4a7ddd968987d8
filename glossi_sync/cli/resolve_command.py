"""``glossi-sync resolve``: settle a doubt about a render that is held."""

from __future__ import annotations

import time
from pathlib import Path
from random import SystemRandom
from typing import TYPE_CHECKING

import click

from glossi_sync.cli import event_loop
from glossi_sync.cli.completing import bound_addresses
from glossi_sync.cli.options import output_options, service_options, spec_option

if TYPE_CHECKING:
    from glossi_sync.state import Write


@click.command("resolve")
@click.argument("address", shell_complete=bound_addresses)
@click.option("--adopt", "job_id", metavar="JOB-ID", help="The render was started, as this job.")
@click.option("--again", "ask_again", is_flag=True, help="It was not started: the next apply may ask again.")
@spec_option
@service_options
@output_options
def command(
    *,
    address: str,
    job_id: str | None,
    ask_again: bool,
    spec_path: Path,
    endpoint: str | None,
    state_location: str | None,
    verbose: bool,
    no_color: bool,
) -> None:
    """Say whether a held render was started, so that it goes on.

    A render is held when an apply asked for it and never heard the answer: asking twice may cost twice.
    """
    from glossi_sync.applying import new_id  # noqa: PLC0415
    from glossi_sync.applying.resolve import adopt, again  # noqa: PLC0415
    from glossi_sync.cli.session import connect, holder, open_session  # noqa: PLC0415

    if (job_id is None) == (not ask_again):
        raise click.UsageError("Say either --adopt JOB-ID or --again.")
    rng = SystemRandom()
    with (
        open_session(spec_path, endpoint, state_location, create=True) as session,
        session.state.lock(holder(new_id(rng), "glossi-sync resolve")),
    ):
        models = session.hash_models()

        async def look() -> list[Write]:
            async with connect(session.spec, verbose=verbose) as service:
                surveyed = await session.survey(models, service)
                if job_id is None:
                    return again(address, surveyed, clock=time.time, rng=rng)
                return await adopt(address, job_id, surveyed, service, clock=time.time, rng=rng)

        session.state.write(event_loop.run(look()))
    if job_id is None:
        click.echo(f"{address}: the next apply starts it.")
    else:
        click.echo(f"{address}: bound to job {job_id}; the next apply goes on with it.")
