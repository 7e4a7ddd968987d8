"""``glossi-sync studio``: the service itself, on this machine."""

from __future__ import annotations

from pathlib import Path

import click

from glossi_sync.cli.errors import fail


@click.group("studio")
def command() -> None:
    """The Glossi service itself, on this machine: the documented API, with real pictures."""


@command.command("serve")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8470, show_default=True, help="0 takes a free one.")
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("state/studio"),
    show_default=True,
    help="The folder of its records and files.",
)
@click.option("--workers", type=click.IntRange(1, 256), help="Rendering processes. [default: one for each core]")
@click.option(
    "--templates",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="A folder of template files, which appear as the workspace's own.",
)
@click.option("--api-key", envvar="GLOSSI_STUDIO_KEY", show_envvar=True, help="A key of your choice, beside its own.")
@click.option("--public-url", help="The origin under which clients reach it, where it is behind a proxy.")
@click.option("-v", "--verbose", is_flag=True, help="Log more.")
def serve_studio(
    *,
    host: str,
    port: int,
    data: Path,
    workers: int | None,
    templates: Path | None,
    api_key: str | None,
    public_url: str | None,
    verbose: bool,
) -> None:
    """Run the studio on its own, for any client, until Ctrl-C."""
    try:
        from glossi_sync.studio.serve import serve  # noqa: PLC0415
    except ImportError as error:
        fail(f"The studio needs its extra ({error.name} is missing): pip install 'glossi-sync[studio]'")

    def ready(url: str) -> None:
        click.echo(f"The studio answers at {url}")
        click.echo(f"Its API key lies in {data / 'api-key'}; Ctrl-C stops it.")

    serve(
        data,
        host=host,
        port=port,
        workers=workers,
        templates=templates,
        api_key=api_key,
        public_url=public_url,
        on_ready=ready,
        log_level="INFO" if verbose else "WARNING",
    )
