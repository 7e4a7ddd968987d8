"""``glossi-sync plan``: what an apply would do, and nothing done."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from glossi_sync.cli import event_loop, exits
from glossi_sync.cli.options import (
    format_option,
    output_options,
    parallelism_option,
    planning_options,
    preview_options,
    service_options,
    spec_option,
)

if TYPE_CHECKING:
    from glossi_sync.planning import Survey
    from glossi_sync.planning.reviewed import Options


@click.command("plan")
@spec_option
@service_options
@format_option("text", "json", "markdown")
@click.option("--out", type=click.Path(path_type=Path), help="Also save the plan, for `apply PLAN`.")
@click.option("--detailed-exitcode", is_flag=True, help="Exit with 2 where there are changes.")
@click.option("--calls", is_flag=True, help="List the most calls of each sort that an apply may make.")
@click.option("--all", "everything", is_flag=True, help="List addresses that stay as they are, too.")
@parallelism_option
@planning_options
@preview_options
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
    parallelism: int | None,
    options: Options,
    preview: Path | None,
    preview_limit: int,
    preview_templates: Path | None,
    preview_url: str | None,
    verbose: bool,
    no_color: bool,
) -> None:
    """Show what would change; changes nothing.

    The plan compares the spec with the state and with what the service says now, and names the exact steps that an
    apply would take.
    """
    from glossi_sync.cli.session import connect, open_session, stderr, stdout  # noqa: PLC0415
    from glossi_sync.reporting import previews_document, previews_text, width_of  # noqa: PLC0415
    from glossi_sync.reporting.plan_json import plan_document  # noqa: PLC0415
    from glossi_sync.reporting.plan_markdown import plan_markdown  # noqa: PLC0415
    from glossi_sync.reporting.plan_text import plan_text  # noqa: PLC0415

    with open_session(spec_path, endpoint, state_location, create=False) as session:
        hashed = session.hash_files()

        async def look() -> Survey:
            async with connect(session.spec, verbose=verbose, parallelism=parallelism) as service:
                return await session.survey(
                    hashed.models,
                    service,
                    policy=session.policy(
                        retry_failed=options.retry_failed,
                        in_doubt=options.in_doubt,
                        allow_large_change=options.allow_large_change,
                    ),
                    refresh=options.refresh,
                    everything=everything,
                    scope=options.scope,
                )

        surveyed = event_loop.run(look())
        kept = out is not None or form == "json"
        made = session.made(surveyed, options, spec_path, endpoint) if kept else None
        previews = None
        plan, service_name = surveyed.plan, session.service_name
        if preview is not None:
            from glossi_sync.cli.preview import draw_previews  # noqa: PLC0415

            previews = draw_previews(
                surveyed,
                session.spec,
                hashed,
                to=preview,
                where=preview_url or preview.as_posix(),
                limit=preview_limit,
                templates=preview_templates,
                console=stderr(no_color),
            )
    if out is not None:
        out.write_text(json.dumps(plan_document(plan, made), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    if form == "json":
        told = plan_document(plan, made) | ({} if previews is None else {"previews": previews_document(previews)})
        click.echo(json.dumps(told, indent=2, ensure_ascii=False))
    elif form == "markdown":
        saved = None if out is None else str(out)
        click.echo(plan_markdown(plan, service=service_name, saved=saved, previews=previews), nl=False)
    else:
        console = stdout(no_color)
        console.print(f"{plan.workspace} on {service_name}\n", style="bold")
        shown = plan_text(plan, calls=calls, everything=verbose or everything, width=width_of(console))
        console.print(shown, end="")
        if previews is not None and (told_of := previews_text(previews)):
            console.print("\n" + told_of, markup=False, end="")
    if detailed_exitcode and not plan.is_empty:
        sys.exit(exits.CHANGES)
