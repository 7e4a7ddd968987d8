"""``glossi-sync download``: bring finished renders home."""

from __future__ import annotations

import sys
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from random import SystemRandom
from typing import TYPE_CHECKING

import click

from glossi_sync.cli import event_loop, exits
from glossi_sync.cli.completing import bound_addresses
from glossi_sync.cli.errors import fail
from glossi_sync.cli.options import format_option, output_options, service_options, spec_option

if TYPE_CHECKING:
    from glossi_sync.applying import Emit, Fetch, Home, Prunable
    from glossi_sync.cli.session import Session
    from glossi_sync.service import Glossi
    from glossi_sync.spec import Downloads


@click.command("download")
@spec_option
@service_options
@format_option("text", "json")
@click.option("--to", metavar="FOLDER", type=click.Path(path_type=Path), help="The folder, in place of the spec's.")
@click.option(
    "--target",
    "targets",
    multiple=True,
    metavar="ADDRESS",
    shell_complete=bound_addresses,
    help="Only this, and what is made from it; * stands for any characters. May be repeated.",
)
@click.option("--dry-run", is_flag=True, help="Show what would be fetched and removed, and do nothing.")
@click.option("--prune", "pruning", is_flag=True, help="Also remove files that no render of the spec wants any more.")
@click.option("--yes", is_flag=True, help="Do not ask before files are removed.")
@output_options
def command(
    *,
    spec_path: Path,
    endpoint: str | None,
    state_location: str | None,
    form: str,
    to: Path | None,
    targets: tuple[str, ...],
    dry_run: bool,
    pruning: bool,
    yes: bool,
    verbose: bool,
    no_color: bool,
) -> None:
    """Bring finished renders home, to where the spec's `downloads` says.

    Only what is not there yet, or was altered there; an apply does the same at its end. What broke off is gone on with
    where it stopped. --prune removes only what this state has brought home and what is still as it came.
    """
    from glossi_sync.applying import Home, bring_home, prune, source_of  # noqa: PLC0415
    from glossi_sync.cli.session import connect, interactive, open_session, stderr  # noqa: PLC0415
    from glossi_sync.reporting import downloading  # noqa: PLC0415

    if pruning and not (yes or dry_run or interactive()):
        fail("Nobody is here to be asked (no terminal): run `download --prune --yes` to remove files without asking.")
    began = time.monotonic()
    with open_session(spec_path, endpoint, state_location, create=False) as session:
        downloads = _downloads(session, spec_path, to)
        json = downloading.download_lines(click.echo)

        async def bring() -> tuple[tuple[Fetch, ...], Home, Prunable]:
            async with connect(session.spec, verbose=verbose) as service:
                fetches, prunable = await _look(
                    session, downloads, service, targets, pruning=pruning, writing=not dry_run
                )
                home = Home()
                if fetches and not dry_run:
                    source = source_of(downloads, service)
                    lines: AbstractContextManager[Emit] = nullcontext(json)
                    bar = downloading.download_progress(stderr(no_color), len(fetches))
                    with lines if form == "json" else bar as emit:
                        home = await bring_home(
                            downloads, fetches, source, session.state, emit, previous=session.previous
                        )
                return fetches, home, prunable

        with _alone(session, dry_run=dry_run):
            fetches, home, prunable = event_loop.run(bring())
            if dry_run:
                click.echo("\n".join(downloading.due_lines(fetches, prunable, form)))
                return
            if prunable.unaltered and not yes:
                click.echo("\n".join(downloading.due_lines((), prunable, "text")), err=True)
                if not click.confirm("\nRemove them?", err=True):
                    prunable = replace(prunable, unaltered=())
            emit = json if form == "json" else downloading.plain_lines(stderr(no_color))
            removed = len(prune(downloads.to, prunable, session.state, emit))
    click.echo(downloading.download_end(home, removed, prunable, time.monotonic() - began, form))
    sys.exit(exits.PARTLY if home.failed else exits.DONE)


def _downloads(session: Session, spec_path: Path, to: Path | None) -> Downloads:
    from glossi_sync.spec import Downloads  # noqa: PLC0415

    downloads = session.spec.downloads
    if downloads is not None:
        return downloads if to is None else replace(downloads, to=to)
    if to is None:
        fail(f"{spec_path} has no `downloads`: say there, or with --to, where finished renders are to go.")
    return Downloads(to)


def _alone(session: Session, *, dry_run: bool) -> AbstractContextManager[None]:
    """Two that fetch at once would write into the same files. A state that does not exist yet has nothing to fetch."""
    from glossi_sync.applying import new_id  # noqa: PLC0415
    from glossi_sync.cli.session import holder  # noqa: PLC0415

    if dry_run or not session.state.lineage:
        return nullcontext()
    return session.state.lock(holder(new_id(SystemRandom()), "glossi-sync download"))


async def _look(
    session: Session, downloads: Downloads, service: Glossi, targets: tuple[str, ...], pruning: bool, writing: bool
) -> tuple[tuple[Fetch, ...], Prunable]:
    """What is to be fetched, and what nothing wants any more."""
    from glossi_sync.applying import Prunable, plan_downloads, plan_prune  # noqa: PLC0415
    from glossi_sync.planning.scope import matching, with_children  # noqa: PLC0415
    from glossi_sync.state import PutDownload  # noqa: PLC0415

    state = session.state
    desired = (await session.survey(session.hash_models(), service)).desired
    due = plan_downloads(downloads, desired, state.realised(), state)
    if due.touched and writing:
        state.write([PutDownload(one) for one in due.touched])
    prunable = plan_prune(downloads, due, desired, state.downloads()) if pruning else Prunable()
    if not targets:
        return due.fetches, prunable
    wanted = with_children(matching(targets, desired, "--target"), desired)
    return tuple(fetch for fetch in due.fetches if fetch.address in wanted), prunable
