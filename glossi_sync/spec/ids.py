"""Ids of the service that the user hands over, for what was made without glossi-sync: a CSV file, ``address,id``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from glossi_sync.spec.problems import Problem, SpecError
from glossi_sync.spec.rows import ColumnName, Flaw, RowsError
from glossi_sync.spec.rows.csv_rows import CsvRows

Column = Literal["address", "id"]
_COLUMNS: tuple[Column, Column] = ("address", "id")

Complaint = tuple[int, Column, str]
"""What is wrong with a row, by its number from 0: the column, and what is to be said of it."""


@dataclass(frozen=True, slots=True)
class GivenId:
    """One row: what ``address`` is at the service. ``number`` is the row's, from 0."""

    address: str
    remote_id: str
    number: int


class IdsFile:
    """A CSV file of ids; its first row names the columns, of which others than ``address`` and ``id`` are passed over.

    Raises:
        SpecError: it cannot be read, or is no such file; each problem with its place.
    """

    def __init__(self, path: Path) -> None:
        try:
            content = path.read_bytes()
        except OSError as error:
            raise SpecError([Problem(str(path), 0, 0, f"this file cannot be read: {error.strerror}")]) from None
        try:
            self._rows = CsvRows(str(path), content)
            columns = [ColumnName(name, optional=False) for name in _COLUMNS]
            refusals = [refusal for column in columns if (refusal := self._rows.refusal(column)) is not None]
            if refusals:
                raise SpecError(self._rows.places([(-1, 0, refusal) for refusal in refusals]))
            ids, flaws = [], []
            for number, row in enumerate(self._rows.read(columns)):
                if isinstance(row, Flaw):
                    flaws.append((number, row.where, row.message))
                else:
                    ids.append(GivenId(row[0].strip(), row[1].strip(), number))
        except RowsError as error:
            raise SpecError(error.problems) from None
        if flaws:
            raise SpecError(sorted(self._rows.places(flaws)))
        self.ids = tuple(ids)

    def complain(self, complaints: Iterable[Complaint]) -> SpecError:
        """All that is wrong with the rows as one error, each with its line and column."""
        return SpecError(sorted(self._rows.places(list(complaints))))
