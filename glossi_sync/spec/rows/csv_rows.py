"""Rows of a CSV file: RFC 4180, in UTF-8, the first row names the columns.

Blank lines are passed over. Reading is the standard library's; since its reader does not tell where a field stands, a
scanner of the same grammar does, and only when it is asked (that the two agree is a property test).
"""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Iterator, Sequence
from operator import itemgetter

from glossi_sync.spec.problems import Problem, near
from glossi_sync.spec.rows.protocol import ColumnName, Flaw, Row, RowsError, Where
from glossi_sync.spec.rows.text import check_text, lines_of, places_in

_FIELD = re.compile(r'(?:"(?:[^"]|"")*+"|(?!")[^,\r\n]*+)(,|\r\n|\r|\n|\Z)')
_OTHER_SEPARATORS = {";": "';'", "\t": "tabs", "|": "'|'"}
_BROKEN = "broken"
_HEADER = -1

# The standard library refuses a field of more than 128 KiB, to guard those who read from a stream of unknown length.
csv.field_size_limit(2**31 - 1)


class CsvRows:
    """A CSV file's rows, which the spec calls ``written``. Raises RowsError where it has no usable header."""

    def __init__(self, file: str, content: bytes, written: str | None = None) -> None:
        check_text(file, content)
        self.name = written or file
        self._file = file
        self.digest = hashlib.sha256(content).hexdigest()
        self._content = content
        try:
            header = next((record for record in self._records() if record), None)
        except csv.Error:
            raise RowsError(self._broken()) from None
        if header is None:
            raise RowsError(Problem(file, 0, 0, "this file is empty; a CSV file's first row names its columns"))
        self._header = [title.strip() for title in header]
        self._index: dict[str, int] = {}
        repeated = []
        for index, title in enumerate(self._header):
            if title and self._index.setdefault(title, index) != index:
                repeated.append((_HEADER, index, f"the header has the column {title!r} twice"))
        if repeated:
            raise RowsError(*self.places(repeated))

    def refusal(self, column: ColumnName) -> str | None:
        """A column must be in the header, whether or not its values may be empty."""
        if column.name in self._index:
            return None
        if len(self._header) == 1:
            other = next((word for sign, word in _OTHER_SEPARATORS.items() if sign in self._header[0]), None)
            if other is not None:
                return f"{self.name} separates its fields by {other}; CSV separates them by commas"
        hint = near(column.name, self._index) or f"; it has {', '.join(self._index)}"
        return f"{self.name} has no column {column.name!r}{hint}"

    def read(self, columns: Sequence[ColumnName]) -> Iterator[Row | Flaw]:
        """Each row; a row with more or fewer fields than the header is a flaw, broken quoting a fatal one."""
        width = len(self._header)
        # One index twice, since itemgetter with a single one gives no tuple.
        indexes = [self._index[column.name] for column in columns] or [0]
        pick = itemgetter(*indexes, indexes[0])
        records = filter(None, self._records())
        try:
            next(records)
            for record in records:
                if len(record) == width:
                    yield pick(record)
                else:
                    yield Flaw(_ragged(len(record), width), width if len(record) > width else 0)
        except csv.Error:
            yield Flaw(self._broken().message, _BROKEN, fatal=True)

    def places(self, wanted: Sequence[tuple[int, Where, str]]) -> list[Problem]:
        """The place of each field, which is where it begins: at its quote, if it has one."""
        fields = {(number + 1, self._field(where)) for number, where, _ in wanted if where != _BROKEN}
        last = max(fields, default=(_HEADER, 0))[0]
        text = self._content.decode("utf-8-sig")
        offsets: dict[tuple[int, int], int] = {}
        for record, field, offset in _scan(text):
            if record > last or field is None:
                break
            if (record, field) in fields:
                offsets[record, field] = offset
        places = dict(zip(offsets, places_in(text, offsets.values()), strict=True))
        return [
            self._broken()
            if where == _BROKEN
            else Problem(self._file, *places[number + 1, self._field(where)], message)
            for number, where, message in wanted
        ]

    def _field(self, where: Where) -> int:
        return self._index[where] if isinstance(where, str) else where or 0

    def _records(self) -> Iterator[list[str]]:
        return csv.reader(lines_of(self._content, ""), strict=True)

    def _broken(self) -> Problem:
        """Where the quoting breaks, which the standard library's reader does not tell."""
        text = self._content.decode("utf-8-sig")
        offset = next((offset for _, field, offset in _scan(text) if field is None), 0)
        [place] = places_in(text, [offset])
        return Problem(
            self._file,
            *place,
            "this field's quotes are never closed, or text follows them; a quote inside of a quoted field is doubled",
        )


def _ragged(fields: int, width: int) -> str:
    return f"this row has {fields} field{'s' * (fields != 1)}, the header {width}"


def _scan(text: str) -> Iterator[tuple[int, int | None, int]]:
    """Each field as the number of its record (blank ones do not count), its own number, and its offset.

    Where a field is broken, its number is None, and nothing follows.
    """
    record = field = position = 0
    while position < len(text) or field:
        match = _FIELD.match(text, position)
        if match is None:
            yield record, None, position
            return
        blank = field == 0 and match.start(1) == position and match[1] != ","
        if not blank:
            yield record, field, position
        position = match.end()
        if match[1] == ",":
            field += 1
        else:
            record += not blank
            field = 0
            if match[1] == "":
                return
