"""``glossi-sync templates``: what the spec's template bindings can name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from glossi_sync.cli import event_loop
from glossi_sync.cli.options import format_option, output_options, service_options, spec_option

if TYPE_CHECKING:
    from glossi_sync.resources import Template


@click.command("templates")
@spec_option
@service_options
@format_option("text", "json")
@click.option("--public", "only", flag_value="public", default=None, help="Only those that everyone has.")
@click.option("--workspace", "only", flag_value="workspace", help="Only the workspace's own.")
@output_options
def command(
    *,
    spec_path: Path,
    endpoint: str | None,
    state_location: str | None,
    form: str,
    only: str | None,
    verbose: bool,
    no_color: bool,
) -> None:
    """The service's templates: name, id and description."""
    from rich.table import Table  # noqa: PLC0415

    from glossi_sync.cli.session import connect, load_spec, stdout  # noqa: PLC0415
    from glossi_sync.reporting.status import UUID_WIDTH  # noqa: PLC0415

    spec = load_spec(spec_path, endpoint)

    async def ask() -> tuple[Template, ...]:
        async with connect(spec, verbose=verbose) as service:
            return await service.templates(public=only != "workspace", internal=only != "public")

    templates = event_loop.run(ask())
    if form == "json":
        document = [
            {"templateId": one.template_id, "name": one.name, "description": one.description} for one in templates
        ]
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("name", no_wrap=True)
    table.add_column("id", no_wrap=True, min_width=UUID_WIDTH)
    table.add_column("description")
    for template in templates:
        table.add_row(template.name, template.template_id, template.description)
    stdout(no_color).print(table)
