"""A plan for a terminal: one line a change, its differences below it, like changes grouped, a summary at the end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.text import Text

from glossi_sync.planning import Action, Change, Plan
from glossi_sync.planning.explain import size
from glossi_sync.reporting.words import COLOURS, SIGNS, calls_line, summary_line, word
from glossi_sync.resources import Kind

GROUP_FROM = 24
"""So many changes of one kind and action are shown as a few examples and a count, unless all are asked for."""

EXAMPLES = 5


def plan_text(plan: Plan, *, calls: bool = False, everything: bool = False) -> Text:
    """The plan as styled text; printed without a terminal it is plain.

    ``calls`` adds the most calls of each sort that an apply may make; ``everything`` groups nothing.
    """
    lines = Text()
    shown = list(_shown(plan.changes, everything))
    width = max((len(change.address) for change, _ in shown), default=0)
    for change, hidden in shown:
        lines.append_text(_line(change, width))
        if hidden:
            lines.append(f"      … and {hidden} more like it (-v shows all)\n", style="bright_black")
    if shown:
        lines.append("\n")
    lines.append(summary_line(plan) + "\n", style="bold")
    if plan.upload_bytes:
        lines.append(f"To upload: {size(plan.upload_bytes)}.\n")
    if plan.remark is not None:
        lines.append(plan.remark + "\n", style="yellow")
    if plan.excess is not None:
        lines.append(plan.excess + "\n", style="red")
    if calls:
        told = calls_line(plan.calls) if plan.calls else "none that change anything"
        lines.append(f"Calls, at most: {told}.\n")
    return lines


def _shown(changes: Sequence[Change], everything: bool) -> Iterable[tuple[Change, int]]:
    """The changes to print, each with the number of like ones that are hidden behind it."""

    def likeness(change: Change) -> tuple[Kind, Action, str, str | None]:
        return change.kind, change.action, change.reason, change.trouble

    counts: dict[tuple[Kind, Action, str, str | None], int] = {}
    for change in changes:
        counts[likeness(change)] = counts.get(likeness(change), 0) + 1
    printed: dict[tuple[Kind, Action, str, str | None], int] = {}
    for change in changes:
        kind = likeness(change)
        if everything or counts[kind] < GROUP_FROM:
            yield change, 0
            continue
        printed[kind] = printed.get(kind, 0) + 1
        if printed[kind] <= EXAMPLES:
            yield change, counts[kind] - EXAMPLES if printed[kind] == EXAMPLES else 0


def _line(change: Change, width: int) -> Text:
    style = "red" if change.trouble is not None else COLOURS[change.action]
    line = Text(f"  {'!' if change.trouble else SIGNS[change.action]} ", style=style)
    line.append(f"{change.address:<{width}}  ")
    line.append(f"{word(change):<8}  ", style=style)
    line.append(_explanation(change) + "\n", style="" if change.acts or change.trouble else "bright_black")
    for difference in change.diff:
        line.append(f"      {difference.field}: ", style="bright_black")
        line.append(f"{difference.text}\n")
    if change.note is not None and change.acts:
        line.append(f"      note: {change.note}\n", style="bright_black")
    return line


def _explanation(change: Change) -> str:
    if change.action is Action.NONE and change.trouble is None and change.note is not None:
        return change.note
    steps = " → ".join(step.name for step in change.steps)
    if change.action is Action.CREATE or (change.action is Action.REPLACE and change.diff):
        return steps
    if change.waits and not steps:
        steps = "wait"
    return f"{change.reason}: {steps}" if steps else change.reason
