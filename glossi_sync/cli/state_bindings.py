"""``glossi-sync state mv`` and ``rm``: bindings, mended by hand."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from random import SystemRandom
from typing import TYPE_CHECKING

import click

from glossi_sync.cli.completing import bound_addresses
from glossi_sync.cli.options import output_options, service_options, spec_option

if TYPE_CHECKING:
    from glossi_sync.state import Realised, Write


@click.command("mv")
@click.argument("old", metavar="OLD-ADDRESS", shell_complete=bound_addresses)
@click.argument("new", metavar="NEW-ADDRESS")
@spec_option
@service_options
@output_options
def move(
    *,
    old: str,
    new: str,
    spec_path: Path,
    endpoint: str | None,
    state_location: str | None,
    verbose: bool,
    no_color: bool,
) -> None:
    """Bind what OLD-ADDRESS is bound to to NEW-ADDRESS instead.

    Seldom needed: a key that is renamed in the spec is found again by its content, and costs nothing.
    """
    from glossi_sync.state.rebinding import move as moved  # noqa: PLC0415

    command = f"state mv {old} {new}"
    _rebind(spec_path, endpoint, state_location, command, lambda realised: moved(realised, old, new))
    click.echo(f"{new} is bound to what {old} was.")


@click.command("rm")
@click.argument("addresses", metavar="ADDRESS...", nargs=-1, required=True, shell_complete=bound_addresses)
@spec_option
@service_options
@output_options
def forget(
    *,
    addresses: tuple[str, ...],
    spec_path: Path,
    endpoint: str | None,
    state_location: str | None,
    verbose: bool,
    no_color: bool,
) -> None:
    """Forget what ADDRESS... are bound to. Nothing is changed at the service.

    What was made stays remembered: a spec that asks for it again gets it back, uploads nothing and renders nothing.
    """
    from glossi_sync.state.rebinding import forget as forgotten  # noqa: PLC0415

    command = f"state rm {' '.join(addresses)}"
    _rebind(spec_path, endpoint, state_location, command, lambda realised: forgotten(realised, addresses))
    click.echo(f"Forgotten: {', '.join(addresses)}.")


def _rebind(
    spec_path: Path,
    endpoint: str | None,
    state_location: str | None,
    command: str,
    decide: Callable[[Realised], list[Write]],
) -> None:
    """Write what is decided, in one transaction, as a run of the history."""
    from glossi_sync.applying import new_id  # noqa: PLC0415
    from glossi_sync.cli.session import holder, open_session  # noqa: PLC0415
    from glossi_sync.state import PutRun, Run  # noqa: PLC0415

    run_id, started = new_id(SystemRandom()), time.time()
    with (
        open_session(spec_path, endpoint, state_location, create=True) as session,
        session.state.lock(holder(run_id, f"glossi-sync {command}")),
    ):
        writes = decide(session.state.realised())
        session.state.write([*writes, PutRun(Run(run_id, command, started, time.time(), "converged"))])
