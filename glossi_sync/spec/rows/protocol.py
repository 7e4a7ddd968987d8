"""What the kinds of rows have in common."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from glossi_sync.spec.problems import Problem

Row = tuple[str, ...]
"""The values of the columns that were asked for, in their order."""
Where = str | int | None
"""A place in a row: a column by name, a place of the kind's own by number, or the row's beginning."""


class ColumnName(NamedTuple):
    """A column that is asked for; of an ``optional`` one a missing value is an empty text."""

    name: str
    optional: bool


class Flaw(NamedTuple):
    """Stands for a row that cannot be read. After a ``fatal`` one no row follows, although there may be more."""

    message: str
    where: Where = None
    fatal: bool = False


class RowsError(Exception):
    """Rows that cannot be read at all."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__(*map(str, problems))
        self.problems = problems


class Rows(Protocol):
    """Rows of one catalogue."""

    @property
    def name(self) -> str:
        """How messages call them: the file, or the pattern."""

    @property
    def digest(self) -> str:
        """A hash of all that they say."""

    def refusal(self, column: ColumnName) -> str | None:
        """Why a column cannot be asked for, or None where it can."""

    def read(self, columns: Sequence[ColumnName]) -> Iterator[Row | Flaw]:
        """Each row, or what is wrong with it, in order."""

    def places(self, wanted: Sequence[tuple[int, Where, str]]) -> list[Problem]:
        """Give messages their places: each is of a row by its number from 0, and a place in it."""
