"""``glossi-sync apply``: make it so."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from glossi_sync.cli import exits
from glossi_sync.cli.durations import duration
from glossi_sync.cli.options import (
    chosen_planning_options,
    format_option,
    given,
    output_options,
    parallelism_option,
    planning_options,
    service_options,
    spec_option,
)

if TYPE_CHECKING:
    from glossi_sync.cli.run import Ran
    from glossi_sync.planning.reviewed import Options, Reviewed


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
@click.option("--no-wait", is_flag=True, help="Start what can be started, and leave the service to its work.")
@click.option("--timeout", type=duration, metavar="DURATION", help="Stop gently after 90s, 20m or 2h: exit code 3.")
@parallelism_option
@planning_options
@output_options
@click.argument("plan_path", metavar="[PLAN]", required=False, type=click.Path(path_type=Path))
def command(
    *,
    plan_path: Path | None,
    spec_path: Path,
    endpoint: str | None,
    state_location: str | None,
    form: str,
    yes: bool,
    uploads: int,
    no_download: bool,
    no_wait: bool,
    timeout: float | None,
    parallelism: int | None,
    options: Options,
    verbose: bool,
    no_color: bool,
) -> None:
    """Make it so: create, upload, confirm, render and retry what is needed, and nothing else.

    Shows the plan and asks, unless --yes. PLAN is a file that `plan --out` has saved: then nothing is asked, and
    nothing is done unless the saved plan is still exactly what would happen.

    Ctrl-C once: nothing new starts, and what is under way is finished and recorded. Twice: stops at once; the next
    apply knows how far this one came.
    """
    from glossi_sync.cli.run import NotAgreed, Wishes, run_once, told_to_the_end  # noqa: PLC0415
    from glossi_sync.cli.session import interactive, report  # noqa: PLC0415

    tell = report(form, no_color=no_color, verbose=verbose)
    with told_to_the_end(tell):
        reviewed = None if plan_path is None else _reviewed(plan_path)
        if not (yes or reviewed is not None or interactive()):
            raise NotAgreed("Nobody is here to be asked (no terminal): run `apply --yes` to go ahead without asking.")
    if reviewed is not None:
        options = reviewed.made.options
        endpoint = endpoint or reviewed.made.endpoint
        if not given("spec_path"):
            spec_path = Path(reviewed.made.spec_file)
    wishes = Wishes(
        spec_path,
        endpoint,
        state_location,
        uploads=uploads,
        download=not no_download,
        retry_failed=options.retry_failed,
        in_doubt=options.in_doubt,
        refresh=options.refresh,
        allow_large_change=options.allow_large_change,
        verbose=verbose,
        scope=options.scope,
        reviewed=reviewed,
        parallelism=parallelism,
        wait=not no_wait,
        timeout=timeout,
    )
    ran = run_once(
        wishes,
        tell,
        command="apply",
        agreed=lambda plan: yes or reviewed is not None or plan.is_empty or agreed(),
    )
    sys.exit(code_of(ran))


def _reviewed(path: Path) -> Reviewed:
    from glossi_sync.reporting.saved_plan import NotAPlan, read_plan  # noqa: PLC0415

    chosen = ", ".join(chosen_planning_options())
    if chosen:
        raise NotAPlan(f"{path} was made with options of its own: leave out {chosen}, or give them to `plan --out`.")
    return read_plan(path)


def agreed() -> bool:
    """Whether the user wants the plan to be applied.

    Ctrl-C is an answer here: asyncio's own handling of it would only take note, and go on waiting for another.
    """
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return click.confirm("\nApply this plan?", err=True)
    finally:
        signal.signal(signal.SIGINT, former)


def code_of(ran: Ran) -> int:
    """The exit code that an apply ends with (contract, "Exit codes"). What was not to be waited for is no trouble."""
    if ran.applied.stopped:
        return exits.PARTLY if ran.time_is_up else exits.INTERRUPTED
    return exits.PARTLY if ran.applied.failed or ran.applied.skipped or ran.home.failed else exits.DONE
