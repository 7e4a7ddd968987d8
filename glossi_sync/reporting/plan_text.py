"""A plan for a terminal: one line a change, its differences below it, like changes grouped, a summary at the end.

Where the terminal is too narrow for a line, what explains a change goes below it, indented. What needs attention comes
last, just above the summary, where the eyes are when the plan has scrolled by.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Sequence

from rich.console import Console
from rich.text import Text

from glossi_sync.planning import Change, Difference, Plan
from glossi_sync.reporting.words import (
    COLOURS,
    SIGNS,
    arrows,
    calls_line,
    explanation,
    forecast_line,
    likeness,
    summary_line,
    word,
)

GROUP_FROM = 24
"""So many like changes are shown as one example and a count, unless all are asked for."""

_WIDEST_ADDRESS = 48
"""Longer addresses do not push the others' explanations away."""
_WORD_WIDTH = 8
_INDENT = 6
_LEAST_WIDTH = 32
"""Of an explanation beside its address; where there is less room, it goes below."""
_QUIET = "bright_black"


def plan_text(plan: Plan, *, calls: bool = False, everything: bool = False, width: int | None = None) -> Text:
    """The plan as styled text; printed without a terminal it is plain.

    ``calls`` adds the most calls of each sort that an apply may make; ``everything`` groups nothing; ``width`` is the
    terminal's, in columns: None leaves lines as long as they are.
    """
    lines = Text()
    quiet = [change for change in plan.changes if change.trouble is None]
    troubled = [change for change in plan.changes if change.trouble is not None]
    shown = [*_shown(quiet, everything), *_shown(troubled, everything)]
    page = Page(width, [one.address for one, _ in shown])
    for number, (change, more) in enumerate(shown):
        if change.trouble is not None and number and shown[number - 1][0].trouble is None:
            lines.append("\n")
        _change(page, lines, change)
        if more:
            page.below(lines, f"… and {more:,} more like it (-v shows all)", style=_QUIET)
    if shown:
        lines.append("\n")
    page.paragraph(lines, summary_line(plan), style="bold")
    expected = forecast_line(plan)
    if expected is not None:
        page.paragraph(lines, expected)
    if plan.remark is not None:
        page.paragraph(lines, plan.remark, style="yellow")
    if plan.excess is not None:
        page.paragraph(lines, plan.excess, style="red")
    if calls:
        told = calls_line(plan.calls) if plan.calls else "none that change anything"
        page.paragraph(lines, f"Calls, at most: {told}.")
    return lines


def width_of(console: Console) -> int | None:
    """The width that a plan is to fit in: a terminal's; None for a pipe or a file, which have none."""
    return console.width if console.is_terminal else None


def _shown(changes: Sequence[Change], everything: bool) -> Iterator[tuple[Change, int]]:
    """The changes to print, each with the number of like ones that it stands for."""
    counts: Counter[Hashable] = Counter() if everything else Counter(map(likeness, changes))
    printed: set[Hashable] = set()
    for change in changes:
        kind = likeness(change)
        if counts[kind] < GROUP_FROM:
            yield change, 0
        elif kind not in printed:
            printed.add(kind)
            yield change, counts[kind] - 1


def _change(page: Page, lines: Text, change: Change) -> None:
    style = "red" if change.trouble is not None else COLOURS[change.action]
    sign = "!" if change.trouble is not None else SIGNS[change.action]
    dim = "" if change.acts or change.trouble else _QUIET
    page.line(lines, sign, change.address, word(change), explanation(change), style=style, dim=dim)
    page.differences(lines, change.diff)
    if change.note is not None and change.acts:
        page.below(lines, f"note: {change.note}", style=_QUIET)


class Page:
    """Where text goes on a terminal of some width (None: any), beside or below a column of addresses."""

    def __init__(self, width: int | None, addresses: Iterable[str]) -> None:
        self._width = width
        self._addresses = min(max(map(len, addresses), default=0), _WIDEST_ADDRESS)
        self._beside = 2 + 2 + self._addresses + 2 + _WORD_WIDTH + 2

    def line(
        self, lines: Text, sign: str, address: str, said: str, explained: str, *, style: str, dim: str = ""
    ) -> None:
        """One address: its sign, the one word for it, and what explains it."""
        lines.append(f"  {sign} ", style=style)
        lines.append(f"{address:<{self._addresses}}  ")
        if self._width is None or self._width - self._beside >= min(len(explained), _LEAST_WIDTH):
            lines.append(f"{said:<{_WORD_WIDTH}}  ", style=style)
            self._wrapped(lines, explained, self._beside, style=dim)
        else:
            lines.append(f"{said}\n", style=style)
            self.below(lines, explained, style=dim)

    def below(self, lines: Text, text: str, *, style: str = "") -> None:
        """What belongs to the address above."""
        lines.append(" " * _INDENT)
        self._wrapped(lines, text, _INDENT, style=style)

    def paragraph(self, lines: Text, text: str, *, style: str = "") -> None:
        """What belongs to all of them."""
        self._wrapped(lines, text, 0, style=style)

    def differences(self, lines: Text, diff: Sequence[Difference]) -> None:
        """The fields of the address above that differ, in one column, and how in another."""
        fields = min(max((len(one.field) for one in diff), default=0), _WIDEST_ADDRESS)
        for one in diff:
            lines.append(f"{' ' * _INDENT}{one.field + ':':<{fields + 1}} ", style=_QUIET)
            if self._width is not None and self._width - _INDENT - fields - 2 < _LEAST_WIDTH:
                lines.append(f"\n{' ' * (_INDENT + 2)}")
                self._change_of(lines, one.text, _INDENT + 2)
            else:
                self._change_of(lines, one.text, _INDENT + fields + 2)

    def _change_of(self, lines: Text, text: str, indent: int) -> None:
        """``old → new``, each in its colour; a sentence as it is."""
        old, arrow, new = text.partition(" -> ")
        short = self._width is None or indent + len(text) <= self._width
        if arrow and short and " -> " not in new and not text.endswith(")"):
            lines.append(old, style="red").append(" → ", style=_QUIET).append(f"{new}\n", style="green")
        else:
            self._wrapped(lines, arrows(text), indent)

    def _wrapped(self, lines: Text, text: str, indent: int, *, style: str = "") -> None:
        """The text and an end of line; what does not fit goes on below its beginning."""
        if self._width is None:
            lines.append(text + "\n", style=style)
            return
        room = max(self._width - indent, _LEAST_WIDTH)
        pieces = Text(text).wrap(_MEASURE, room)
        lines.append(f"\n{' ' * indent}".join(piece.plain.rstrip() for piece in pieces) + "\n", style=style)


_MEASURE = Console(width=_LEAST_WIDTH)
"""rich's wrapping asks for a console; this one prints nothing."""
