"""A plan as Markdown, for a comment on a pull request: a summary, what needs attention, then a table for each kind.

    marker, heading, summary, what to expect, what refuses it
    Needs attention     what failed, is held, or waits for such a one
    Models, Projects …  a table each, the most important changes first; hundreds of like ones in one row, their names
                        folded away below
    Previews            pictures, where there are any

All of it has less than ``MOST_BYTES``. Room is given to rows by their importance, whichever table they belong to; what
gets none is counted. Whatever comes from a spec, a state or the service is shown as it is written: it makes no markup,
mentions nobody and links nowhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from glossi_sync.planning import Action, Change, Plan
from glossi_sync.reporting.markdown import MOST_BYTES, byte_size, code, link, marker, shown
from glossi_sync.reporting.previews import Previews
from glossi_sync.reporting.words import (
    SIGNS,
    arrows,
    calls_line,
    explanation,
    forecast_line,
    likeness,
    summary_line,
    word,
)
from glossi_sync.resources import Kind

GROUP_FROM = 24
"""So many like changes are shown as one row."""

_MOST_DIFFERENCES = 8
_OPEN_UP_TO = 20
"""A table with more rows is folded."""
_MOST_IN_A_MESSAGE = 2000
_FRAME_BYTES = 400
"""Of a table without its rows, at most."""
_END_BYTES = 400
"""Of the last line, at most."""

_TITLES = {Kind.MODEL: "Models", Kind.PROJECT: "Projects", Kind.RENDER: "Renders", Kind.WEBHOOK: "Webhook"}
_IMPORTANCE = (
    Action.REPLACE,
    Action.RECREATE,
    Action.REMOVE,
    Action.FORGET,
    Action.CREATE,
    Action.RETRY,
    Action.UPDATE,
    Action.RESUME,
    Action.ADOPT,
    Action.NONE,
)
_TROUBLES = "Needs attention"


def plan_markdown(
    plan: Plan, *, service: str | None = None, saved: str | None = None, previews: Previews | None = None
) -> str:
    """The plan as Markdown of less than ``MOST_BYTES``; what had to be left out is counted.

    ``service`` is how the user knows the service, ``saved`` the file that has the whole plan, where there is one. The
    first line is an HTML comment that names the workspace, by which a pipeline finds its own comment again.
    """
    head = _head(plan, service)
    room = _Room(MOST_BYTES - 1 - byte_size(head) - _END_BYTES)
    rows = list(_rows(plan.changes))
    sections = {title: _Section(title) for title in (_TROUBLES, *_TITLES.values())}
    listed = 0
    for row in sorted(rows, key=lambda row: row.importance):
        section = sections[row.section]
        line = row.line()
        if room.take(byte_size(line) + (0 if section.rows else _FRAME_BYTES)):
            section.rows.append((row, line))
            listed += len(row.changes)
    gallery = _gallery(previews, room)
    lists = {id(row): row.names(room) for section in sections.values() for row, _ in section.rows if row.grouped}
    body = [line for section in sections.values() if section.rows for line in section.lines(lists)]
    left_out = len(plan.changes) - listed
    return "\n".join([*head, *body, *gallery, *_foot(plan, left_out, saved)]) + "\n"


class _Room:
    """The bytes that are left."""

    def __init__(self, left: int) -> None:
        self._left = left

    def take(self, count: int) -> bool:
        """Whether there was room for so many; then there is less of it."""
        if count > self._left:
            return False
        self._left -= count
        return True


@dataclass(frozen=True, slots=True)
class _Row:
    """A change, or many like ones in one row."""

    changes: tuple[Change, ...]

    @property
    def first(self) -> Change:
        return self.changes[0]

    @property
    def grouped(self) -> bool:
        return len(self.changes) > 1

    @property
    def section(self) -> str:
        return _TROUBLES if self.first.trouble is not None else _TITLES[self.first.kind]

    @property
    def importance(self) -> tuple[bool, int]:
        return self.first.trouble is None, _IMPORTANCE.index(self.first.action)

    def line(self) -> str:
        change = self.first
        sign = "!" if change.trouble is not None else SIGNS[change.action].strip()
        what = f"`{sign}`&nbsp;{word(change)}" if sign else word(change)
        who = code(change.address)
        if self.grouped:
            who += f"<br>and **{len(self.changes) - 1:,} more** like it"
        return f"| {what} | {who} | {'<br>'.join(self._why())} |"

    def _why(self) -> Iterator[str]:
        change = self.first
        yield shown(explanation(change))
        for one in change.diff[:_MOST_DIFFERENCES]:
            yield f"{code(one.field)}: {shown(arrows(one.text))}"
        if len(change.diff) > _MOST_DIFFERENCES:
            yield f"and {len(change.diff) - _MOST_DIFFERENCES} more differences"
        if change.note is not None and (change.acts or change.trouble is not None):
            yield f"note: {shown(change.note)}"

    def names(self, room: _Room) -> list[str]:
        """All addresses of the group, folded, as far as there is room for them."""
        head = f"<details><summary>{word(self.first)}: all {len(self.changes):,}</summary>"
        if not room.take(byte_size([head, "", "", "", "</details>", ""]) + 40):
            return []
        listed: list[str] = []
        for change in self.changes:
            name = code(change.address)
            if not room.take(byte_size(name) + 1):
                break
            listed.append(name)
        if len(listed) < len(self.changes):
            listed.append(f"and {len(self.changes) - len(listed):,} more")
        return [head, "", ", ".join(listed), "", "</details>", ""]


@dataclass(frozen=True, slots=True)
class _Section:
    """A table with its heading; ``rows`` as they are written."""

    title: str
    rows: list[tuple[_Row, str]] = field(default_factory=list)

    def lines(self, lists: Mapping[int, Sequence[str]]) -> list[str]:
        counts: Counter[str] = Counter()
        for row, _ in self.rows:
            counts[word(row.first)] += len(row.changes)
        told = " · ".join(f"{count:,} {what}" for what, count in counts.items())
        unfolded = " open" if len(self.rows) <= _OPEN_UP_TO or self.title == _TROUBLES else ""
        return [
            f"<details{unfolded}><summary><b>{self.title}</b>: {told}</summary>",
            "",
            "| | address | what, and why |",
            "|---|---|---|",
            *(line for _, line in self.rows),
            "",
            *(line for row, _ in self.rows for line in lists.get(id(row), ())),
            "</details>",
            "",
        ]


def _rows(changes: Iterable[Change]) -> Iterator[_Row]:
    alike: dict[Hashable, list[Change]] = {}
    for change in changes:
        alike.setdefault(likeness(change), []).append(change)
    for group in alike.values():
        if len(group) >= GROUP_FROM:
            yield _Row(tuple(group))
        else:
            yield from (_Row((change,)) for change in group)


def _head(plan: Plan, service: str | None) -> list[str]:
    where = f" on {shown(service)}" if service else ""
    lines = [marker(plan.workspace), f"### glossi-sync: {code(plan.workspace)}{where}", ""]
    if plan.excess is not None:
        lines += ["> [!CAUTION]", f"> **Refused.** {shown(plan.excess, _MOST_IN_A_MESSAGE)}", ""]
    lines += [f"**{shown(summary_line(plan), _MOST_IN_A_MESSAGE)}**", ""]
    expected = forecast_line(plan)
    if expected is not None:
        lines += [expected, ""]
    if plan.calls:
        lines += [f"Calls, at most: {shown(calls_line(plan.calls), _MOST_IN_A_MESSAGE)}.", ""]
    if plan.remark is not None:
        lines += ["> [!NOTE]", f"> **Note.** {shown(plan.remark, _MOST_IN_A_MESSAGE)}", ""]
    return lines


def _foot(plan: Plan, left_out: int, saved: str | None) -> list[str]:
    whole = f"the saved plan, {code(saved[-60:])}, has all of them" if saved else "`glossi-sync plan -v` lists all"
    if not left_out:
        return []
    which = "1 more change did" if left_out == 1 else f"{left_out:,} more changes did"
    return [f"**{which} not fit here**: {whole}."]


def _gallery(previews: Previews | None, room: _Room) -> list[str]:
    if previews is None:
        return []
    head = ["<details open><summary><b>Previews</b></summary>", ""]
    foot = ["</details>", ""]
    if not room.take(byte_size([*head, *foot]) + 160):
        return []
    lines: list[str] = []
    left_out = 0
    for preview in previews.made:
        pictures = "".join(f'<img src="{link(path)}" width="320"> ' for path in previews.links(preview))
        told = code(preview.address) + (f": {shown(preview.note)}" if preview.note else "")
        line = f"{told}<br>{pictures.rstrip()}" if pictures else told
        if room.take(byte_size(line) + 1):
            lines += [line, ""]
        else:
            left_out += 1
    more = [f"{left_out:,} more previews did not fit here.", ""] if left_out else []
    more += [previews.remark, ""] if previews.remark is not None else []
    return [*head, *lines, *more, *foot]
