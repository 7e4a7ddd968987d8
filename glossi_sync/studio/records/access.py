"""Workspaces, and the keys to them."""

from __future__ import annotations

import hashlib

from sqlalchemy import Connection, delete, insert, select

from glossi_sync.studio.records.tables import API_KEYS, WORKSPACES


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


def set_key(connection: Connection, workspace_id: str, label: str, api_key: str | None, now: float) -> None:
    """Make ``api_key`` the only key of that label in the workspace; None: it has none."""
    connection.execute(
        delete(API_KEYS).where(API_KEYS.c.workspace_id == workspace_id, API_KEYS.c.label == label),
    )
    if api_key is not None:
        key_hash = hash_of_key(api_key)
        connection.execute(delete(API_KEYS).where(API_KEYS.c.key_hash == key_hash))
        connection.execute(
            insert(API_KEYS).values(key_hash=key_hash, workspace_id=workspace_id, label=label, created_at=now)
        )


def keys(connection: Connection) -> dict[str, str]:
    """Every valid key's hash -> its workspace."""
    return {row.key_hash: row.workspace_id for row in connection.execute(select(API_KEYS))}
