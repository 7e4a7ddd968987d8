"""Records: writes that share a transaction, each whole or not at all."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from glossi_sync.studio import records as rows
from glossi_sync.studio.records import Records, RecordsError, claim


@pytest.fixture(params=["SQLite", "PostgreSQL"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "SQLite":
        return f"sqlite:///{tmp_path / 'records.db'}"
    new_database: Callable[[], str] = request.getfixturevalue("new_database")
    return new_database()


@pytest.fixture
def records(url: str) -> Iterator[Records]:
    records = Records(url)
    records.claim()
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
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
        else:
            constraint = "api_keys_workspace_id_fkey"
            connection.exec_driver_sql(
                f"ALTER TABLE api_keys ALTER CONSTRAINT {constraint} DEFERRABLE INITIALLY DEFERRED"
            )
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


def test_what_was_answered_is_there_for_the_next_server(url: str) -> None:
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


def test_a_question_sees_one_state_of_the_records_however_often_it_looks(records: Records) -> None:
    began, changed = threading.Event(), threading.Event()

    def look_twice(connection: Connection) -> list[int]:
        counts = []
        for _ in range(2):
            counts.append(connection.scalar(text("SELECT count(*) FROM workspaces")))
            began.set()
            assert changed.wait(20)
        return counts

    async def work() -> list[int]:
        looking = asyncio.create_task(records.read(look_twice))
        await asyncio.to_thread(began.wait, 20)
        await records.write(lambda c: rows.ensure_workspace(c, "meanwhile", "meanwhile", 0.0))
        changed.set()
        return await looking

    assert asyncio.run(work()) == [0, 0]


def test_a_message_with_what_no_database_takes_is_kept_spelled_out(records: Records) -> None:
    records.now(lambda c: rows.ensure_workspace(c, "w", "w", 0.0))
    model = rows.Model("m", "w", "box", "box.glb", "glb", "key", "PENDING", 0.0)
    asyncio.run(records.write(lambda c: rows.add_models(c, [model])))
    asyncio.run(records.write(lambda c: rows.confirm_model(c, "m", 0.0)))
    asyncio.run(records.write(lambda c: rows.begin_analysis(c, "m")))
    message = "unknown: \0, \ud83d, 灯"
    asyncio.run(records.write(lambda c: rows.finish_analysis(c, "m", 1.0, made=None, error=message)))
    stored = asyncio.run(records.read(lambda c: rows.models(c, "w", ["m"])))["m"]
    assert stored.error_message == r"unknown: \x00, \ud83d, 灯"


# --- two servers on one database -------------------------------------------------------------------------------------


def workspace(name: str) -> Callable[[Connection], str]:
    return lambda connection: rows.ensure_workspace(connection, name, name, 0.0)


@pytest.fixture
def quick_claims(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claim, "_PATIENCE_SECONDS", 0.3)


def test_of_two_servers_the_second_is_told_who_is_there_and_keys_are_made_all_the_same(
    url: str, quick_claims: None
) -> None:
    first, second = Records(url), Records(url)
    first.claim()
    who = "it holds .*records.db.lock" if url.startswith("sqlite") else f"glossi-studio, process {os.getpid()} on "
    with pytest.raises(RecordsError, match=rf"in use by another studio \({who}"):
        second.claim()
    assert second.now(workspace("by a command")) == "by a command"
    first.close()
    second.claim()
    assert asyncio.run(second.write(workspace("by the next server"))) == "by the next server"
    second.close()


def test_a_server_whose_connection_breaks_takes_a_new_one_unless_another_server_was_faster(
    new_database: Callable[[], str], quick_claims: None
) -> None:
    url = new_database()
    first, second = Records(url), Records(url)
    first.claim()

    def break_off() -> None:
        def end(connection: Connection) -> None:
            others = "SELECT pg_terminate_backend(l.pid) FROM pg_locks l WHERE l.locktype = 'advisory' AND database = "
            connection.execute(text(others + "(SELECT oid FROM pg_database WHERE datname = current_database())"))

        second.now(end)

    def outcome(name: str) -> object:
        try:
            return asyncio.run(first.write(workspace(name)))
        except DBAPIError:
            return "broken"

    break_off()
    assert outcome("one") in {"one", "broken"}
    assert outcome("two") == "two"
    break_off()
    second.claim()
    outcome("three")
    with pytest.raises(RecordsError, match="another studio has taken over the records"):
        asyncio.run(first.write(workspace("four")))
    assert names(second) in (["one", "two"], ["two"])
    first.close()
    second.close()


def test_a_connection_that_the_database_believes_alive_is_no_other_server(
    new_database: Callable[[], str], quick_claims: None
) -> None:
    records = Records(new_database())
    records.claim()
    assert records._claim is not None
    # As after a network's failure: this side knows that the connection is gone, the database does not.
    lost = records._claim._connection
    records._claim._connection = None
    assert asyncio.run(records.write(workspace("again"))) == "again"
    assert lost is not None
    lost.invalidate()
    records.close()


def test_a_url_that_names_no_database_of_ours_is_refused() -> None:
    for url in ("mysql://host/studio", "records.db", ""):
        with pytest.raises(RecordsError, match="its URL is sqlite:///FILE or postgresql://"):
            Records(url)
    with pytest.raises(RecordsError, match=r"postgres:\*\*\*@127.0.0.1:1/x cannot be opened: .*refused"):
        Records("postgresql://postgres:secret@127.0.0.1:1/x")
