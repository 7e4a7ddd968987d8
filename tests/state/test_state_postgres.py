"""A state in PostgreSQL: opened and refused like one in a file, shared by many, and lost with the lock's connection."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Barrier
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule, run_state_machine_as_test
from test_state_model import Backends, Model

from glossi_sync.resources import Kind, Phase, Shard
from glossi_sync.state import (
    AddStray,
    Bind,
    FileStamp,
    Holder,
    Intend,
    Intent,
    MemoryState,
    Object,
    PutObject,
    Realised,
    RemoteStamp,
    Settle,
    SqlState,
    State,
    StateError,
    StateLocked,
    Stray,
    Write,
    key_file_of,
    location_of,
    open_state,
    statements,
)
from glossi_sync.state.postgres_url import read_url, schema_name

psycopg = pytest.importorskip("psycopg")
from glossi_sync.state.postgres import PostgresDatabase  # noqa: E402  (where psycopg is)

LAMP = Object(1, Kind.MODEL, "d" * 64, Phase.READY, "Desk Lamp", "m-1")
WRITES: list[Write] = [PutObject(LAMP, inputs={"file": "lamp.glb"}), Bind("model.lamp", 1)]
HOLDER = Holder(7, "glossi-sync apply", "ana", "build-7", 4711, 0.0, "spec-1")
OTHER = Holder(8, "glossi-sync apply --yes", "bo", "laptop", 99, 1.0, "spec-1")


@contextmanager
def opened(url: str, create: bool = True) -> Iterator[State]:
    with closing(open_state(url, service="local", create=create)) as state:
        yield state


def made(url: str) -> str:
    with opened(url) as state:
        state.write(WRITES)
    return url


def sql(url: str, *texts: str) -> list[tuple[object, ...]]:
    """Run statements in the state's schema, as somebody else; the rows of the last."""
    place = read_url(url)
    with psycopg.connect(**place.parameters, autocommit=True) as connection:
        connection.execute(f'SET search_path = "{place.schema}"')
        for text in texts:
            cursor = connection.execute(text)
        return list(cursor.fetchall()) if cursor.description else []


def refusal(url: str, **options: object) -> str:
    with pytest.raises(StateError) as caught:
        open_state(url, **{"service": "local", **options})  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_it_is_the_same_fold_over_writes_as_every_backend(state_database: str) -> None:
    class OnPostgres(Backends):
        @initialize()
        def begin(self) -> None:
            self.model = Model()
            self.url = f"{state_database}&schema=state_{os.urandom(6).hex()}"
            self.stamps = MemoryState(service="local")
            open_state(self.url, service="local").close()
            self.open()

        def open(self) -> None:
            self.database = SqlState(PostgresDatabase(read_url(self.url)), service="local", stamps=self.stamps)

        @property
        def states(self) -> tuple[State, ...]:
            return (self.database,)

        @rule()
        def reopen(self) -> None:
            self.database.close()
            self.open()

        @rule()
        def run(self) -> None:
            with self.database.lock(HOLDER):
                pass

        def teardown(self) -> None:
            self.database.close()

    run_state_machine_as_test(OnPostgres, settings=settings(max_examples=12, stateful_step_count=12, deadline=None))


# Names and places


def test_the_workspaces_and_services_of_a_company_fit_into_one_database(tmp_path: Path) -> None:
    url = "postgresql://ana@db/glossi"

    def schema(workspace: str, service: str, given: str = url) -> list[str]:
        return parse_qs(urlsplit(location_of(given, tmp_path, workspace, service)).query)["schema"]

    assert schema("shop", "local") == ["shop@local"]
    assert schema("shop", "https://api.glossi.app") == ["shop@api.glossi.app"]
    assert schema("shop", "local", f"{url}?sslmode=require") == ["shop@local"]
    assert schema("shop", "local", f"{url}?schema=mine") == ["mine"]
    assert location_of(None, tmp_path, "shop", "local") == str(tmp_path / "state" / "shop@local.db")
    assert location_of("a.db", tmp_path, "shop", "local") == "a.db"
    assert location_of("s3://bucket/a", tmp_path, "shop", "local") == "s3://bucket/a"


