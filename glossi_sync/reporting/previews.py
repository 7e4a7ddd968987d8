"""Previews: what a plan's pictures will look like, rendered beforehand and small; here only told of."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from glossi_sync.applying import Emit, Event
from glossi_sync.applying.events import Failed, Reached, Skipped


@dataclass(frozen=True, slots=True)
class Preview:
    """A project's preview: its pictures, or a sentence why there are none.

    ``pictures`` are paths with slashes below the previews' folder. ``note`` may stand beside pictures, too: where they
    were not taken on the template itself.
    """

    address: str
    pictures: tuple[str, ...] = ()
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Previews:
    """The previews of a plan. ``where`` is their folder as a reader of the plan finds it: a path, or a URL.

    ``left_out`` counts the projects beyond the limit.
    """

    where: str = "."
    made: tuple[Preview, ...] = ()
    left_out: int = 0

    def links(self, preview: Preview) -> list[str]:
        """Where a reader of the plan finds the pictures of one of them."""
        return [f"{self.where.rstrip('/')}/{picture}" for picture in preview.pictures]

    @property
    def remark(self) -> str | None:
        """What is to be said of those that are left out."""
        if not self.left_out:
            return None
        which = "1 more project changes and has" if self.left_out == 1 else f"{self.left_out:,} more change and have"
        return f"{which} no preview (--preview-limit)."


def previews_text(previews: Previews) -> str:
    """The previews in lines: where each picture lies, and what there is to know of it."""
    lines = []
    for preview in previews.made:
        lines += [f"Preview of {preview.address}: {link}" for link in previews.links(preview)]
        lines += [f"Preview of {preview.address}: {preview.note}"] if preview.note is not None else []
    lines += [previews.remark] if previews.remark is not None else []
    return "".join(f"{line}\n" for line in lines)


def previews_document(previews: Previews) -> list[dict[str, Any]]:
    """The previews as JSON values."""
    return [
        {"address": one.address, "pictures": previews.links(one), **({} if one.note is None else {"note": one.note})}
        for one in previews.made
    ]


@contextmanager
def drawing(console: Console, projects: int) -> Iterator[Emit]:
    """A listener for the events of the previews' making, which shows on a terminal how many are done."""
    columns = (TextColumn("rendering previews"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        bar = bars.add_task("", total=projects)

        def tell(event: Event) -> None:
            if isinstance(event, Reached | Failed | Skipped) and event.address.startswith("render."):
                bars.advance(bar)

        yield tell
