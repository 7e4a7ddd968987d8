"""``glossi-sync studio``: the service itself, on this machine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from glossi_sync.cli.errors import fail
from glossi_sync.cli.options import format_option

if TYPE_CHECKING:
    from glossi_sync.studio.keys import Keys

_data_option = click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("state/studio"),
    show_default=True,
    help="The folder of its records and files.",
)
_records_option = click.option(
    "--records",
    "records_url",
    envvar="GLOSSI_STUDIO_RECORDS",
    show_envvar=True,
    metavar="URL",
    help="The database of its records, where that does not lie in the folder.",
)


def _workers(_: click.Context, __: click.Parameter, value: str | None) -> int | str | None:
    """How many worker processes, or whose."""
    if value is None or value.startswith("dask://"):
        return value
    if not value.isdecimal() or not 1 <= int(value) <= 256:
        raise click.BadParameter(f"{value!r} is neither a number from 1 to 256 nor dask://HOST:PORT.")
    return int(value)


@click.group("studio")
def command() -> None:
    """The Glossi service itself, on this machine: the documented API, with real pictures."""


@command.command("serve")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8470, show_default=True, help="0 takes a free one.")
@_data_option
@_records_option
@click.option(
    "--storage",
    envvar="GLOSSI_STUDIO_STORAGE",
    show_envvar=True,
    metavar="s3://BUCKET[/PREFIX]",
    help="The bucket of its files, where they do not lie in the folder; the AWS_* variables say how to reach it.",
)
@click.option(
    "--workers",
    callback=_workers,
    metavar="NUMBER|dask://HOST:PORT",
    help="Rendering processes on this machine, or dask://HOST:PORT, the scheduler of a Dask cluster that renders."
    " [default: one for each core]",
)
@click.option(
    "--templates",
    multiple=True,
    metavar="[WORKSPACE=]FOLDER",
    help="A folder of template files, which appear as the workspace's own; once for each workspace that has one.",
)
@click.option(
    "--engine",
    type=click.Choice(["filament", "cycles"]),
    default="filament",
    show_default=True,
    help="What renders; a template may ask for the other one. See 'studio engines'.",
)
@click.option("--api-key", envvar="GLOSSI_STUDIO_KEY", show_envvar=True, help="A key of your choice, beside its own.")
@click.option("--public-url", help="The origin under which clients reach it, where it is behind a proxy.")
@click.option(
    "--faults",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="A file of what is to go wrong on purpose, for testing a client.",
)
@click.option(
    "--webhook-allow",
    multiple=True,
    metavar="HOST|CIDR|*",
    help="Where webhooks may lead to beside this machine; may be given several times. '*' is everywhere, this network"
    " included. A host may lead wherever its name does.",
)
@click.option("-v", "--verbose", is_flag=True, help="Log more.")
def serve_studio(
    *,
    host: str,
    port: int,
    data: Path,
    records_url: str | None,
    storage: str | None,
    workers: int | str | None,
    templates: tuple[str, ...],
    engine: str,
    api_key: str | None,
    public_url: str | None,
    faults: Path | None,
    webhook_allow: tuple[str, ...],
    verbose: bool,
) -> None:
    """Run the studio on its own, for any client, until Ctrl-C."""
    try:
        from glossi_sync.studio.serve import serve  # noqa: PLC0415
        from glossi_sync.studio.workshop import ENGINES  # noqa: PLC0415
    except ImportError as error:
        _fail_without_extra(error)

    def ready(url: str) -> None:
        click.echo(f"The studio answers at {url}")
        click.echo(f"Its API key lies in {data / 'api-key'}; Ctrl-C stops it.")

    serve(
        data,
        host=host,
        port=port,
        records=records_url,
        storage=storage,
        workers=workers,
        templates=_template_folders(templates),
        engine=ENGINES[engine],
        api_key=api_key,
        public_url=public_url,
        faults=faults,
        webhook_allow=webhook_allow,
        on_ready=ready,
        on_page=lambda address: click.echo(f"Its page, for one browser to open: {address}"),
        log_level="INFO" if verbose else "WARNING",
    )


@command.command("engines")
@format_option("text", "json")
def list_engines(*, form: str) -> None:
    """What renders here, which kinds of models are converted, and how to install what is missing."""
    try:
        from glossi_sync.studio.equipment import equipment  # noqa: PLC0415
    except ImportError as error:
        _fail_without_extra(error)
    _show(
        form,
        [{"kind": item.kind, "name": item.name, "state": item.state, "message": item.message} for item in equipment()],
    )


@command.group("key")
def key_group() -> None:
    """The API keys to the studio's workspaces. A server that runs meanwhile notices a change within two seconds."""


@key_group.command("create")
@click.option("--workspace", default="default", show_default=True, help="What the key is to.")
@click.option("--label", default="", help="A word to know it by, in the list of keys.")
@_data_option
@_records_option
def create_key(*, workspace: str, label: str, data: Path, records_url: str | None) -> None:
    """Make a key to a workspace and print it. It cannot be shown again: only its hash is stored."""
    with _keys(data, records_url) as keys:
        new = keys.create(workspace, label)
    click.echo(new.api_key)
    click.echo(f"This key, {new.key_id}, is to the workspace {workspace}. It is not shown again.", err=True)


