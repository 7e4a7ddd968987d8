"""``glossi-sync watch``: apply again and again, whenever there is a reason."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from glossi_sync.cli.durations import duration
from glossi_sync.cli.options import (
    format_option,
    in_doubt_option,
    output_options,
    parallelism_option,
    service_options,
    spec_option,
)

if TYPE_CHECKING:
    from glossi_sync.watching import Triggers


def place(text: str) -> tuple[str, int]:
    """``PORT`` or ``HOST:PORT``; without a host it is this machine alone."""
    host, _, port = text.rpartition(":")
    if not port.isdecimal() or int(port) > 65535:
        raise click.BadParameter(f"{text!r} is neither a port nor HOST:PORT")
    return host.removeprefix("[").removesuffix("]") or "127.0.0.1", int(port)


@click.command("watch")
@spec_option
@service_options
@format_option("text", "json")
@click.option(
    "--every",
    type=duration,
    default="10m",
    show_default=True,
    help="Also run when so much time has passed: 30s, 10m, 2h. What has changed at the service is found so.",
)
@click.option(
    "--still",
    type=duration,
    default="2s",
    show_default=True,
    help="A file must not have changed for so long: what is still being copied is not uploaded.",
)
@click.option(
    "--listen",
    type=place,
    metavar="[HOST:]PORT",
    help="Receive the webhook's deliveries, as `webhook listen` does, and run because of them.",
)
@click.option(
    "--metrics-port",
    type=place,
    metavar="[HOST:]PORT",
    help="Serve /metrics for Prometheus, /healthz and /readyz.",
)
@click.option("--no-download", is_flag=True, help="Leave finished renders at the service.")
@in_doubt_option
@parallelism_option
@output_options
def command(
    *,
    spec_path: Path,
    endpoint: str | None,
    state_location: str | None,
    form: str,
    every: float,
    still: float,
    listen: tuple[str, int] | None,
    metrics_port: tuple[str, int] | None,
    no_download: bool,
    in_doubt: str,
    parallelism: int | None,
    verbose: bool,
    no_color: bool,
) -> None:
    """Apply whenever there is a reason: the spec or a model's file has changed, time has passed, an event has come.

    One run at a time; what changes meanwhile causes exactly one more. A bad spec is told, and waited for; a failed run
    is tried again, ever later. SIGTERM or Ctrl-C: nothing new starts, what is under way is finished and recorded, and
    the exit code is 0; a second one stops at once.
    """
    from glossi_sync.cli.run import Wishes  # noqa: PLC0415
    from glossi_sync.cli.session import report  # noqa: PLC0415
    from glossi_sync.cli.watched import EVENT, FILES, START, Beside, Runs, closing_beside, new_receiver  # noqa: PLC0415
    from glossi_sync.receiving import Told, receiving  # noqa: PLC0415
    from glossi_sync.reporting import Report  # noqa: PLC0415
    from glossi_sync.reporting.deliveries import delivery_line  # noqa: PLC0415
    from glossi_sync.reporting.quiet import QuietReport  # noqa: PLC0415
    from glossi_sync.watching import Backoff, Stillness, Triggers, watch  # noqa: PLC0415
    from glossi_sync.watching.folders import FolderWatch  # noqa: PLC0415
    from glossi_sync.watching.metrics import Metrics, serving  # noqa: PLC0415

    triggers = Triggers()
    wishes = Wishes(
        spec_path,
        endpoint,
        state_location,
        download=not no_download,
        in_doubt=in_doubt,
        verbose=verbose,
        parallelism=parallelism,
    )

    def say(line: str) -> None:
        click.echo(line, err=True)

    folders = FolderWatch(lambda path: triggers.pull(f"{FILES} ({path})" if verbose else FILES), say)
    metrics = None if metrics_port is None else Metrics()
    beside = receiver = None
    ending = Ending(triggers)
    with ending.by_signal(), ExitStack() as open_things:
        open_things.callback(folders.close)
        if metrics_port is not None and metrics is not None:
            port = open_things.enter_context(serving(metrics, *metrics_port))
            say(f"Metrics and probes on http://{metrics_port[0]}:{port}")
        if listen is not None:
            beside = Beside(wishes, triggers)

            def told(one: Told) -> None:
                click.echo(delivery_line(one, form, time.time()), err=form == "text")
                if metrics is not None:
                    metrics.delivered(one.verdict.status)

            receiver = new_receiver(beside, told)
            open_things.enter_context(closing_beside(beside))
            port = open_things.enter_context(receiving(receiver, *listen))
            say(f"Listening for deliveries on http://{listen[0]}:{port}")

        def tell() -> Report:
            told_by = report(form, no_color=no_color, verbose=verbose)
            return QuietReport(told_by) if form == "text" else told_by

        runs = Runs(
            wishes,
            tell,
            say,
            Stillness(still),
            folders,
            metrics,
            beside,
            receiver,
            ending.breaking_off,
        )
        triggers.pull(START)
        watch(runs, triggers, Backoff(), every=every, answered=lambda reason: reason == EVENT)
    say("Stopped.")


class Ending:
    """What Ctrl-C and SIGTERM do to a watch: no run begins any more; while an apply runs, they are its own
    (``run.stopping``).
    """

    def __init__(self, triggers: Triggers) -> None:
        self._triggers = triggers
        self._breakable = False

    @contextmanager
    def by_signal(self) -> Iterator[None]:
        """The block, which they end."""
        signals = (signal.SIGINT, signal.SIGTERM)
        former = [signal.signal(one, self._end) for one in signals]
        try:
            yield
        except KeyboardInterrupt:
            pass
        finally:
            for one, handler in zip(signals, former, strict=True):
                signal.signal(one, handler)

    @contextmanager
    def breaking_off(self) -> Iterator[None]:
        """The block, which they break off wherever it is."""
        self._breakable = True
        try:
            yield
        finally:
            self._breakable = False

    def _end(self, *_: object) -> None:
        self._triggers.stop()
        # Not anywhere: raised while the collector calls back, it would be printed and forgotten.
        if self._breakable:
            raise KeyboardInterrupt
