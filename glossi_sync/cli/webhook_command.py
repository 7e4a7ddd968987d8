"""``glossi-sync webhook``: what concerns the webhook alone: its secret, its signatures, its deliveries."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TypeVar

import click

from glossi_sync.cli.errors import fail
from glossi_sync.cli.options import format_option, output_options, service_options, spec_option

Command = TypeVar("Command", bound=Callable[..., None])


@click.group("webhook")
def command() -> None:
    """The webhook's secret, its signatures, and a receiver of its deliveries."""


def secret_options(command: Command) -> Command:
    """``--secret-file`` and ``--secret-env``; without them the secret is the one that the spec's webhook has."""
    file = click.option(
        "--secret-file",
        type=click.Path(path_type=Path),
        help="The secret is in this file, in place of the one that is kept for the spec's webhook.",
    )
    variable = click.option(
        "--secret-env", metavar="NAME", help="The secret is in this environment variable, in place of the kept one."
    )
    return file(variable(command))


@command.command("secret")
@spec_option
@service_options
@output_options
def secret(*, spec_path: Path, endpoint: str | None, state_location: str | None, verbose: bool, no_color: bool) -> None:
    """Print the secret that deliveries are signed with.

    The service shows it only when the webhook is put; it is kept sealed in the state, or in the spec's `secretFile`.
    """
    from glossi_sync.cli.session import open_session  # noqa: PLC0415

    with open_session(spec_path, endpoint, state_location, create=False) as session:
        kept = session.webhook_secret()
        if kept is None:
            fail(f"{session.secret_place} keeps no secret: none was shown by the service since it was made.")
        click.echo(kept)


@command.command("verify")
@click.argument("payload", type=click.File("rb"))
@click.option("--signature", required=True, help="The delivery's X-Glossi-Signature.")
@secret_options
@spec_option
@service_options
@output_options
def verify(
    *,
    payload: BinaryIO,
    signature: str,
    secret_file: Path | None,
    secret_env: str | None,
    spec_path: Path,
    endpoint: str | None,
    state_location: str | None,
    verbose: bool,
    no_color: bool,
) -> None:
    """Check a delivery's signature: PAYLOAD is a file with the body's bytes as they came, or - for stdin.

    Exits with 0 where the signature is of this body with this secret, and with 1 where it is not.
    """
    from glossi_sync.cli.session import open_session  # noqa: PLC0415
    from glossi_sync.webhooks import Malformed, NotSigned, receive  # noqa: PLC0415

    known = given_secret(secret_file, secret_env)
    if known is None:
        with open_session(spec_path, endpoint, state_location, create=False) as session:
            known = session.webhook_secret()
            if known is None:
                fail(f"{session.secret_place} keeps no secret: give one with --secret-file or --secret-env.")
    try:
        event = receive(payload.read(), signature, known)
    except NotSigned:
        fail("Not verified: the signature is not of these bytes with this secret.")
    except Malformed as error:
        fail(f"Verified, but no event: {error}.")
    click.echo(f"Verified: {event.name}.")


@command.command("listen")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8480, show_default=True, help="0: any that is free.")
@click.option("--path", help="Where deliveries come to.  [default: the path of the spec's webhook, else /]")
@secret_options
@spec_option
@service_options
@format_option("text", "json")
@output_options
def listen(
    *,
    host: str,
    port: int,
    path: str | None,
    secret_file: Path | None,
    secret_env: str | None,
    spec_path: Path,
    endpoint: str | None,
    state_location: str | None,
    form: str,
    verbose: bool,
    no_color: bool,
) -> None:
    """Receive the webhook's deliveries, and keep them beside the state.

    Each is checked against the webhook's secret and answered 200 only when it is kept. A running apply hears of it at
    once, and the next plan settles by it what was in doubt. GET /healthz answers 200. SIGTERM or Ctrl-C ends it.
    """
    from glossi_sync.cli.session import open_session  # noqa: PLC0415
    from glossi_sync.receiving import Intake, Receiver, Secret, delivery_path, receiving  # noqa: PLC0415
    from glossi_sync.reporting.deliveries import delivery_line  # noqa: PLC0415

    given = given_secret(secret_file, secret_env)
    with open_session(spec_path, endpoint, state_location, create=True) as session:
        webhook = session.spec.webhook
        where = path or delivery_path(None if webhook is None else webhook.webhook.url)
        known = Secret((lambda: given) if given is not None else session.webhook_secret, time.monotonic)
        receiver = Receiver(
            Intake(known, session.state.put_event, time.time),
            where,
            lambda told: click.echo(delivery_line(told, form, time.time())),
        )
        with stopped_by_signals() as stopped, receiving(receiver, host, port) as bound:
            kept = session.state.location
            click.echo(f"Listening on http://{host}:{bound}{where}; events are kept in {kept}", err=True)
            stopped.wait()


@contextmanager
def stopped_by_signals() -> Iterator[threading.Event]:
    """An event that Ctrl-C or SIGTERM sets while the block runs."""
    stopped = threading.Event()
    signals = (signal.SIGINT, signal.SIGTERM)
    former = [signal.signal(one, lambda *_: stopped.set()) for one in signals]
    try:
        yield stopped
    finally:
        for one, handler in zip(signals, former, strict=True):
            signal.signal(one, handler)


def given_secret(file: Path | None, variable: str | None) -> str | None:
    """The secret that the options name, if they do; a newline at its end is not of it."""
    if file is not None and variable is not None:
        raise click.UsageError("Say either --secret-file or --secret-env.")
    if file is not None:
        try:
            secret = file.read_text(encoding="utf-8").strip()
        except (OSError, ValueError) as error:
            fail(f"The webhook's secret cannot be read from {file}: {getattr(error, 'strerror', None) or error}.")
        if not secret:
            fail(f"There is no secret in {file}: it is empty.")
        return secret
    if variable is not None:
        secret = os.environ.get(variable, "").strip()
        if not secret:
            fail(f"There is no secret in the environment variable {variable}: it is not set.")
        return secret
    return None
