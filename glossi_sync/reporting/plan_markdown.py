"""A plan as Markdown, for a pull request's comment: a summary line, then a table for each kind."""

from __future__ import annotations

from glossi_sync.planning import Change, Plan
from glossi_sync.planning.explain import size
from glossi_sync.reporting.words import calls_line, summary_line, word
from glossi_sync.resources import Kind

MOST_CHARACTERS = 60_000
"""Comments of the large forges end at 65,536 characters."""


def plan_markdown(plan: Plan) -> str:
    """The plan as Markdown of at most ``MOST_CHARACTERS``; what had to be left out is counted."""
    head = [f"### glossi-sync: {plan.workspace}", "", f"**{summary_line(plan)}**", ""]
    if plan.calls:
        uploads = f"; {size(plan.upload_bytes)} to upload" if plan.upload_bytes else ""
        head += [f"Calls, at most: {calls_line(plan.calls)}{uploads}.", ""]
    if plan.remark is not None:
        head += [plan.remark, ""]
    if plan.excess is not None:
        head += [f"> **Refused.** {plan.excess}", ""]
    room = MOST_CHARACTERS - sum(len(line) + 1 for line in head) - 200
    body: list[str] = []
    left_out = 0
    for kind in Kind:
        changes = [change for change in plan.changes if change.kind is kind]
        if not changes:
            continue
        table = [f"<details{' open' if len(changes) <= 20 else ''}><summary>{kind.value}: {len(changes)}</summary>", ""]
        table += ["| address | | |", "|---|---|---|"]
        room -= sum(len(line) + 1 for line in table) + 20
        for change in changes:
            row = _row(change)
            if len(row) + 1 > room:
                left_out += 1
                continue
            room -= len(row) + 1
            table.append(row)
        body += [*table, "", "</details>", ""]
    if left_out:
        body.append(f"{left_out} more changes did not fit here; `glossi-sync plan` lists all of them.")
    return "\n".join([*head, *body])


def _row(change: Change) -> str:
    why = [change.reason, *(f"{one.field}: {one.text}" for one in change.diff), *([change.note] if change.note else [])]
    return f"| `{change.address}` | {word(change)} | {'<br>'.join(_cell(one) for one in why)} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")