@key_group.command("list")
@format_option("text", "json")
@_data_option
@_records_option
def list_keys(*, form: str, data: Path, records_url: str | None) -> None:
    """Every valid key: its ID, workspace, label, age and last use (to the minute); not the key itself."""
    with _keys(data, records_url) as keys:
        found = keys.all()
    _show(
        form,
        [
            {
                "id": key.key_id,
                "workspace": key.workspace,
                "label": key.label,
                "created": _when(key.created_at),
                "lastUsed": "" if key.last_used_at is None else _when(key.last_used_at),
            }
            for key in found
        ],
    )


@key_group.command("revoke")
@click.argument("key_id", metavar="ID")
@_data_option
@_records_option
def revoke_key(*, key_id: str, data: Path, records_url: str | None) -> None:
    """Make a key invalid. The one that lies in the data folder gets a successor there."""
    with _keys(data, records_url) as keys:
        key = keys.revoke(key_id)
    click.echo(f"The key {key.key_id} to the workspace {key.workspace} is revoked.")


@command.group("workspace")
def workspace_group() -> None:
    """The studio's workspaces: each has keys, models, templates and a webhook of its own."""


@workspace_group.command("create")
@click.argument("name")
@_data_option
@_records_option
def create_workspace(*, name: str, data: Path, records_url: str | None) -> None:
    """Make a workspace; 'studio key create --workspace NAME' makes a key to it."""
    with _keys(data, records_url) as keys:
        keys.create_workspace(name)
    click.echo(f"There is a workspace {name} now: make a key to it with 'studio key create --workspace {name}'.")


@workspace_group.command("list")
@format_option("text", "json")
@_data_option
@_records_option
def list_workspaces(*, form: str, data: Path, records_url: str | None) -> None:
    """The workspaces, the oldest first."""
    with _keys(data, records_url) as keys:
        found = keys.workspaces()
    _show(form, [{"name": one.name, "id": one.workspace_id, "created": _when(one.created_at)} for one in found])


@command.command("contact-sheet")
@click.argument("models", metavar="MODEL...", nargs=-1, required=True, type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("contact-sheet.jpg"),
    show_default=True,
    help="The picture to write: .jpg, .webp or .png.",
)
@click.option(
    "--templates",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="A folder of template files to show instead of the studio's own.",
)
@click.option("--bookmark", default="Three Quarter", show_default=True, help="The camera; else a template's first one.")
@click.option(
    "--tile", type=click.IntRange(64, 1024), default=300, show_default=True, help="A picture's side in pixels."
)
def contact_sheet(*, models: tuple[Path, ...], out: Path, templates: Path | None, bookmark: str, tile: int) -> None:
    """Render GLB files on every template into one picture: a column for each template, a row for each model."""
    try:
        from glossi_sync.studio.contact_sheet import write_contact_sheet  # noqa: PLC0415
        from glossi_sync.studio.template import bundled_templates, load_templates  # noqa: PLC0415
    except ImportError as error:
        _fail_without_extra(error)
    shown = load_templates(templates) if templates else bundled_templates()
    write_contact_sheet(models, shown, out, bookmark=bookmark, tile=tile)
    click.echo(f"{out}: {len(models)} models on {len(shown)} templates, {out.stat().st_size // 1024} KB")


def _template_folders(options: tuple[str, ...]) -> dict[str, Path]:
    """The folder of each workspace that has one, by the workspace's name."""
    folders: dict[str, Path] = {}
    for option in options:
        name, equals, folder = option.partition("=")
        if not equals or Path(option).exists():
            name, folder = "default", option
        if name in folders:
            fail(f"--templates names two folders for the workspace {name}: put their files into one")
        folders[name] = Path(folder)
    return folders


def _fail_without_extra(error: ImportError) -> NoReturn:
    fail(f"The studio needs its extra ({error.name} is missing): pip install 'glossi-sync[studio]'")


@contextmanager
def _keys(data: Path, records_url: str | None) -> Iterator[Keys]:
    try:
        from glossi_sync.studio.data_folder import DataFolder  # noqa: PLC0415
        from glossi_sync.studio.keys import keys_of  # noqa: PLC0415
    except ImportError as error:
        _fail_without_extra(error)
    with keys_of(DataFolder(data.absolute()), records_url) as keys:
        yield keys


def _show(form: str, entries: list[dict[str, str]]) -> None:
    if form == "json":
        click.echo(json.dumps(entries, indent=2, ensure_ascii=False))
        return
    from rich.table import Table  # noqa: PLC0415

    from glossi_sync.cli.session import stdout  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in entries[0] if entries else ():
        table.add_column(name, no_wrap=True)
    for entry in entries:
        table.add_row(*entry.values())
    stdout(no_color=False).print(table)


def _when(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
