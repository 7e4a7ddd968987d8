"""The SQL stays such that PostgreSQL runs it too, and covers every write."""

from __future__ import annotations

import re
import sqlite3
from typing import get_args

import pytest

from glossi_sync.state import Write, statements

TEXTS = {name: text for name, text in vars(statements).items() if name.isupper() and isinstance(text, str)} | {
    f"migration {version}, statement {number}": text
    for version, migration in enumerate(statements.MIGRATIONS, start=1)
    for number, text in enumerate(migration)
}


@pytest.mark.parametrize("name", TEXTS)
def test_a_statement_is_portable(name: str) -> None:
    text = TEXTS[name]
    assert "%" not in text
    assert "'" not in text and '"' not in text
    assert not re.search(r"\?\w|\w\?", text)
    assert not re.search(r"OR REPLACE|OR IGNORE|AUTOINCREMENT|WITHOUT ROWID|STRICT|PRAGMA|\bBLOB\b|\bREAL\b", text)
    # The only functions are those that every database has.
    assert set(re.findall(r"\b([A-Z_]+)\(", text)) <= {"MAX"}


def test_every_parameter_has_its_place() -> None:
    for text in TEXTS.values():
        inserted = re.search(r"INSERT INTO \w+ \(([^)]*)\)\s+VALUES \(((?:[^()]|\([^()]*\))*)\)", text)
        if inserted:
            assert len(inserted[1].split(",")) == len(inserted[2].split(","))


def test_a_select_of_many_has_a_mark_for_each() -> None:
    for select in (statements.inputs_of, statements.upload_urls_of, statements.rendered_files_of):
        assert select(3).endswith("IN (?, ?, ?)")


def test_a_whole_state_is_every_column_of_every_table() -> None:
    connection = sqlite3.connect(":memory:")
    for statement in (one for migration in statements.MIGRATIONS for one in migration):
        connection.execute(statement)
    names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    columns = {name: {row[1] for row in connection.execute(f"PRAGMA table_info({name})")} for name in names}
    # The state's own row is set apart; who holds the lock, and what is known of files, is no part of it.
    assert columns.pop("meta") == {"singleton", "schema_version", "lineage", "serial", "service", "created"}
    del columns["holders"], columns["files"], columns["remote_files"]
    assert columns == {name: set(told) for name, told in statements.TABLES.items()}


def test_every_write_is_a_named_one() -> None:
    assert {write.__name__ for write in get_args(Write)} == {
        "PutObject",
        "Bind",
        "Unbind",
        "Intend",
        "Settle",
        "AddStray",
        "PutRun",
        "PutSecret",
        "PutDownload",
        "DropDownload",
    }
