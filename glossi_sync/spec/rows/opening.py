"""Which kind of rows a text names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath

from glossi_sync.spec.files import unreachable
from glossi_sync.spec.problems import Problem
from glossi_sync.spec.rows.csv_rows import CsvRows
from glossi_sync.spec.rows.glob_rows import GlobRows
from glossi_sync.spec.rows.json_rows import JsonRows
from glossi_sync.spec.rows.protocol import Rows, RowsError

_KINDS: Mapping[str, Callable[[str, bytes, str], Rows]] = {".csv": CsvRows, ".jsonl": JsonRows, ".ndjson": JsonRows}


def is_pattern(text: str) -> bool:
    """Whether a catalogue's rows are the files that a pattern finds."""
    return "{" in text or "*" in text


def open_rows(text: str, written: str, folder: Path, base: Path) -> Rows:
    """The rows that a catalogue names, as ``written``. Paths start in ``folder``, which the user would call ``base``.

    Raises:
        RowsError: they cannot be read. A problem without a file is one of ``text`` itself.
    """
    if "://" in text or "\0" in text:
        raise RowsError(Problem("", 0, 0, "rows must be files on this machine"))
    if is_pattern(text):
        return GlobRows(text, written, folder, base)
    kind = _KINDS.get(PurePosixPath(text).suffix.lower())
    if kind is None:
        raise RowsError(
            Problem("", 0, 0, 'rows must be a .csv, .jsonl or .ndjson file, or a pattern such as "models/{sku}.glb"')
        )
    try:
        content = (folder / text).read_bytes()
    except OSError as error:
        raise RowsError(Problem("", 0, 0, unreachable(error, str(folder / text), written))) from None
    return kind(str(base / text), content, written)
