"""``glossi-sync schema``: the spec's JSON Schema, for editors and other programs."""

from __future__ import annotations

import json

import click


@click.command("schema")
@click.argument("name", type=click.Choice(["spec", "plan", "drift", "template", "faults"]), default="spec")
def command(name: str) -> None:
    """Print a JSON Schema: the spec's, the plan's, the drift's, or those of the studio's templates and faults."""
    from glossi_sync.schema_files import load_schema  # noqa: PLC0415

    click.echo(json.dumps(load_schema(name), indent=2, ensure_ascii=False))
