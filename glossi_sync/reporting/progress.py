"""Progress on a terminal: a line for each resource while they are few, totals and a bar when they are many."""

from __future__ import annotations

from collections.abc import Iterable
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars
from rich.table import Table
from rich.text import Text

from glossi_sync.applying import Event
from glossi_sync.applying.events import (
    Downloaded,
    Failed,
    Noted,
    Reached,
    Recorded,
    Skipped,
    StepTaken,
    Stopping,
    Uploading,
    Waiting,
)
from glossi_sync.planning.explain import size
from glossi_sync.reporting.events import STOPPING, WORDS

FEW = 24


class Progress:
    """A live display on ``console``, used as a context manager; call it with each event.

    Failures and notes stay on the screen above the display.
    """

    def __init__(self, console: Console, addresses: Iterable[str]) -> None:
        self._console = console
        self._states: dict[str, tuple[str, str]] = dict.fromkeys(addresses, ("waiting", "bright_black"))
        self._sent: dict[str, int] = {}
        self._many = len(self._states) > FEW
        self._bars = Bars(
            TextColumn("{task.description}"),
            BarColumn(bar_width=40),
            MofNCompleteColumn(),
            TextColumn("{task.fields[now]}", style="bright_black"),
            TimeElapsedColumn(),
            console=console,
        )
        self._bar = self._bars.add_task("applying", total=len(self._states), now="")
        self._fetched = 0
        self._live = Live(get_renderable=self._picture, console=console, refresh_per_second=8, transient=self._many)

    def __enter__(self) -> Progress:
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.__exit__(kind, error, trace)

    def __call__(self, event: Event) -> None:
        match event:
            case StepTaken(address, step, _):
                self._states[address] = (WORDS.get(step, step), "cyan")
            case Uploading(address, sent, total):
                self._sent[address] = sent
                self._states[address] = (f"uploading {size(sent)} of {size(total)}", "cyan")
            case Waiting(address, status):
                self._states[address] = (f"{status.lower()} …", "cyan")
            case Reached(address, phase) | Recorded(address, phase):
                self._done(address, phase, "green")
            case Failed(address, error):
                self._done(address, "failed", "red")
                self._say(f"{address}: {error}", "red")
            case Skipped(address, reason):
                self._done(address, f"skipped, {reason}", "yellow")
            case Noted(address, message):
                self._say(f"{address}: {message}", "bright_black")
            case Downloaded():
                self._fetched += 1
            case Stopping():
                self._say(STOPPING, "yellow")

    def _done(self, address: str, text: str, style: str) -> None:
        self._states[address] = (text, style)
        self._bars.advance(self._bar)

    def _say(self, text: str, style: str) -> None:
        self._live.console.print(Text(text, style=style), soft_wrap=True)

    def _picture(self) -> Table | Bars:
        if self._many:
            sent = sum(self._sent.values())
            self._bars.update(self._bar, now=f"{size(sent)} sent" if sent else "")
            return self._bars
        table = Table.grid(padding=(0, 2))
        for address, (text, style) in self._states.items():
            table.add_row(Text("  " + address), Text(text, style=style))
        if self._fetched:
            table.add_row(Text("  downloads"), Text(f"{self._fetched} files brought home", style="green"))
        return table
