"""``glossi-sync state pull``, ``push``, ``migrate``: a whole state, carried from one place to another."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from random import SystemRandom
from typing import TextIO

import click

from glossi_sync.cli.options import output_options, service_options, spec_option


@click.command("pull")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="The file to write; stdout without it.")
@spec_option
@service_options
@output_options
def pull(
    *,
    out: Path | None,
    spec_path: Path,
    endpoint: str | None,
    state_location: str | None,
    verbose: bool,
    no_color: bool,
) -> None:
    """The whole state as one JSON document, complete enough for `state push`.

    No secret is in it in clear: the webhook's is sealed, upload URLs and keys are left out.
    """
    from glossi_sync.cli.session import open_session  # noqa: PLC0415
    from glossi_sync.state.transfer import pull as pulled  # noqa: PLC0415

    with open_session(spec_path, endpoint, state_location, create=False) as session:
        text = json.dumps(pulled(session.state), indent=1, ensure_ascii=False) + "\n"
    if out is None:
        click.echo(text, nl=False)
    else:
        with os.fdopen(os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(text)


@click.command("push")
@click.argument("document", metavar="FILE", type=click.File("r", encoding="utf-8"))
@click.option("--force", is_flag=True, help="Even where that loses what is there, or it is another state.")
@spec_option
@service_options
@output_options
def push(
    *,
    document: TextIO,
    force: bool,
    spec_path: Path,
    endpoint: str | None,
    state_location: str | None,
    verbose: bool,
    no_color: bool,
) -> None:
    """Put a pulled state (`-`: from stdin) in the place of what is there.

    Refused, unless forced, where that is another state (its lineage) or is further on (its serial, its journal, its
    runs); always refused where it belongs to another service. A state that moves a binding so is a run of the history.
    """
    from glossi_sync.applying import new_id  # noqa: PLC0415
    from glossi_sync.cli.errors import fail  # noqa: PLC0415
    from glossi_sync.cli.session import holder, open_session  # noqa: PLC0415
    from glossi_sync.state import PutRun, Run  # noqa: PLC0415
    from glossi_sync.state.transfer import push as pushed  # noqa: PLC0415

    try:
        value = json.load(document)
    except ValueError as error:
        fail(f"{document.name} cannot be pushed: it is no JSON ({error}).")
    run_id, started = new_id(SystemRandom()), time.time()
    with (
        open_session(spec_path, endpoint, state_location, create=True) as session,
        session.state.lock(holder(run_id, "glossi-sync state push")),
    ):
        state = session.state
        if pushed(state, value, force=force):
            state.write([PutRun(Run(run_id, "state push", started, time.time(), "converged"))])
        click.echo(f"The state {state.location} is what {document.name} holds: serial {state.serial}.")


@click.command("migrate")
@click.argument("target", metavar="TO")
@spec_option
@service_options
@output_options
def migrate(
    *, target: str, spec_path: Path, endpoint: str | None, state_location: str | None, verbose: bool, no_color: bool
) -> None:
    """Copy the whole state to another place, a file or a URL, lineage and serial included.

    What lies there already is refused. The state stays where it is, too: give --state (or GLOSSI_STATE) the new place
    from then on, and put the old one away, since what is written to the one is not in the other.
    """
    from glossi_sync.applying import new_id  # noqa: PLC0415
    from glossi_sync.cli.session import holder, open_session  # noqa: PLC0415
    from glossi_sync.state import KEY_VARIABLE, key_file_of, location_of, open_state  # noqa: PLC0415
    from glossi_sync.state.transfer import migrate as migrated  # noqa: PLC0415

    me = holder(new_id(SystemRandom()), "glossi-sync state migrate")
    with open_session(spec_path, endpoint, state_location, create=False) as session, session.state.lock(me):
        place = (session.spec.folder, session.spec.workspace, session.state.service)
        where = location_of(target, *place)
        copy = open_state(where, service=session.state.service, create=True)
        try:
            with copy.lock(me):
                document = migrated(session.state, copy)
            click.echo(
                f"{len(document.objects)} objects and {len(document.bindings)} bindings are at {copy.location}: "
                f"serial {document.serial}, lineage {document.lineage}. Give that place with --state from now on."
            )
        finally:
            copy.close()
        key_file = key_file_of(where, *place)
        if document.secrets and KEY_VARIABLE not in os.environ and key_file != session.key_file:
            click.echo(
                f"The state's secrets are sealed with the key in {session.key_file}: copy that file to {key_file}, or "
                f"set {KEY_VARIABLE} to what it holds."
            )
