"""Records of earlier versions: brought up to date with all that is in them, or left as they were."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine, inspect

from glossi_sync.studio import records as rows
from glossi_sync.studio.records import SCHEMA_VERSION, Records, RecordsError, migrations

DATA = Path(__file__).parent / "data"


@pytest.fixture(params=["sqlite", "postgresql"])
def new_url(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], str]:
    """Makes an empty database; its URL."""
    if request.param == "postgresql":
        new_database: Callable[[], str] = request.getfixturevalue("new_database")
        return new_database
    numbers = count()
    return lambda: f"sqlite:///{tmp_path / f'{next(numbers)}.db'}"


@pytest.fixture
def earlier(new_url: Callable[[], str]) -> str:
    """The URL of a database of schema 1."""
    url = new_url()
    words = (DATA / "records-1.sql").read_text(encoding="utf-8")
    if url.startswith("postgresql"):
        words = words.replace(" DOUBLE", " DOUBLE PRECISION")
    run(url, *words.split(";\n"))
    return url


def run(url: str, *statements: str) -> None:
    engine = create_engine(url)
    with engine.begin() as connection:
        for statement in statements:
            if statement.strip():
                connection.exec_driver_sql(statement)
    engine.dispose()


def schema(url: str) -> dict[str, Any]:
    """Each table's columns, keys and indexes, whatever their order."""
    engine = create_engine(url)
    there = inspect(engine)
    found = {
        table: {
            "columns": {
                each["name"]: (str(each["type"]), each["nullable"], each["default"])
                for each in there.get_columns(table)
            },
            "indexes": {each["name"]: (each["column_names"], each["unique"]) for each in there.get_indexes(table)},
            "key": there.get_pk_constraint(table)["constrained_columns"],
            "unique": sorted(each["column_names"] for each in there.get_unique_constraints(table)),
            "foreign": sorted(
                (each["constrained_columns"], each["referred_table"]) for each in there.get_foreign_keys(table)
            ),
        }
        for table in there.get_table_names()
    }
    engine.dispose()
    return found


def test_an_earlier_schema_becomes_the_present_one(earlier: str, new_url: Callable[[], str]) -> None:
    new = new_url()
    Records(earlier).close()
    Records(new).close()
    assert schema(earlier) == schema(new)


def test_nothing_in_it_is_lost(earlier: str) -> None:
    for _ in range(2):  # upgraded, then opened again
        records = Records(earlier)
        found = records.now(lambda c: rows.models(c, "w", ["m", "n"]))
        assert found["m"] == rows.Model(
            model_id="m",
            workspace_id="w",
            name="Chair",
            file_name="chair.glb",
            file_type="glb",
            file_path="workspaces/w/models/m/model.glb",
            status="READY",
            facts={"triangles": 12},
            created_at=102.0,
            confirmed_at=103.0,
            finished_at=104.0,
        )
        assert records.now(rows.unfinished_models) == ("n",)
        assert records.now(lambda c: rows.project(c, "p")).model_ids == ("m",)
        job = records.now(lambda c: rows.render_job(c, "w", "j"))
        assert job is not None and job.settings == {"imageQuality": 1}
        assert [each.render_id for each in records.now(lambda c: rows.renders(c, "j"))] == ["r"]
        hook = records.now(lambda c: rows.webhook(c, "w"))
        assert hook is not None and (hook.secret, hook.events) == ("secret", ["render.complete"])
        assert records.now(rows.keys) == {"0123abcd": "w"}
        assert records.now(migrations.version) == SCHEMA_VERSION
        records.close()


def test_a_step_that_fails_leaves_everything_as_it_was(earlier: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = schema(earlier)

    def fail(connection: Connection) -> None:
        raise RuntimeError("the lights went out")

    monkeypatch.setattr(migrations, "STEPS", (*migrations.STEPS, fail))
    monkeypatch.setattr(migrations, "SCHEMA_VERSION", SCHEMA_VERSION + 1)
    monkeypatch.setattr("glossi_sync.studio.records.database.SCHEMA_VERSION", SCHEMA_VERSION + 1)
    with pytest.raises(RuntimeError, match="lights"):
        Records(earlier)
    assert schema(earlier) == before
    monkeypatch.undo()
    Records(earlier).close()
    assert schema(earlier) != before


def test_records_of_a_later_version_are_refused_and_left_alone(earlier: str) -> None:
    run(earlier, f"UPDATE meta SET value = '{SCHEMA_VERSION + 1}' WHERE name = 'schema'")
    before = schema(earlier)
    with pytest.raises(RecordsError, match=f"of schema {SCHEMA_VERSION + 1}, .* upgrade glossi-sync"):
        Records(earlier)
    assert schema(earlier) == before
