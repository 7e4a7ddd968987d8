"""``glossi-sync drift``: does the service still have what was made there? For a scheduled job."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from glossi_sync.cli import event_loop, exits
from glossi_sync.cli.options import format_option, output_options, service_options, spec_option


@click.command("drift")
@spec_option
@service_options
@format_option("text", "json", "markdown")
@output_options
def command(
    *,
    spec_path: Path,
    endpoint: str | None,
    state_location: str | None,
    form: str,
    verbose: bool,
    no_color: bool,
) -> None:
    """Ask whether the service still has what was made there; changes nothing.

    Every model and render that is bound is asked about, finished ones too, and the webhook. Exits with 2 where one is
    lost, has failed since, or is not as it was set. A spec that was not applied yet is no drift; that is told apart.
    """
    from glossi_sync.cli.session import connect, open_session, stdout  # noqa: PLC0415
    from glossi_sync.planning import Drift, ask_about_all, drift, observe  # noqa: PLC0415
    from glossi_sync.reporting import drift_document, drift_markdown, drift_text, width_of  # noqa: PLC0415

    with open_session(spec_path, endpoint, state_location, create=False) as session:
        models = session.hash_models()

        async def look() -> Drift:
            async with connect(session.spec, verbose=verbose) as service:
                surveyed = await session.survey(models, service)
                questions = ask_about_all(surveyed.realised)
                return drift(
                    surveyed.realised,
                    questions,
                    await observe(service, questions),
                    session.state.inputs,
                    workspace=session.spec.workspace,
                    pending=sum(1 for _ in surveyed.plan.acting()),
                )

        found = event_loop.run(look())
        service_name = session.service_name
    if form == "json":
        click.echo(json.dumps(drift_document(found, service_name), indent=2, ensure_ascii=False))
    elif form == "markdown":
        click.echo(drift_markdown(found, service_name), nl=False)
    else:
        console = stdout(no_color)
        console.print(f"{found.workspace} on {service_name}\n", style="bold")
        console.print(drift_text(found, width=width_of(console)), end="")
    sys.exit(exits.CHANGES if found.deviations else exits.DONE)
