"""``glossi-sync validate``: is the spec right, and are its files what they should be? Asks no service."""

from __future__ import annotations

from pathlib import Path

import click

from glossi_sync.cli.options import spec_option


@click.command("validate")
@spec_option
def command(*, spec_path: Path) -> None:
    """Read the spec and the files it names; asks no service.

    Every mistake is reported at once, as file:line:column: message.
    """
    from glossi_sync.cli.session import load_spec  # noqa: PLC0415
    from glossi_sync.reporting.words import counted  # noqa: PLC0415
    from glossi_sync.spec import look_at_remote_files  # noqa: PLC0415

    spec = load_spec(spec_path, None, files=True)
    look_at_remote_files(spec)
    click.echo(
        f"{spec_path}: {counted(len(spec.models), 'model')}, {counted(len(spec.projects), 'project')}, "
        f"{counted(len(spec.render_settings), 'group')} of render settings: good."
    )
