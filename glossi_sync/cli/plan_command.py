"""``glossi-sync plan``: what an apply would do, and nothing done."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import click

from glossi_sync.cli import exits
from glossi_sync.cli.options import (
    format_option,
    in_doubt_option,
    output_options,
    refresh_option,
    retry_failed_option,
    service_options,
    spec_option,
)


@click.command("plan")
@spec_option
@service_options
@format_option("text", "json", "markdown")
@click.option("--out", type=click.Path(path_type=Path), help="Also save the plan, as JSON.")
@click.option("--detailed-exitcode", is_flag=True, help="Exit with 2 where there are changes.")
@click.option("--calls", is_flag=True, help="List the most calls of each sort that an apply may make.")
@click.option("--all", "everything", is_flag=True, help="List addresses that stay as they are, too.")
@retry_failed_option
@in_doubt_option
@refresh_option
@output_options
def command(
    *,
    spec_path: Path,
    endpoint: str | None,
    state_location: str | None,
    form: str,
    out: Path | None,
    detailed_exitcode: bool,
    calls: bool,
    everything: bool,
    retry_failed: bool,
    in_doubt: str,
    refresh: str,
    verbose: bool,
    no_color: bool,
) -> None:
    """Show what would change; changes nothing.

    The plan compares the spec with the state and with what the service says now, and names the exact steps that an
    apply would take.
    """
    from glossi_sync.cli.session import connect, open_session, stdout  # noqa: PLC0415
    from glossi_sync.planning import Plan, Refresh  # noqa: PLC0415
    from glossi_sync.reporting.plan_json import plan_document  # noqa: PLC0415
    from glossi_sync.reporting.plan_markdown import plan_markdown  # noqa: PLC0415
    from glossi_sync.reporting.plan_text import plan_text  # noqa: PLC0415

    with open_session(spec_path, endpoint, state_location, create=False) as session:
        models = session.hash_models()

        async def look() -> Plan:
            async with connect(session.spec, verbose=verbose) as service:
                surveyed = await session.survey(
                    models,
                    service,
                    policy=session.policy(retry_failed=retry_failed, in_doubt=in_doubt),
                    refresh=Refresh(refresh),
                    everything=everything,
                )
            return surveyed.plan

        plan = asyncio.run(look())
        service_name = session.service_name
    if out is not None:
        out.write_text(json.dumps(plan_document(plan), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    if form == "json":
        click.echo(json.dumps(plan_document(plan), indent=2, ensure_ascii=False))
    elif form == "markdown":
        click.echo(plan_markdown(plan))
    else:
        console = stdout(no_color)
        console.print(f"{plan.workspace} on {service_name}\n", style="bold")
        console.print(plan_text(plan, calls=calls, everything=verbose or everything), end="")
    if detailed_exitcode and not plan.is_empty:
        sys.exit(exits.CHANGES)
