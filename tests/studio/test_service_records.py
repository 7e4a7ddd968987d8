"""Records: writes that share a transaction, each whole or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError

from glossi_sync.studio import records as rows
from glossi_sync.studio.records import Records, RecordsError


@pytest.fixture
def records(tmp_path: Path) -> Iterator[Records]:
    records = Records(f"sqlite:///{tmp_path / 'records.db'}")
    yield records
    records.close()


def names(records: Records) -> list[str]:
    return sorted(records.now(lambda connection: connection.scalars(text("SELECT name FROM workspaces")).all()))


def test_of_writes_at_once_a_bad_one_is_undone_alone(records: Records) -> None:
    def write(name: str, fails: bool) -> object:
        def work(connection: Connection) -> str:
            made = rows.ensure_workspace(connection, name, name, 0.0)
            if fails:
                raise LookupError(name)
            return made

        return records.write(work)

    async def all_at_once() -> list[object]:
        writes = [write(f"w{number}", fails=number % 3 == 1) for number in range(30)]
        return await asyncio.gather(*writes, return_exceptions=True)

    outcomes = asyncio.run(all_at_once())
    for number, outcome in enumerate(outcomes):
        if number % 3 == 1:
            assert isinstance(outcome, LookupError) and str(outcome) == f"w{number}"
        else:
            assert outcome == f"w{number}", "each caller gets what its own work returned"
    assert names(records) == sorted(f"w{number}" for number in range(30) if number % 3 != 1)


def test_a_commit_that_fails_fails_every_write_in_it(records: Records) -> None:
    def fails_at_the_commit(connection: Connection) -> None:
        connection.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
        rows.set_key(connection, "a workspace that is not there", "folder", "glsi_x", 0.0)

    async def all_at_once() -> list[object]:
        return await asyncio.gather(
            # Alone, because it is first; the other two share the next transaction.
            records.write(lambda c: rows.ensure_workspace(c, "first", "first", 0.0)),
            records.write(lambda c: rows.ensure_workspace(c, "second", "second", 0.0)),
            records.write(fails_at_the_commit),
            return_exceptions=True,
        )

    first, second, third = asyncio.run(all_at_once())
    assert first == "first"
    assert isinstance(second, IntegrityError) and isinstance(third, IntegrityError)
    assert names(records) == ["first"]


def test_what_was_answered_is_there_for_the_next_server(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'records.db'}"
    first = Records(url)
    asyncio.run(first.write(lambda c: rows.ensure_workspace(c, "kept", "kept", 0.0)))
    second = Records(url)  # the first is not closed: as after a kill
    assert names(second) == ["kept"]
    first.close()
    second.close()


def test_a_database_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    (tmp_path / "records.db").mkdir()
    with pytest.raises(RecordsError, match=r"records\.db cannot be opened: unable to open database file"):
        Records(f"sqlite:///{tmp_path / 'records.db'}")
