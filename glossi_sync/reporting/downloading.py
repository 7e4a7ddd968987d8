"""A ``download``, told as it goes and at its end: for a terminal, a log, or as JSON lines for a program."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from glossi_sync.applying import Emit, Event, Fetch, Home, Prunable
from glossi_sync.applying.events import Downloaded, Failed, Noted
from glossi_sync.planning.explain import size
from glossi_sync.reporting.events import EventLines, JsonLines, json_line

_MOST_NAMED = 5


@contextmanager
def download_progress(console: Console, files: int) -> Iterator[Emit]:
    """A listener for the events of a download of so many files: a bar on a terminal, plain lines elsewhere."""
    if not console.is_terminal:
        yield plain_lines(console)
        return
    bars = Progress(
        TextColumn("bringing home"),
        BarColumn(bar_width=40),
        MofNCompleteColumn(),
        TextColumn("{task.fields[brought]}", style="bright_black"),
        TimeElapsedColumn(),
        console=console,
        transient=True,
    )
    with bars:
        bar = bars.add_task("", total=files, brought="")
        total = 0

        def tell(event: Event) -> None:
            nonlocal total
            match event:
                case Downloaded(_, _, brought):
                    total += brought
                    bars.update(bar, advance=1, brought=size(total))
                case Failed(address, error):
                    bars.update(bar, advance=1)
                    console.print(Text(f"{address}: {error}", style="red"), soft_wrap=True)
                case Noted(address, message):
                    console.print(Text(f"{address}: {message}", style="bright_black"), soft_wrap=True)

        yield tell


def download_lines(write: Callable[[str], None]) -> Emit:
    """A listener that tells each event as a line of JSON."""
    return JsonLines(write)


def plain_lines(console: Console) -> Emit:
    """A listener that tells each event as a line of text."""
    return EventLines(lambda line: console.print(line, markup=False, soft_wrap=True))


def due_lines(fetches: Sequence[Fetch], prunable: Prunable, form: str) -> list[str]:
    """What would happen: a line for each file, and how many they are; as ``text``, or each line as ``json``."""
    if form == "json":
        lines = [json_line("due", {"address": one.address, "path": one.path, "why": _why(one)}) for one in fetches]
        lines += [json_line("prunable", {"path": one.path, "size": one.size}) for one in prunable.unaltered]
        counts = {"due": len(fetches), "prunable": len(prunable.unaltered), "altered": _altered(prunable)}
        return [*lines, json_line("summary", counts)]
    lines = [f"  + {one.path}  ({one.address}; {_why(one)})" for one in fetches]
    lines += [f"  - {one.path}" for one in prunable.unaltered]
    told = [f"{len(fetches)} to bring home"] if fetches else []
    if prunable.unaltered:
        told.append(f"{len(prunable.unaltered)} to remove ({size(sum(one.size for one in prunable.unaltered))})")
    return [*lines, f"Files: {', '.join(told)}." if told else "Everything is at home already.", *_left_alone(prunable)]


def download_end(home: Home, removed: int, prunable: Prunable, seconds: float, form: str) -> str:
    """What has happened, as ``text`` or as the last line of ``json``."""
    if form == "json":
        fetched = {"fetched": home.fetched, "bytes": home.size, "failed": dict(home.failed)}
        ended = {"downloads": fetched, "removed": removed, "altered": _altered(prunable), "seconds": round(seconds, 3)}
        return json_line("summary", ended)
    lines = [f"Brought home: {home.fetched}."] if home.fetched or home.failed else []
    lines += [f"Removed: {removed}."] if removed else []
    lines = lines or ["Everything is at home already."]
    lines += _left_alone(prunable)
    return "\n".join([*lines, *(f"  {address}: {reason}" for address, reason in home.failed.items())])


def _why(fetch: Fetch) -> str:
    if fetch.altered is not None:
        return "altered here"
    return "missing" if fetch.replaces is None else "rendered anew"


def _altered(prunable: Prunable) -> list[str]:
    return [one.path for one in prunable.altered]


def _left_alone(prunable: Prunable) -> list[str]:
    if not prunable.altered:
        return []
    more = len(prunable.altered) - _MOST_NAMED
    named = ", ".join(_altered(prunable)[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
    return [f"Left alone, since they were altered here: {named}."]
