"""``glossi-sync webhook``: what concerns the webhook alone."""

from __future__ import annotations

import os
from pathlib import Path

import click

from glossi_sync.cli.errors import fail
from glossi_sync.cli.options import output_options, service_options, spec_option


@click.group("webhook")
def command() -> None:
    """The webhook's secret."""


@command.command("secret")
@spec_option
@service_options
@output_options
def secret(*, spec_path: Path, endpoint: str | None, state_location: str | None, verbose: bool, no_color: bool) -> None:
    """Print the secret that deliveries are signed with.

    The service shows it only when the webhook is put; it is kept sealed in the state, or in the spec's `secretFile`.
    """
    from glossi_sync.applying import WEBHOOK_SECRET  # noqa: PLC0415
    from glossi_sync.cli.session import open_session  # noqa: PLC0415
    from glossi_sync.state import state_key, unseal  # noqa: PLC0415

    with open_session(spec_path, endpoint, state_location, create=False) as session:
        webhook = session.spec.webhook
        if webhook is not None and webhook.secret_file is not None:
            try:
                click.echo(webhook.secret_file.read_text(encoding="utf-8").strip())
            except OSError as error:
                fail(f"The webhook's secret cannot be read from {webhook.secret_file}: {error.strerror}.")
            return
        sealed = session.state.secret(WEBHOOK_SECRET)
        if sealed is None:
            fail(f"{session.state.location} keeps no secret: none was shown by the service since it was made.")
        key = state_key(session.key_file, os.environ, create=False)
        click.echo(unseal(key, session.state.lineage, WEBHOOK_SECRET, sealed))
