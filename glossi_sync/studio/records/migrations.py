"""The schema's versions, and the steps from each to the next.

    version 1   workspaces, keys, models, projects, renders, webhooks
    version 2   jobs, deliveries; a model's thumbnail and GLB; a key's id, its last use; lists by age

A step mends the tables that were there before it; those that are new are made afterwards, as ``tables`` has them. So a
step finds a table or a column that is there already, or not yet, and leaves it: it changes what its version lacked.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Column, Connection, insert, inspect, select, text, update
from sqlalchemy.schema import CreateColumn

from glossi_sync.studio.records.tables import API_KEYS, META, MODELS, PROJECTS, RENDER_JOBS, metadata


def _to_2(connection: Connection) -> None:
    for column in (MODELS.c.thumbnail_path, MODELS.c.glb_path, API_KEYS.c.key_id, API_KEYS.c.last_used_at):
        _add_column(connection, column)
    for table in (MODELS, PROJECTS, RENDER_JOBS):
        if inspect(connection).has_table(table.name):
            for index in table.indexes:
                index.create(connection, checkfirst=True)


STEPS: tuple[Callable[[Connection], None], ...] = (_to_2,)
"""From version 1 to 2, from 2 to 3, and so on."""

SCHEMA_VERSION = 1 + len(STEPS)


class LaterSchema(Exception):
    """The records were written by a later version of the program; the message is that schema's version."""


def bring_up_to_date(connection: Connection) -> None:
    """Make the tables where there are none; take those of an earlier version to the present one. All or nothing, in
    the connection's transaction.

    Raises:
        LaterSchema: nothing was touched.
    """
    if connection.dialect.name == "postgresql":
        # SQLite's writers wait for each other anyway: of two programs that open old records at once, one upgrades them.
        connection.execute(text("SELECT pg_advisory_xact_lock(20250115)"))
    found = version(connection)
    if found is None:
        metadata.create_all(connection)
        connection.execute(insert(META).values(name="schema", value=str(SCHEMA_VERSION)))
        return
    if found > SCHEMA_VERSION:
        raise LaterSchema(found)
    for step in STEPS[found - 1 :]:
        step(connection)
    metadata.create_all(connection)
    connection.execute(update(META).where(META.c.name == "schema").values(value=str(SCHEMA_VERSION)))


def version(connection: Connection) -> int | None:
    """The version of the schema; None in an empty database."""
    if not inspect(connection).has_table(META.name):
        return None
    return int(connection.scalars(select(META.c.value).where(META.c.name == "schema")).one())


def _add_column(connection: Connection, column: Column[Any]) -> None:
    """Add a column, which must be one that may be null, to a table of an earlier version."""
    there = inspect(connection)
    if not there.has_table(column.table.name):
        return
    if column.name in {known["name"] for known in there.get_columns(column.table.name)}:
        return
    definition = CreateColumn(column).compile(dialect=connection.dialect)
    connection.execute(text(f"ALTER TABLE {column.table.name} ADD COLUMN {definition}"))
