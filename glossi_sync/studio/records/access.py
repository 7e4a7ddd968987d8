"""Workspaces, and the keys to them."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select, update

from glossi_sync.studio.records.tables import API_KEYS, WORKSPACES


@dataclass(frozen=True, slots=True)
class Workspace:
    workspace_id: str
    name: str
    created_at: float


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What is known of a key: never the key. ``workspace`` is a name; times are epoch seconds, the last use's to the
    minute."""

    key_hash: str
    key_id: str
    workspace_id: str
    workspace: str
    label: str
    created_at: float
    last_used_at: float | None


def hash_of_key(api_key: str) -> str:
    """What is stored of an API key. Keys are long and random, so one SHA-256 without salt cannot be searched
    backwards."""
    return hashlib.sha256(api_key.encode()).hexdigest()


def ensure_workspace(connection: Connection, name: str, workspace_id: str, now: float) -> str:
    """The id of the workspace of that name; made under ``workspace_id`` where there is none."""
    found = connection.scalar(select(WORKSPACES.c.workspace_id).where(WORKSPACES.c.name == name))
    if found is not None:
        return str(found)
    connection.execute(insert(WORKSPACES).values(workspace_id=workspace_id, name=name, created_at=now))
    return workspace_id


def workspace(connection: Connection, name: str) -> Workspace | None:
    """The workspace of that name."""
    row = connection.execute(select(WORKSPACES).where(WORKSPACES.c.name == name)).one_or_none()
    return None if row is None else Workspace(**row._mapping)


def workspaces(connection: Connection) -> tuple[Workspace, ...]:
    """All of them, the oldest first."""
    query = select(WORKSPACES).order_by(WORKSPACES.c.created_at, WORKSPACES.c.name)
    return tuple(Workspace(**row._mapping) for row in connection.execute(query))


def id_of_key(api_key: str) -> str:
    """What people call a key by: the middle of ``glsi_<id>_<secret>``, or the beginning of another key's hash."""
    match = re.fullmatch(r"glsi_([A-Za-z0-9]{10})_[A-Za-z0-9]{20,}", api_key)
    return match[1] if match else hash_of_key(api_key)[:10]


def add_key(connection: Connection, workspace_id: str, label: str, api_key: str, now: float) -> str:
    """One more key to the workspace; its id."""
    key_id = id_of_key(api_key)
    connection.execute(
        insert(API_KEYS).values(
            key_hash=hash_of_key(api_key), key_id=key_id, workspace_id=workspace_id, label=label, created_at=now
        )
    )
    return key_id


def set_key(connection: Connection, workspace_id: str, label: str, api_key: str | None, now: float) -> None:
    """Make ``api_key`` the only key of that label in the workspace; None: it has none."""
    same = (API_KEYS.c.workspace_id == workspace_id) & (API_KEYS.c.label == label)
    if api_key is None:
        connection.execute(delete(API_KEYS).where(same))
        return
    this = API_KEYS.c.key_hash == hash_of_key(api_key)
    connection.execute(delete(API_KEYS).where((same & ~this) | (this & ~same)))
    if connection.scalar(select(API_KEYS.c.key_hash).where(this)) is None:
        add_key(connection, workspace_id, label, api_key, now)


def api_keys(connection: Connection) -> tuple[ApiKey, ...]:
    """Every valid key, the oldest first."""
    query = (
        select(API_KEYS, WORKSPACES.c.name.label("workspace"))
        .join_from(API_KEYS, WORKSPACES)
        .order_by(API_KEYS.c.created_at, API_KEYS.c.key_hash)
    )
    # Keys of the schema's first version have no id of their own.
    return tuple(
        ApiKey(**{**row._mapping, "key_id": row.key_id or row.key_hash[:10]}) for row in connection.execute(query)
    )


def note_use(connection: Connection, key_hash: str, now: float) -> None:
    """The key was used a moment ago."""
    connection.execute(update(API_KEYS).where(API_KEYS.c.key_hash == key_hash).values(last_used_at=now))


def revoke_key(connection: Connection, key_hash: str) -> None:
    connection.execute(delete(API_KEYS).where(API_KEYS.c.key_hash == key_hash))


def keys(connection: Connection) -> dict[str, str]:
    """Every valid key's hash -> its workspace."""
    return {row.key_hash: row.workspace_id for row in connection.execute(select(API_KEYS))}
