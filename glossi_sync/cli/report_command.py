"""``glossi-sync report``: one HTML page of what was made."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from glossi_sync.cli.options import service_options, spec_option

if TYPE_CHECKING:
    from glossi_sync.cli.session import Session
    from glossi_sync.reporting.page import Page


@click.command("report")
@spec_option
@service_options
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("report.html"),
    show_default=True,
    help="The file that is written.",
)
@click.option("--run", "run_id", metavar="ID", help="Only what this run has touched; `glossi-sync history` lists them.")
@click.option("--link", is_flag=True, help="Link to the pictures where they lie, in place of small ones in the page.")
@click.option(
    "--limit",
    type=click.IntRange(1),
    default=500,
    show_default=True,
    help="The most products on the page; those in trouble come first.",
)
@click.option(
    "--videos",
    "video_megabytes",
    type=click.FloatRange(0),
    default=4.0,
    show_default=True,
    metavar="MB",
    help="Put videos up to this size into the page; larger ones are linked.",
)
def command(
    *,
    spec_path: Path,
    endpoint: str | None,
    state_location: str | None,
    out: Path,
    run_id: str | None,
    link: bool,
    limit: int,
    video_megabytes: float,
) -> None:
    """One HTML page of all products: pictures, videos, phases, errors, and what changed.

    It is made from the state and from the files that are at home, and asks no service. The page opens from disk and
    needs nothing else, unless --link is given. Where a render replaced another, both are shown with what differs.
    """
    from rich.progress import Progress  # noqa: PLC0415

    from glossi_sync.cli.session import open_session, stderr  # noqa: PLC0415
    from glossi_sync.reporting.page import Style, summary, write_page  # noqa: PLC0415

    console = stderr(no_color=False)
    style = Style(link, limit, int(video_megabytes * 1_000_000))
    with open_session(spec_path, endpoint, state_location, create=False) as session:
        page = _page(session, run_id)
        with Progress(console=console, transient=True, disable=not console.is_terminal) as bars:
            bar = bars.add_task("pictures", total=None)
            written = write_page(page, out, style, tell=lambda done, of: bars.update(bar, completed=done, total=of))
    click.echo(summary(written, out))


def _page(session: Session, run_id: str | None) -> Page:
    from glossi_sync.applying import Previous  # noqa: PLC0415
    from glossi_sync.cli.runs import named_run  # noqa: PLC0415
    from glossi_sync.reporting.page import Memory, page_of, page_of_run  # noqa: PLC0415

    state, downloads = session.state, session.spec.downloads
    runs = state.runs()
    memory = Memory(
        inputs=state.inputs,
        files=state.files,
        downloads=state.downloads(),
        runs=runs,
        folder=None if downloads is None else downloads.to,
        previous=Previous.in_folder(session.previous),
    )
    workspace, service, now = session.spec.workspace, session.service_name, time.time()
    if run_id is None:
        return page_of(workspace, service, state.realised(), memory, at=now)
    run = named_run(run_id, runs)
    earlier = next((one for one in runs if one.ended is not None and one.started < run.started), None)
    found = {} if earlier is None else state.bindings_after(earlier.run_id)
    left = state.bindings_after(run.run_id)
    return page_of_run(workspace, service, run, state.realised(), memory, left=left, found=found, at=now)