@given(st.text(min_size=1, max_size=80), st.text(min_size=1, max_size=80))
def test_two_workspaces_never_share_a_schema(one: str, other: str) -> None:
    names = [schema_name(f"{name}@local") for name in (one, other) if "\ud800" not in name]
    assert all(len(name.encode()) <= 63 for name in names)
    assert (len(set(names)) == 1) == (one == other)


def test_the_key_to_its_secrets_lies_where_the_file_would_lie(tmp_path: Path) -> None:
    here = ("shop", "local")
    assert key_file_of("postgresql://db/glossi", tmp_path, *here) == tmp_path / "state" / "shop@local.key"
    assert key_file_of("a.db", tmp_path, *here) == Path("a.key")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://ana:hunter2@db:5433/glossi?schema=a@b", "postgresql://ana@db:5433/glossi?schema=a@b"),
        ("postgres://ana:hunter2@[::1]/glossi", "postgres://ana@[::1]/glossi?schema=glossi_sync"),
        ("postgresql://ana@db/glossi?password=hunter2&schema=a", "postgresql://ana@db/glossi?schema=a"),
        ("postgresql://db/glossi?user=ana&password=hunter2", "postgresql://ana@db/glossi?schema=glossi_sync"),
        ("postgresql:///glossi?host=/run/pg&passfile=/x", "postgresql:///glossi?host=/run/pg&schema=glossi_sync"),
        ("postgresql://ana:h%40nter2@db/glossi", "postgresql://ana@db/glossi?schema=glossi_sync"),
    ],
)
def test_a_url_is_shown_without_its_password(url: str, shown: str) -> None:
    assert read_url(url).location == shown


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ana:hun/ter2@db/glossi",
        "postgresql://ana:hun@ter2@db/glossi",
        "postgresql://ana:hun#ter2@db/glossi",
        "postgresql://ana:hun?ter2@db/glossi",
        "postgresql://ana:hunter2@db:port/glossi",
        "postgresql://ana:hunter2@127.0.0.1:1/glossi",
        "postgresql://ana:hunter2@127.0.0.1:1/glossi?schema=",
        "postgresql://ana:hunter2@127.0.0.1:1/glossi?schema=pg_mine",
        "postgresql://ana:hunter2@127.0.0.1:1/glossi?hunter2=x",
    ],
)
def test_no_refusal_tells_a_password(url: str) -> None:
    said = refusal(url)
    assert "hun" not in said.replace("hunter2=x", "") or "invalid connection option" in said
    assert "ter2" not in said.replace("hunter2=x", "") or "invalid connection option" in said


def test_a_server_that_cannot_be_reached_is_told() -> None:
    said = refusal("postgresql://ana@127.0.0.1:1/glossi")
    assert said.startswith(
        "the state postgresql://ana@127.0.0.1:1/glossi?schema=glossi_sync cannot be opened: there is no connection"
    )
    assert "Connection refused" in said and "see that it runs" in said


def test_a_database_that_is_not_there_is_told(state_url: str) -> None:
    url = urlsplit(state_url)._replace(path="/nowhere").geturl()
    assert 'database "nowhere" does not exist' in refusal(url) and "the database are right" in refusal(url)


def test_without_psycopg_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "glossi_sync.state.postgres", raising=False)
    monkeypatch.setitem(sys.modules, "psycopg", None)
    assert "pip install 'glossi-sync[postgres]'" in refusal("postgresql://ana:hunter2@db/glossi")


# Opening


def test_a_plan_makes_nothing_in_a_database(state_url: str) -> None:
    with opened(state_url, create=False) as state:
        assert state.realised() == Realised()
        assert (state.lineage, state.serial) == ("", 0)
        with pytest.raises(StateError, match="does not exist yet"):
            state.write(WRITES)
    schema = read_url(state_url).schema
    assert sql(state_url, f"SELECT 1 FROM pg_namespace WHERE nspname = '{schema}'") == []


def test_what_was_written_to_a_database_is_there_again(state_url: str) -> None:
    made(state_url)
    with opened(state_url) as state:
        assert state.realised() == Realised({1: LAMP}, {"model.lamp": 1})
        assert state.inputs([1]) == {1: {"file": "lamp.glb"}}
        assert state.serial == 1


