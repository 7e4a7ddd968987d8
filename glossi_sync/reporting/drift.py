"""Drift for people, for programs, and for an issue or a chat: what the service no longer has as it was made."""

from __future__ import annotations

from collections import Counter
from typing import Any

from rich.text import Text

from glossi_sync.planning.drift import Drift
from glossi_sync.reporting.markdown import MOST_BYTES, byte_size, code, marker, shown
from glossi_sync.reporting.plan_text import Page
from glossi_sync.reporting.words import arrows, counted

FORMAT = 1
_END_BYTES = 600
_WHAT_NEXT = "`glossi-sync plan --refresh full` shows what an apply does about it."


def drift_line(drift: Drift) -> str:
    """``Drift: 2 of 48 objects are not as they were made: 1 lost, 1 changed.``"""
    if not drift.deviations:
        return f"No drift: {counted(drift.looked_at, 'object')} looked at, each as it was made."
    counts = Counter(one.drifted.value for one in drift.deviations)
    told = ", ".join(f"{count:,} {drifted}" for drifted, count in counts.items())
    of = f"{len(drift.deviations):,} of {counted(drift.looked_at, 'object')}"
    return f"Drift: {of} {'is' if len(drift.deviations) == 1 else 'are'} not as made: {told}."


def _beside(drift: Drift) -> list[str]:
    """What is not drift, and may be taken for it."""
    lines = []
    if drift.moved_on:
        lines.append(f"{counted(drift.moved_on, 'object')} went on since the last apply; the next one writes it down.")
    if drift.pending:
        addresses = "1 address of the spec is" if drift.pending == 1 else f"{drift.pending:,} addresses of the spec are"
        lines.append(f"{addresses} not applied yet; that is no drift: `glossi-sync plan`.")
    return lines


def drift_text(drift: Drift, *, width: int | None = None) -> Text:
    """The drift as styled text; ``width`` is the terminal's, in columns: None leaves lines as long as they are."""
    lines = Text()
    page = Page(width, [one.address for one in drift.deviations])
    for one in drift.deviations:
        page.line(lines, "!", one.address, one.drifted.value, one.reason, style="red")
        page.differences(lines, one.diff)
    if drift.deviations:
        lines.append("\n")
    page.paragraph(lines, drift_line(drift), style="bold")
    if drift.deviations:
        page.paragraph(lines, _WHAT_NEXT)
    for line in _beside(drift):
        page.paragraph(lines, line)
    return lines


def drift_markdown(drift: Drift, service: str) -> str:
    """The drift as Markdown of less than ``MOST_BYTES``; what had to be left out is counted."""
    lines = [marker(drift.workspace), f"### glossi-sync: drift of {code(drift.workspace)} on {shown(service)}", ""]
    lines += [f"**{drift_line(drift)}**", ""]
    left_out = 0
    if drift.deviations:
        lines += ["| | address | what, and why |", "|---|---|---|"]
        room = MOST_BYTES - byte_size(lines) - _END_BYTES
        for one in drift.deviations:
            told = [shown(one.reason), *(f"{code(diff.field)}: {shown(arrows(diff.text))}" for diff in one.diff)]
            row = f"| {one.drifted} | {code(one.address)} | {'<br>'.join(told)} |"
            room -= byte_size(row)
            if room > 0:
                lines.append(row)
            else:
                left_out += 1
        lines += [
            "",
            *([f"**{left_out:,} more did not fit here**: `glossi-sync drift` lists all.", ""] if left_out else []),
        ]
        lines += [shown(_WHAT_NEXT), ""]
    return "\n".join([*lines, *map(shown, _beside(drift))]).rstrip() + "\n"


def drift_document(drift: Drift, service: str) -> dict[str, Any]:
    """The drift as JSON values, as ``schemas/drift.schema.json`` describes them."""
    return {
        "format": FORMAT,
        "workspace": drift.workspace,
        "service": service,
        "drifted": bool(drift.deviations),
        "deviations": [
            {
                "address": one.address,
                "drifted": one.drifted.value,
                "reason": one.reason,
                "diff": [{"field": difference.field, "text": difference.text} for difference in one.diff],
            }
            for one in drift.deviations
        ],
        "lookedAt": drift.looked_at,
        "movedOn": drift.moved_on,
        "pending": drift.pending,
    }
