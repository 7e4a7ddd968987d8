"""The texts of a catalogue, compiled: each once into a function of a row, so that 100,000 rows take a moment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from glossi_sync.spec.filters import Filter
from glossi_sync.spec.rows import ColumnName, Row
from glossi_sync.spec.variables import Column, Literal, Substituted

Text = Callable[[Row], str]


class Columns:
    """The columns that the texts of a catalogue name; rows are read as the values of these, in this order."""

    def __init__(self) -> None:
        self._optional: dict[str, bool] = {}
        self._index: dict[str, int] = {}

    def index(self, column: Column) -> int:
        """Where a column's value stands in a row."""
        self._optional[column.name] = column.optional and self._optional.get(column.name, True)
        return self._index.setdefault(column.name, len(self._index))

    def wanted(self) -> list[ColumnName]:
        """What is to be asked of the rows."""
        return [ColumnName(name, optional) for name, optional in self._optional.items()]


@dataclass(frozen=True, slots=True)
class Field:
    """A text of a catalogue: its value in a row, and what messages show, which is not what a variable stands for.

    ``columns`` are the values of a row that it names; where it names none, it is the same in every row.
    """

    value: Text
    shown: Text
    columns: tuple[Column, ...]

    @property
    def where(self) -> str | None:
        """The column at which a problem with the value is told: the first."""
        return self.columns[0].name if self.columns else None


def compile_field(text: str, columns: Columns) -> Field:
    """Compile a text, with or without values of a row."""
    parts = text.parts if isinstance(text, Substituted) else ()
    if not parts:
        shown = text.written if isinstance(text, Substituted) else text
        return Field(_constant(str(text)), _constant(shown), ())
    value = _join([part.text if isinstance(part, Literal) else part for part in parts], columns)
    if all(part.text == part.written for part in parts if isinstance(part, Literal)):
        written = value
    else:
        written = _join([part.written if isinstance(part, Literal) else part for part in parts], columns)
    return Field(value, written, tuple(part for part in parts if isinstance(part, Column)))


def _constant(text: str) -> Text:
    return lambda row: text


def _join(parts: Sequence[str | Column], columns: Columns) -> Text:
    match [part for part in parts if part != ""]:
        # What nearly every text is like has a way of its own: "${row.title}", "models/${row.sku}.glb".
        case [part]:
            return _step(part, columns)
        case [str(before), Column(filters=()) as column, str(after)]:
            return _within(before, columns.index(column), after)
        case some:
            steps = [_step(part, columns) for part in some]
            return lambda row: "".join([step(row) for step in steps])


def _within(before: str, index: int, after: str) -> Text:
    return lambda row: f"{before}{row[index]}{after}"


def _step(part: str | Column, columns: Columns) -> Text:
    if isinstance(part, str):
        return _constant(part)
    index = columns.index(part)
    if not part.filters:
        get: Any = itemgetter(index)
        return get  # type: ignore[no-any-return]
    return _filtered(index, part.filters)


def _filtered(index: int, filters: Sequence[Filter]) -> Text:
    def value(row: Row) -> str:
        text = row[index]
        for one in filters:
            text = one(text)
        return text

    return value
