"""Progress on a terminal: a line for each resource while they are few, totals and a bar when they are many."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from types import TracebackType

from rich.console import Console, Group
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
_QUIET = "bright_black"


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
            BarColumn(bar_width=min(40, console.width // 3)),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
        )
        self._bar = self._bars.add_task("applying", total=len(self._states))
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

    def _picture(self) -> Table | Group:
        if self._many:
            return Group(self._bars, self._under_way())
        table = Table.grid(padding=(0, 2))
        for address, (text, style) in self._states.items():
            table.add_row(Text("  " + address), Text(text, style=style))
        if self._fetched:
            table.add_row(Text("  downloads"), Text(f"{self._fetched} files brought home", style="green"))
        return table

    def _under_way(self) -> Text:
        """``12 uploading (4.8 MB sent) · 30 queued · 8 rendering · 2 failed``"""
        counts = Counter(
            (text.split(maxsplit=1)[0].rstrip("…,"), style)
            for text, style in self._states.values()
            if style in ("cyan", "red", "yellow")
        )
        told = [(f"{count:,} {doing}", style) for (doing, style), count in sorted(counts.items(), key=_by_trouble)]
        told += [(f"{size(sum(self._sent.values()))} sent", _QUIET)] if self._sent else []
        told += [(f"{self._fetched:,} files brought home", "green")] if self._fetched else []
        return Text(" · ", style=_QUIET).join(Text(text, style=style) for text, style in told)


def _by_trouble(counted: tuple[tuple[str, str], int]) -> tuple[bool, str]:
    """What is under way first, what went wrong last."""
    (doing, style), _ = counted
    return style != "cyan", doing
