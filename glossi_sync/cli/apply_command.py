"""``glossi-sync apply``: make it so."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import SystemRandom
from typing import TYPE_CHECKING

import click

from glossi_sync.cli import exits
from glossi_sync.cli.errors import fail, sentence_of
from glossi_sync.cli.options import (
    format_option,
    in_doubt_option,
    output_options,
    refresh_option,
    retry_failed_option,
    service_options,
    spec_option,
)
from glossi_sync.errors import UserError

if TYPE_CHECKING:
    from glossi_sync.applying import Applied, Emit, Home, Stop
    from glossi_sync.reporting import Report


@click.command("apply")
@spec_option
@service_options
@format_option("text", "json")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option(
    "--uploads",
    type=click.IntRange(1, 64),
    default=8,
    show_default=True,
    help="Large files (8 MB or more) sent at a time; small ones share their places.",
)
@click.option("--no-download", is_flag=True, help="Leave finished renders at the service.")
@retry_failed_option
@in_doubt_option
@refresh_option
@click.option("--allow-large-change", is_flag=True, help="Go ahead although much is replaced or forgotten (guard).")
@output_options
def command(
    *,
    spec_path: Path,
    endpoint: str | None,
    state_location: str | None,
    form: str,
    yes: bool,
    uploads: int,
    no_download: bool,
    retry_failed: bool,
    in_doubt: str,
    refresh: str,
    allow_large_change: bool,
    verbose: bool,
    no_color: bool,
) -> None:
    """Make it so: create, upload, confirm, render and retry what is needed, and nothing else.

    Shows the plan and asks, unless --yes. Ctrl-C once: nothing new starts, and what is under way is finished and
    recorded. Twice: stops at once; the next apply knows how far this one came.
    """
    from glossi_sync.applying import Home, Setup, Stop, apply, model_files, new_id  # noqa: PLC0415
    from glossi_sync.cli.session import connect, fetch_home, holder, interactive, open_session, report  # noqa: PLC0415
    from glossi_sync.planning import LargeChange, Refresh  # noqa: PLC0415

    if not (yes or interactive()):
        fail("Nobody is here to be asked (no terminal): run `apply --yes` to go ahead without asking.")
    rng = SystemRandom()
    run_id = new_id(rng)
    tell = report(form, no_color=no_color, verbose=verbose)
    with (
        told_to_the_end(tell),
        open_session(spec_path, endpoint, state_location, create=True) as session,
        session.state.lock(holder(run_id, "glossi-sync apply")),
    ):
        spec = session.spec
        hashed = session.hash_files()
        policy = session.policy(retry_failed=retry_failed, in_doubt=in_doubt, allow_large_change=allow_large_change)

        async def run() -> int:
            async with connect(spec, verbose=verbose) as service:
                surveyed = await session.survey(hashed.models, service, policy=policy, refresh=Refresh(refresh))
                tell.plan(surveyed.plan, session.service_name)
                if surveyed.plan.excess is not None:
                    raise LargeChange(surveyed.plan.excess)
                if not (yes or surveyed.plan.is_empty or agreed()):
                    raise NotAgreed("Nothing was changed.")
                began = time.monotonic()
                stop = Stop()
                home = Home()
                with tell.progress(surveyed.plan) as emit, stopping(stop, emit):
                    setup = Setup(
                        service=service,
                        state=session.state,
                        desired=surveyed.desired,
                        realised=surveyed.realised,
                        file_of=model_files(spec, hashed.remote),
                        policy=policy,
                        emit=emit,
                        stop=stop,
                        keep_secret=session.keep_secret(),
                        clock=time.time,
                        rng=rng,
                        uploads=uploads,
                    )
                    applied = await apply(surveyed.plan, setup, run_id=run_id, command="apply")
                    if not (no_download or stop.requested):
                        home = await fetch_home(session, surveyed.desired, service, emit)
                tell.end(applied, home, time.monotonic() - began)
                return code_of(applied, home)

        code = asyncio.run(run())
    sys.exit(code)


class NotAgreed(UserError):
    """The user was asked, and does not want the plan to be applied."""


@contextmanager
def told_to_the_end(tell: Report) -> Iterator[None]:
    """Where an error ends the block, the report tells what has happened until then."""
    began = time.monotonic()
    try:
        yield
    except BrokenPipeError:
        raise  # nobody reads it any more
    except (Exception, KeyboardInterrupt) as error:
        tell.broken_off(sentence_of(error) or f"{type(error).__name__}: {error}", time.monotonic() - began)
        raise


def agreed() -> bool:
    """Whether the user wants the plan to be applied.

    Ctrl-C is an answer here: asyncio's own handling of it would only take note, and go on waiting for another.
    """
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return click.confirm("\nApply this plan?", err=True)
    finally:
        signal.signal(signal.SIGINT, former)


def code_of(applied: Applied, home: Home) -> int:
    """The exit code that an apply ends with (contract, "Exit codes")."""
    if applied.stopped:
        return exits.INTERRUPTED
    return exits.DONE if applied.converged and not home.failed else exits.PARTLY


@contextmanager
def stopping(stop: Stop, emit: Emit) -> Iterator[None]:
    """While the block runs, the first Ctrl-C (or SIGTERM) asks for a stop, and the second cancels what is under way."""
    from glossi_sync.applying.events import Stopping  # noqa: PLC0415

    loop = asyncio.get_running_loop()
    task = asyncio.current_task()

    def interrupt() -> None:
        if stop.requested and task is not None:
            task.cancel()
        elif not stop.requested:
            emit(Stopping())
            stop.request()

    signals = (signal.SIGINT, signal.SIGTERM)
    former = {one: signal.getsignal(one) for one in signals}
    for one in signals:
        # signal.signal rather than the loop's own handlers, which Windows does not have.
        signal.signal(one, lambda *_: loop.call_soon_threadsafe(interrupt))
    try:
        yield
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
    finally:
        for one, handler in former.items():
            signal.signal(one, handler)
