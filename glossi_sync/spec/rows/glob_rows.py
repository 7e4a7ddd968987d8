"""Rows that are files: those which a pattern with named parts finds, ``models/{template}/{sku}.glb``.

A named part stands for at least one character of a folder's or file's name, and so does every later one of the same
name; of several in one name each takes as little as it can, from the left. ``*`` and ``?`` are as in a shell, and
``**`` stands for any number of folders. The columns are the parts by name, and ``path``, the file as the pattern
begins it. Hidden files are found only by a pattern that spells their dot. The order is that of the paths.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from operator import itemgetter
from pathlib import Path

from glossi_sync.spec.neighbours import Neighbours
from glossi_sync.spec.problems import Problem, is_utf8, near
from glossi_sync.spec.rows.protocol import ColumnName, Flaw, Row, RowsError, Where

PATH = "path"
_TOKEN = re.compile(r"\{([^{}]*)\}|\*\*|[*?{}]")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ANY_FOLDERS = "**"


class GlobRows:
    """The files that a pattern finds below a folder. Raises RowsError where the pattern is wrong or finds none.

    ``written`` is the pattern as messages show it, ``base`` the folder as the user would call it.
    """

    def __init__(self, pattern: str, written: str, folder: Path, base: Path) -> None:
        self.name = written
        self._base = base
        segments = pattern.split("/")
        try:
            compiled = [_compile(segment) for segment in segments]
            self._columns = _columns(segments)
            whole = re.compile(_whole(segments), re.DOTALL)
        except _WrongPattern as error:
            raise RowsError(Problem("", 0, 0, str(error))) from None
        paths = sorted(set(_walk(str(folder), "", compiled)))
        # The folders were looked at name by name; only a whole path tells whether two parts of one name agree.
        self._rows: list[Row] = [(path, *match.groups()) for path in paths if (match := whole.fullmatch(path))]
        if not self._rows:
            raise RowsError(Problem("", 0, 0, f"no file is like {written}{_why_none(segments, folder)}"))
        listed = "\0".join(row[0] for row in self._rows)
        self.digest = hashlib.sha256(listed.encode("utf-8", "surrogateescape")).hexdigest()

    def refusal(self, column: ColumnName) -> str | None:
        """A column is a named part of the pattern, or the path."""
        if column.name in self._columns:
            return None
        hint = near(column.name, self._columns) or f"; it has {', '.join(self._columns)}"
        return f"the pattern {self.name} has no part {column.name!r}{hint}"

    def read(self, columns: Sequence[ColumnName]) -> Iterator[Row | Flaw]:
        """Each file's parts; a name that is not UTF-8 is a flaw."""
        indexes = [self._columns.index(column.name) for column in columns] or [0]
        pick = itemgetter(*indexes, indexes[0])
        for row in self._rows:
            yield pick(row) if is_utf8(row[0]) else Flaw("this file's name is not UTF-8; rename it")

    def places(self, wanted: Sequence[tuple[int, Where, str]]) -> list[Problem]:
        """What is wrong with a row is told of its file."""
        return [Problem(str(self._base / self._rows[number][0]), 0, 0, message) for number, _, message in wanted]


class _WrongPattern(Exception):
    pass


def _columns(segments: Sequence[str]) -> list[str]:
    parts = dict.fromkeys(match[1] for segment in segments for match in _TOKEN.finditer(segment) if match[1])
    return [PATH, *parts]


def _compile(segment: str) -> re.Pattern[str] | str:
    """A segment as what its names are like, or as itself where it is a plain name or ``**``. Raises _WrongPattern."""
    if segment == _ANY_FOLDERS or not _TOKEN.search(segment):
        return segment
    return re.compile(_expression(segment, {}), re.DOTALL)


def _whole(segments: Sequence[str]) -> str:
    """The regular expression of whole paths, with a group for each named part."""
    seen: dict[str, int] = {}
    expressions = []
    for segment in segments[:-1]:
        expressions.append("(?:[^/]+/)*" if segment == _ANY_FOLDERS else _expression(segment, seen) + "/")
    return "".join(expressions) + _expression(segments[-1], seen)


def _expression(segment: str, seen: dict[str, int]) -> str:
    pieces: list[str] = []
    end = 0
    for match in _TOKEN.finditer(segment):
        pieces.append(re.escape(segment[end : match.start()]))
        if match[1] is not None and end == match.start() and end and segment[end - 1] == "}":
            raise _WrongPattern(f"nothing stands between {{{match[1]}}} and the part before it")
        pieces.append(_token(match, seen))
        end = match.end()
    pieces.append(re.escape(segment[end:]))
    # As in a shell, a hidden file is not meant unless its dot is written.
    hidden = "" if segment.startswith(".") else r"(?!\.)"
    return hidden + "".join(pieces)


def _token(match: re.Match[str], seen: dict[str, int]) -> str:
    name = match[1]
    if match[0] in ("*", "?"):
        return "[^/]*" if match[0] == "*" else "[^/]"
    if name is None:
        raise _WrongPattern(
            "** stands for whole folders: a/**/b"
            if match[0] == _ANY_FOLDERS
            else f"the pattern has a {match[0]} without its partner"
        )
    if not _NAME.fullmatch(name) or name == PATH:
        raise _WrongPattern(
            "the part {path} is there already: it is the file itself"
            if name == PATH
            else f"a named part is like {{sku}}, unlike {{{name}}}"
        )
    if name in seen:
        return f"(?P={name})"
    seen[name] = len(seen)
    return f"(?P<{name}>[^/]+?)"


def _walk(folder: str, path: str, segments: Sequence[re.Pattern[str] | str]) -> Iterator[str]:
    """The files below ``folder``/``path`` that the segments describe, as paths that begin with ``path``."""
    first, *rest = segments
    if isinstance(first, str) and first != _ANY_FOLDERS:
        here = f"{path}{first}"
        if rest:
            yield from _walk(folder, f"{here}/", rest)
        elif Path(folder, here).is_file():
            yield here
        return
    if first == _ANY_FOLDERS:
        yield from _walk(folder, path, rest)
    for entry in _entries(folder, path):
        name = entry.name
        if isinstance(first, str):
            # A link to a folder further up would never end.
            if not name.startswith(".") and entry.is_dir(follow_symlinks=False):
                yield from _walk(folder, f"{path}{name}/", segments)
        elif first.fullmatch(name):
            if rest:
                if entry.is_dir():
                    yield from _walk(folder, f"{path}{name}/", rest)
            elif entry.is_file():
                yield f"{path}{name}"


def _entries(folder: str, path: str) -> list[os.DirEntry[str]]:
    # os.scandir tells what each entry is without asking for each of 100,000.
    place = os.path.join(folder, path)  # noqa: PTH118
    try:
        with os.scandir(place) as entries:
            return list(entries)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise RowsError(Problem("", 0, 0, f"the folder {path or '.'} cannot be read: {error.strerror}")) from None


def _why_none(segments: Sequence[str], folder: Path) -> str:
    """Of the folders that a pattern spells, the first that does not exist."""
    here = Path("/") if segments[0] == "" else folder
    for index, segment in enumerate(segments[:-1]):
        if _TOKEN.search(segment):
            break
        if not (here / segment).is_dir():
            return f": there is no folder {'/'.join(segments[: index + 1])}{Neighbours().suggest(str(here / segment))}"
        here /= segment
    return ""
