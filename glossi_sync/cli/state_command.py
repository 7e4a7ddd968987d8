"""``glossi-sync state``: the state, read and mended."""

from __future__ import annotations

import json
import time
from pathlib import Path

import click

from glossi_sync.cli.completing import bound_addresses
from glossi_sync.cli.errors import fail
from glossi_sync.cli.options import format_option, output_options, service_options, spec_option
from glossi_sync.cli.state_bindings import forget, move
from glossi_sync.cli.state_transfer import migrate, pull, push


@click.group("state")
def command() -> None:
    """Read and mend the state, and carry it elsewhere."""


for _one in (pull, push, migrate, move, forget):
    command.add_command(_one)


@command.command("list")
@spec_option
@service_options
@output_options
def list_bindings(
    *, spec_path: Path, endpoint: str | None, state_location: str | None, verbose: bool, no_color: bool
) -> None:
    """Every address that is bound, one a line, with its phase and remote id."""
    from glossi_sync.cli.session import open_session, stdout  # noqa: PLC0415
    from glossi_sync.reporting import status_rows, status_text  # noqa: PLC0415

    with open_session(spec_path, endpoint, state_location, create=False) as session:
        realised = session.state.realised()
    rows = status_rows(((address, realised.bound(address)) for address in realised.bindings), time.time())
    stdout(no_color).print(status_text(rows))


@command.command("show")
@click.argument("address", required=False, shell_complete=bound_addresses)
@spec_option
@service_options
@format_option("text", "json")
@output_options
def show(
    *,
    address: str | None,
    spec_path: Path,
    endpoint: str | None,
    state_location: str | None,
    form: str,
    verbose: bool,
    no_color: bool,
) -> None:
    """Everything that the state knows; with an ADDRESS, of that address alone.

    Upload URLs, secrets and keys are never shown.
    """
    import yaml  # noqa: PLC0415

    from glossi_sync.cli.session import open_session  # noqa: PLC0415
    from glossi_sync.state import describe  # noqa: PLC0415

    with open_session(spec_path, endpoint, state_location, create=False) as session:
        document = describe(session.state)
        if address is not None:
            oid = session.state.realised().bindings.get(address)
            if oid is None:
                fail(f"{address} is not bound in {session.state.location}; `glossi-sync state list` shows what is.")
            document = next(one for one in document["objects"] if one["oid"] == str(oid))
    if form == "json":
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        click.echo(yaml.safe_dump(document, sort_keys=False, allow_unicode=True), nl=False)


@command.command("strays")
@spec_option
@service_options
@format_option("text", "json")
@output_options
def strays(
    *, spec_path: Path, endpoint: str | None, state_location: str | None, form: str, verbose: bool, no_color: bool
) -> None:
    """What exists at the service, or may, and is used by nothing.

    The service can delete nothing; the list is for its support, and for your own peace of mind.
    """
    from glossi_sync.cli.session import open_session, stdout  # noqa: PLC0415
    from glossi_sync.reporting import strays_text  # noqa: PLC0415
    from glossi_sync.state import stray_documents  # noqa: PLC0415

    with open_session(spec_path, endpoint, state_location, create=False) as session:
        found = session.state.strays()
    if form == "json":
        click.echo(json.dumps(stray_documents(found), indent=2, ensure_ascii=False))
    else:
        stdout(no_color).print(strays_text(found), end="")


@command.command("check")
@spec_option
@service_options
@output_options
def check(*, spec_path: Path, endpoint: str | None, state_location: str | None, verbose: bool, no_color: bool) -> None:
    """Is the state sound? Looks for damage in the file and for rows that contradict one another; mends nothing."""
    from glossi_sync.cli.session import open_session  # noqa: PLC0415
    from glossi_sync.state import check as examine  # noqa: PLC0415

    with open_session(spec_path, endpoint, state_location, create=False) as session:
        found = examine(session.state)
        where = session.state.location
    if found:
        fail("\n".join([f"The state {where} is not sound:", *(f"  {one}" for one in found)]))
    click.echo(f"The state {where} is sound.")
