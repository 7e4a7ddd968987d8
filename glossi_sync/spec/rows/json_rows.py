"""Rows of a JSON Lines file (``*.jsonl``, ``*.ndjson``): on each line an object, whose values are the columns.

A column is text, a number, true or false, taken as the text that stands in the file (``1.10`` stays ``1.10``); in an
object inside of the object it is named by both names, ``${row.size.height}``. Blank lines are passed over.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

from glossi_sync.spec.problems import Problem, near
from glossi_sync.spec.rows.protocol import ColumnName, Flaw, Row, Where
from glossi_sync.spec.rows.text import check_text, lines_of

_SPACE = re.compile(r"[ \t\r\n]*")
_KNOWN_ROWS = 1000
"""How many rows are looked at for names that one of them should have had."""


def _no_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is no value of JSON")


_DECODER = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=_no_constant)
_MISSING = object()


class JsonRows:
    """A JSON Lines file's rows, which the spec calls ``written``. Raises RowsError where it is empty or not UTF-8."""

    def __init__(self, file: str, content: bytes, written: str | None = None) -> None:
        check_text(file, content)
        self.name = written or file
        self._file = file
        self.digest = hashlib.sha256(content).hexdigest()
        self._content = content

    def refusal(self, column: ColumnName) -> str | None:
        """A column that no row has is none, unless there is a default for all of them."""
        if column.optional:
            return None
        path = column.name.split(".")
        known: dict[str, None] = {}
        for number, document in enumerate(self._documents()):
            if _find(document, path) is not _MISSING:
                return None
            if number < _KNOWN_ROWS:
                known.update(dict.fromkeys(_names(document)))
        if not known:
            return None
        hint = near(column.name, list(known)) or f"; there are {', '.join(known)}"
        return f"no row of {self.name} has {column.name!r}{hint}"

    def read(self, columns: Sequence[ColumnName]) -> Iterator[Row | Flaw]:
        """Each row; one that is no object, or lacks a value, is a flaw."""
        paths = [(name, name.split("."), optional) for name, optional in columns]
        for line in self._lines():
            try:
                document = _DECODER.decode(line)
            except json.JSONDecodeError as error:
                yield Flaw(f"this is not JSON: {error.msg}", error.pos)
                continue
            except (ValueError, RecursionError) as error:
                reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
                yield Flaw(f"this is not JSON: {reason}")
                continue
            if type(document) is not dict:
                yield Flaw("a row is an object: {…}")
                continue
            row = []
            for name, path, optional in paths:
                value = document.get(name) if len(path) == 1 else _find(document, path)
                if type(value) is not str:
                    if type(value) is bool:
                        value = "true" if value else "false"
                    elif optional and (value is None or value is _MISSING):
                        value = ""
                    else:
                        yield _no_text(document, path, value)
                        break
                row.append(value)
            else:
                yield tuple(row)

    def places(self, wanted: Sequence[tuple[int, Where, str]]) -> list[Problem]:
        """The place of each value; of one that is missing, that of its row."""
        numbers = {number for number, _, _ in wanted}
        last = max(numbers, default=-1)
        lines: dict[int, tuple[int, str]] = {}
        for number, (line_number, line) in enumerate(self._numbered_lines()):
            if number > last:
                break
            if number in numbers:
                lines[number] = line_number, line
        problems = []
        for number, where, message in wanted:
            line_number, line = lines[number]
            offset = where if isinstance(where, int) else _offset(line, where.split(".") if where else [])
            problems.append(Problem(self._file, line_number, offset + 1, message))
        return problems

    def _numbered_lines(self) -> Iterator[tuple[int, str]]:
        for number, line in enumerate(lines_of(self._content, "\n"), start=1):
            text = line.rstrip()
            if text:
                yield number, text

    def _lines(self) -> Iterator[str]:
        return (text for _, text in self._numbered_lines())

    def _documents(self) -> Iterator[dict[str, Any]]:
        for line in self._lines():
            try:
                document = _DECODER.decode(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(document, dict):
                yield document


def _no_text(document: dict[str, Any], path: list[str], value: object) -> Flaw:
    name = ".".join(path)
    if value is None and _find(document, path) is not _MISSING:
        return Flaw(f"{name!r} is null; write ${{row.{name}|default:TEXT}} where it may be", name)
    if value is None or value is _MISSING:
        hint = near(name, list(_names(document))) or f"; write ${{row.{name}|default:TEXT}} where it may be missing"
        return Flaw(f"this row has no {name!r}{hint}", name)
    return Flaw(f"{name!r} must be text, a number, true or false", name)


def _find(document: Any, path: Sequence[str]) -> Any:
    for part in path:
        if not isinstance(document, dict) or part not in document:
            return _MISSING
        document = document[part]
    return document


def _names(document: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in document.items():
        if isinstance(value, dict):
            yield from _names(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def _offset(line: str, path: Sequence[str]) -> int:
    """Where the value at a path begins in a line of JSON; the row's own beginning where there is no such value."""
    first = at = _skip(line, 0)
    for part in path:
        found = _member(line, at, part) if line[at] == "{" else None
        if found is None:
            return first
        at = found
    return at


def _member(line: str, at: int, name: str) -> int | None:
    """Where the value of a name begins in the object that begins at ``at``; of several the last, as it is read."""
    found = None
    at = _skip(line, at + 1)
    while line[at] != "}":
        key, at = _DECODER.raw_decode(line, at)
        at = _skip(line, _skip(line, at) + 1)
        if key == name:
            found = at
        _, at = _DECODER.raw_decode(line, at)
        at = _skip(line, at)
        if line[at] == ",":
            at = _skip(line, at + 1)
    return found


def _skip(line: str, at: int) -> int:
    match = _SPACE.match(line, at)
    return match.end() if match else at
