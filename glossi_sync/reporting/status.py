"""Status: every address, how far it is, since when, and what went wrong."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from rich.table import Table
from rich.text import Text

from glossi_sync.resources import LIFECYCLES
from glossi_sync.state import Object

UUID_WIDTH = 36
"""An id is there to be copied: it is never cut short."""


@dataclass(frozen=True, slots=True)
class StatusRow:
    """One address; ``age`` is in seconds since it entered its phase, None where it has never been realised."""

    address: str
    phase: str
    remote_id: str | None = None
    age: float | None = None
    error: str | None = None
    good: bool = False


def status_rows(bound: Iterable[tuple[str, Object | None]], now: float) -> list[StatusRow]:
    """The rows for addresses and the objects that they are bound to."""
    rows = []
    for address, one in bound:
        if one is None:
            rows.append(StatusRow(address, "not realised"))
        else:
            good = one.phase is LIFECYCLES[one.kind].complete
            age = max(now - one.since, 0.0)
            rows.append(StatusRow(address, one.phase.value, one.remote_id, age, one.error, good))
    return rows


def status_document(rows: Iterable[StatusRow]) -> list[dict[str, Any]]:
    """The rows as JSON values, with the names that the other documents use; ``age`` in seconds."""
    return [
        {
            "address": row.address,
            "phase": row.phase,
            "complete": row.good,
            "remoteId": row.remote_id,
            "age": row.age,
            "error": row.error,
        }
        for row in rows
    ]


def status_text(rows: Iterable[StatusRow]) -> Table:
    """The rows as a table for a terminal."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("address", "phase", "since"):
        table.add_column(heading, no_wrap=True)
    table.add_column("id", no_wrap=True, min_width=UUID_WIDTH)
    for row in rows:
        style = "green" if row.good else "red" if row.error else "yellow"
        since = "" if row.age is None else f"{age(row.age)} ago"
        table.add_row(row.address, Text(row.phase, style=style), since, row.remote_id or "")
        if row.error:
            table.add_row("", Text(row.error, style="red"))
    return table


def age(seconds: float) -> str:
    """A duration in its largest unit: ``42 s``, ``7 min``, ``3 h``, ``12 d``."""
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length:.0f} {unit}"
    return f"{seconds:.0f} s"