def test_many_who_make_it_at_once_share_one_database(state_url: str) -> None:
    together = Barrier(6)

    def lineage(number: int) -> str:
        together.wait()
        with opened(state_url) as state:
            state.write([PutObject(replace(LAMP, oid=number))])
            return state.lineage

    with ThreadPoolExecutor(6) as pool:
        assert len(set(pool.map(lineage, range(6)))) == 1
    with opened(state_url) as state:
        assert set(state.realised().objects) == set(range(6))
        assert state.serial == 6


def test_another_services_database_is_refused(state_url: str) -> None:
    made(state_url)
    said = refusal(state_url, service="https://api.glossi.app")
    assert "belongs to the service local, and this run speaks to https://api.glossi.app" in said


def test_a_schema_of_somebody_elses_tables_is_refused(state_url: str) -> None:
    sql(state_url, f'CREATE SCHEMA "{read_url(state_url).schema}"', "CREATE TABLE shoes (size INTEGER)")
    for create in (True, False):
        assert "holds tables, but no glossi-sync state; give another one in ?schema=" in refusal(
            state_url, create=create
        )


def test_an_empty_schema_that_an_administrator_made_is_used(state_url: str) -> None:
    sql(state_url, f'CREATE SCHEMA "{read_url(state_url).schema}"')
    made(state_url)


LATER = ("ALTER TABLE runs ADD COLUMN note TEXT", "UPDATE runs SET note = command")


