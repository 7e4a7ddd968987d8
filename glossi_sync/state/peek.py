"""A peek into a state in a file, without opening it as one: it waits for no lock, changes nothing, and cannot fail.

For a shell that completes a word, and for a look at a state that opening would bring up to date.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from glossi_sync.state import statements

NEWEST_SCHEMA = len(statements.MIGRATIONS)
"""The schema that states have once they were opened."""

_ADDRESSES = "SELECT address FROM bindings WHERE substr(address, 1, ?) = ? ORDER BY address LIMIT ?"
_SECONDS = 0.2


def schema_version(file: Path) -> int | None:
    """Which schema a state in a file has; None where there is no such file, or none that tells."""
    try:
        with closing(_connect(file)) as state:
            row = state.execute(statements.SCHEMA_VERSION).fetchone()
    except (sqlite3.Error, OSError, ValueError):
        return None
    return None if row is None else int(row[0])


def addresses_like(files: Iterable[Path], beginning: str, limit: int = 500) -> list[str]:
    """The first addresses with this beginning that any of the files binds; of a file that cannot be read, none."""
    found: set[str] = set()
    for file in files:
        try:
            with closing(_connect(file)) as state:
                found.update(row[0] for row in state.execute(_ADDRESSES, (len(beginning), beginning, limit)))
        except (sqlite3.Error, OSError, ValueError):
            continue
    return sorted(found)[:limit]


def _connect(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, timeout=_SECONDS)
