"""``glossi-sync rollback``: bind everything again as an earlier run left it."""

from __future__ import annotations

import time
from pathlib import Path
from random import SystemRandom

import click

from glossi_sync.cli import event_loop
from glossi_sync.cli.errors import fail
from glossi_sync.cli.options import output_options, service_options, spec_option
from glossi_sync.cli.runs import named_run


@click.command("rollback")
@click.argument("run_id", metavar="RUN")
@spec_option
@service_options
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--no-download", is_flag=True, help="Leave finished renders at the service.")
@output_options
def command(
    *,
    run_id: str,
    spec_path: Path,
    endpoint: str | None,
    state_location: str | None,
    yes: bool,
    no_download: bool,
    verbose: bool,
    no_color: bool,
) -> None:
    """Bind every address again to what RUN left it bound to; `glossi-sync history` lists the runs.

    What was made before is remembered, so nothing is uploaded or rendered, and downloads are brought home again. The
    spec is not touched: revert it too, or the next apply binds again what it asks for (which costs nothing either).
    """
    from glossi_sync.applying import new_id, rebind  # noqa: PLC0415
    from glossi_sync.cli.session import connect, fetch_home, holder, interactive, open_session, stdout  # noqa: PLC0415
    from glossi_sync.planning import remembered, roll_back  # noqa: PLC0415
    from glossi_sync.reporting import TextReport, plan_text  # noqa: PLC0415

    if not (yes or interactive()):
        fail("Nobody is here to be asked (no terminal): run `rollback --yes` to go ahead without asking.")
    mine = new_id(SystemRandom())
    console = stdout(no_color)
    with (
        open_session(spec_path, endpoint, state_location, create=True) as session,
        session.state.lock(holder(mine, "glossi-sync rollback")),
    ):
        state = session.state
        run = named_run(run_id, state.runs())
        past = state.bindings_after(run.run_id)
        realised = state.realised()
        plan = roll_back(past, realised, workspace=session.spec.workspace, lineage=state.lineage, serial=state.serial)
        console.print(plan_text(plan, everything=verbose), end="")
        if plan.is_empty:
            return
        if not (yes or click.confirm("\nRoll back?", err=True)):
            fail("Nothing was changed.")
        rebind(plan, state, run_id=mine, command=f"rollback {run.run_id}", clock=time.time)
        if no_download or session.spec.downloads is None:
            return
        desired = remembered(past, realised, state.inputs)

        async def bring() -> int:
            tell = TextReport(console, console, verbose=verbose)
            async with connect(session.spec, verbose=verbose) as service:
                with tell.progress(plan) as emit:
                    return (await fetch_home(session, desired, service, emit)).fetched

        click.echo(f"Files brought home: {event_loop.run(bring())}.")