def test_a_database_of_a_newer_schema_is_refused(state_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as newer:
        newer.setattr(statements, "MIGRATIONS", (*statements.MIGRATIONS, LATER))
        made(state_url)
    assert "was written by a newer glossi-sync" in refusal(state_url)


def test_a_database_of_an_older_schema_is_brought_up_to_date(state_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made(state_url)
    monkeypatch.setattr(statements, "MIGRATIONS", (*statements.MIGRATIONS, LATER))
    with ThreadPoolExecutor(4) as pool:

        def migrated(_: int) -> int:
            try:
                with opened(state_url) as state:
                    return state.serial
            except StateLocked:
                return 1

        assert set(pool.map(migrated, range(4))) == {1}
    assert sql(state_url, "SELECT schema_version FROM meta") == [(len(statements.MIGRATIONS),)]


def test_a_migration_of_a_database_that_fails_changes_nothing(state_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made(state_url)
    with monkeypatch.context() as newer:
        newer.setattr(statements, "MIGRATIONS", (*statements.MIGRATIONS, (*LATER, "UPDATE nothing SET x = 1")))
        assert "cannot be migrated" in refusal(state_url)
    with opened(state_url) as state:
        assert state.realised().bindings == {"model.lamp": 1}


def test_a_held_database_is_not_migrated(state_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(state_url) as held, held.lock(HOLDER):
        monkeypatch.setattr(statements, "MIGRATIONS", (*statements.MIGRATIONS, LATER))
        with pytest.raises(StateLocked, match="held by `glossi-sync apply` of ana on build-7"):
            open_state(state_url, service="local")


@pytest.mark.parametrize(
    "harm", ["UPDATE objects SET phase = 'molten'", "UPDATE objects SET parents = '1,x'", "DELETE FROM meta"]
)
def test_rows_in_a_database_that_nobody_wrote_are_damage(state_url: str, harm: str) -> None:
    sql(made(state_url), harm)
    with (
        pytest.raises(StateError, match="it is damaged .* restore the database from a backup"),
        opened(state_url) as state,
    ):
        state.realised()


def test_a_text_that_postgresql_cannot_keep_is_refused_in_a_sentence(state_url: str) -> None:
    with opened(state_url) as state:
        with pytest.raises(StateError, match="a text in it cannot be kept by PostgreSQL .*NUL"):
            state.write([PutObject(replace(LAMP, label="\0"))])
        assert not state.realised().objects
        state.write(WRITES)


@pytest.fixture
def stranger(state_url: str) -> Iterator[str]:
    """The URL of the state for a user who has no rights."""
    name = f"stranger_{os.urandom(4).hex()}"
    sql(state_url, f"CREATE ROLE {name} LOGIN PASSWORD 'hunter2'")
    yield state_url.replace("postgresql://postgres:@", f"postgresql://{name}:hunter2@")
    sql(state_url, f"DROP OWNED BY {name}", f"DROP ROLE {name}")


def test_a_right_that_is_missing_is_told(state_url: str, stranger: str) -> None:
    assert "cannot be created: permission denied for database" in refusal(stranger)
    assert "have the right granted to you" in refusal(stranger)
    made(state_url)
    assert "cannot be opened: permission denied for schema" in refusal(stranger)


def test_the_stamps_of_a_machines_files_stay_there(
    state_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In another container a file of the same path, inode and time may be another file."""
    stamps = {"/lamp.glb": FileStamp(1, 2, 3, "s", 4)}
    with opened(state_url) as state:
        state.put_stamps(stamps)
    with opened(state_url) as state:
        assert state.stamps() == stamps
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another machine"))
    with opened(state_url) as state:
        assert state.stamps() == {}


# A connection that is lost


def end_connections(url: str) -> None:
    """What a restart of the server, or an administrator, does to everybody who is connected to this database."""
    sql(
        url,
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )


def test_without_the_lock_a_lost_connection_is_made_anew(state_url: str) -> None:
    with opened(made(state_url)) as state:
        for act in (state.realised, lambda: state.write(WRITES), state.holders):
            end_connections(state_url)
            try:
                act()
            except StateError as error:
                # A write may have been made before the connection went: it is not made twice.
                assert "there is no connection to the server" in str(error)
                act()
        assert state.realised() == Realised({1: LAMP}, {"model.lamp": 1})
        with state.lock(HOLDER):
            state.write(WRITES)


def test_who_has_lost_the_lock_writes_nothing_more_and_may_read(state_url: str) -> None:
    with opened(made(state_url)) as state, opened(state_url) as other:
        with state.lock(HOLDER):
            end_connections(state_url)
            assert state.realised().bindings == {"model.lamp": 1}
            with other.lock(OTHER):
                other.write([Bind("model.chair", 1)])
            for _ in range(2):
                with pytest.raises(StateError, match="cannot be written: the lock is lost, because the connection"):
                    state.write([Bind("model.lamp", 2)])
            state.put_remote_stamps({"s3://shop/lamp.glb": RemoteStamp(1, "etag", "s")})
            assert not state.remote_stamps()
            assert state.realised().bindings == {"model.lamp": 1, "model.chair": 1}
        with state.lock(HOLDER):
            state.write([Bind("model.lamp", 2)])
        assert other.realised().bindings == {"model.lamp": 2, "model.chair": 1}


def test_a_lock_that_is_lost_is_found_lost_by_the_write_itself(state_url: str) -> None:
    with opened(state_url) as state, state.lock(HOLDER):
        end_connections(state_url)
        with pytest.raises(StateError, match="the lock is lost"):
            state.write(WRITES)
        assert state.realised() == Realised()


def test_who_asks_whether_the_lock_is_its_own_still_is_told(state_url: str) -> None:
    with opened(state_url) as state:
        state.assure_lock()
        with state.lock(HOLDER):
            state.assure_lock()
            end_connections(state_url)
            for _ in range(2):
                with pytest.raises(StateError, match="the lock is lost"):
                    state.assure_lock()


def test_a_server_that_stays_away_is_told_by_a_read(state_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(made(state_url)) as state:
        end_connections(state_url)
        refused = psycopg.OperationalError("connection refused")

        def away(**_: object) -> None:
            raise refused

        monkeypatch.setattr(psycopg, "connect", away)
        with pytest.raises(StateError, match="there is no connection to the server"):
            state.realised()


# The lock


def test_the_lock_that_is_broken_is_lost(state_url: str) -> None:
    with opened(made(state_url)) as state, opened(state_url, create=False) as other:
        assert other.break_lock() == []
        with state.lock(HOLDER):
            assert other.holders() == state.holders() == [HOLDER]
            assert other.break_lock() == [HOLDER]
            assert other.holders() == []
            with other.lock(OTHER), pytest.raises(StateError, match="the lock is lost"):
                state.write(WRITES)
        assert other.holders() == []


def test_who_may_not_break_the_lock_is_told_who_may(state_url: str, stranger: str) -> None:
    schema = read_url(state_url).schema
    with opened(made(state_url)) as state, state.lock(HOLDER):
        role = read_url(stranger).parameters["user"]
        sql(state_url, f'GRANT USAGE ON SCHEMA "{schema}" TO {role}')
        sql(state_url, f'GRANT SELECT ON ALL TABLES IN SCHEMA "{schema}" TO {role}')
        with opened(stranger, create=False) as other, pytest.raises(StateError) as caught:
            other.break_lock()
        assert f"{role} may not end the connection of its holder" in str(caught.value)
        assert "pg_terminate_backend(" in str(caught.value)
        state.write(WRITES)


def test_the_row_of_a_dead_holder_says_nothing(state_url: str) -> None:
    with opened(state_url) as state, opened(state_url) as other:
        with state.lock(HOLDER):
            end_connections(state_url)
            assert other.holders() == []
        assert sql(state_url, "SELECT run_id FROM holders") == [(7,)]
        with other.lock(OTHER):
            assert state.holders() == [OTHER]
            assert sql(state_url, "SELECT run_id FROM holders") == [(8,)]
    assert sql(state_url, "SELECT run_id FROM holders") == []


def test_two_states_of_one_database_are_locked_apart(state_database: str) -> None:
    urls = [f"{state_database}&schema=apart_{os.urandom(6).hex()}" for _ in range(2)]
    with opened(urls[0]) as one, opened(urls[1]) as other, one.lock(HOLDER), other.lock(HOLDER):
        assert one.holders() == other.holders() == [HOLDER]


def attempt(state: State, holder: Holder, shard: Shard | None) -> str:
    try:
        with state.lock(holder, shard):
            return "held"
    except StateLocked as error:
        return str(error)


def test_shards_are_held_side_by_side_each_once_and_of_one_spec(state_url: str) -> None:
    with opened(state_url) as one, opened(state_url) as other, opened(state_url) as third:
        with one.lock(HOLDER, Shard(1, 4)), other.lock(OTHER, Shard(4, 4)):
            assert third.holders() == [replace(HOLDER, shard=Shard(1, 4)), replace(OTHER, shard=Shard(4, 4))]
            mine = replace(HOLDER, run_id=9)
            assert attempt(third, mine, Shard(2, 4)) == "held"
            assert "`glossi-sync apply`, shard 1/4, of ana on build-7" in attempt(third, mine, Shard(1, 4))
            assert "shard 2/5 does not go with a division into 4" in attempt(third, mine, Shard(2, 5))
            assert "for one and the same spec" in attempt(third, replace(mine, spec="spec-2"), Shard(2, 4))
            assert "held by" in attempt(third, mine, None)
        with third.lock(HOLDER):
            assert "held by `glossi-sync apply` of ana" in attempt(one, OTHER, Shard(1, 4))
        assert attempt(one, replace(mine, spec="spec-2"), Shard(2, 5)) == "held"


def test_broken_shards_are_all_broken(state_url: str) -> None:
    with ExitStack() as stack:
        states = [stack.enter_context(opened(state_url)) for _ in range(3)]
        for number in (1, 2):
            stack.enter_context(states[number].lock(replace(HOLDER, run_id=number), Shard(number, 4)))
        assert [holder.run_id for holder in states[0].break_lock()] == [1, 2]
        for state in states[1:]:
            with pytest.raises(StateError, match="the lock is lost"):
                state.write(WRITES)


WRITER = """
import sys, time
from glossi_sync.resources import Kind, Phase, Shard
from glossi_sync.state import *
state = open_state(sys.argv[1], service="local")
index = int(sys.argv[2])
with state.lock(Holder(index, "glossi-sync apply", "ana", "here", 1, float(index)), Shard(index, 4)):
    for number in range(40):
        mine, call = number * 4 + index, number * 4 + index
        stamps = {f"https://{n}.glb": RemoteStamp(1, "etag", "s") for n in range(20)}
        state.put_remote_stamps(dict(reversed(stamps.items())) if index % 2 else stamps)
        state.write([Intend(Intent(call, index, "record", "POST /models", (), time.time()))])
        state.write([
            PutObject(Object(mine, Kind.MODEL, "d" * 64, Phase.READY), inputs={"file": "x"}),
            Bind(f"model.{mine}", mine),
            Settle(call, "done", time.time()),
        ])
    state.write([PutRun(Run(index, "apply", 1.0, 2.0, "converged"))])
print("done")
"""


def test_four_processes_write_their_shards_at_once(state_url: str) -> None:
    with opened(state_url) as state:
        command = [sys.executable, "-c", WRITER, state_url]
        writers = [subprocess.Popen([*command, str(index)], stdout=subprocess.PIPE, text=True) for index in range(1, 5)]
        assert [writer.communicate()[0] for writer in writers] == ["done\n"] * 4
        realised = state.realised()
        assert set(realised.objects) == set(range(1, 161))
        assert realised.bindings == {f"model.{number}": number for number in range(1, 161)}
        assert not realised.in_doubt
        assert state.serial == 160
        assert len(state.remote_stamps()) == 20
        past = state.dump().past_bindings
        assert sorted(one.serial for one in past) == list(range(1, 161))
        last = max(
            state.bindings_after(index).items() for index in range(1, 5) if len(state.bindings_after(index)) == 160
        )
        assert dict(last) == realised.bindings


def test_a_transaction_that_the_server_gives_up_is_begun_anew(state_url: str) -> None:
    """Two who take the same rows in opposite order: the state is told to give way, tries again, and nobody notices."""
    made(state_url)
    place = read_url(state_url)
    with (
        opened(f"{state_url}&options=-c%20deadlock_timeout%3D50ms") as state,
        psycopg.connect(**place.parameters) as other,
        ThreadPoolExecutor(1) as pool,
    ):
        state.write([PutObject(replace(LAMP, oid=2))])
        other.execute(f'SET search_path = "{place.schema}"')
        other.execute("SET deadlock_timeout = '1h'")
        other.execute("UPDATE objects SET label = 'other' WHERE object_id = 1")
        written = pool.submit(state.write, [PutObject(replace(LAMP, oid=oid, label="mine")) for oid in (2, 1)])
        waiting = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        while not sql(state_url, waiting):
            assert not written.done()
        other.execute("UPDATE objects SET label = 'other' WHERE object_id = 2")
        other.commit()
        written.result()
        assert {thing.label for thing in state.realised().objects.values()} == {"mine"}
        assert state.serial == 3


def test_a_refused_write_in_the_middle_leaves_the_connection_of_use(state_url: str) -> None:
    intent = Intent(5, 1, "record", "POST /models", (), 1.0)
    refused: list[tuple[list[Write], str]] = [
        ([*WRITES, Settle(6, "done", 2.0), Bind("model.b", 2)], "the journal knows no call 6"),
        ([*WRITES, Intend(intent), Intend(intent)], "it holds such a row already"),
    ]
    with opened(state_url) as state, state.lock(HOLDER):
        for writes, said in refused:
            with pytest.raises(StateError, match=said):
                state.write(writes)
            assert (state.realised(), state.serial) == (Realised(), 0)
        state.write([*WRITES, Intend(intent), Settle(5, "done", 2.0)])
        assert state.serial == 1
        assert state.holders() == [HOLDER]


def test_a_refused_write_is_forgotten_however_often_its_statements_were_run(state_url: str) -> None:
    """A driver that prepares statements behind our back would think of this one as prepared, and the server not."""
    with opened(made(state_url)) as state:
        state.write([Intend(Intent(1, 1, "record", "POST /models", (), 0.0))])
        for number in range(2, 15):
            with pytest.raises(StateError):
                state.write([AddStray(Stray(Kind.MODEL, None, "late", 0.0)), Intend(Intent(1, 1, "a", "b", (), 0.0))])
            state.write([AddStray(Stray(Kind.MODEL, None, f"{number}", 0.0))])
        assert len(state.strays()) == 13


def test_it_reads_hundreds_of_thousands_in_one_flight(state_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cost of a read is not one question an object."""
    asked = 0
    execute: Callable[..., object] = psycopg.Connection.execute

    def counting(self: object, *arguments: object, **options: object) -> object:
        nonlocal asked
        asked += 1
        return execute(self, *arguments, **options)

    with opened(state_url) as state:
        state.write([PutObject(replace(LAMP, oid=oid)) for oid in range(2000)])
        monkeypatch.setattr(psycopg.Connection, "execute", counting)
        assert len(state.realised().objects) == 2000
    assert asked <= 6
