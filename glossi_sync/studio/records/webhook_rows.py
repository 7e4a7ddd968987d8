"""Each workspace's one webhook."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select

from glossi_sync.service import wire
from glossi_sync.studio.records.tables import WEBHOOKS, values_of


@dataclass(frozen=True, slots=True)
class Webhook:
    workspace_id: str
    webhook_id: str
    url: str
    secret: str
    events: list[wire.EventName]
    enabled: bool
    description: str | None
    created_at: float
    updated_at: float


def webhook(connection: Connection, workspace_id: str) -> Webhook | None:
    row = connection.execute(select(WEBHOOKS).where(WEBHOOKS.c.workspace_id == workspace_id)).one_or_none()
    return None if row is None else Webhook(**row._mapping)


def put_webhook(connection: Connection, hook: Webhook) -> None:
    """Make it the workspace's webhook, in place of the one that is there."""
    delete_webhook(connection, hook.workspace_id)
    connection.execute(insert(WEBHOOKS).values(**values_of(hook, WEBHOOKS)))


def delete_webhook(connection: Connection, workspace_id: str) -> bool:
    """Whether there was one."""
    return bool(connection.execute(delete(WEBHOOKS).where(WEBHOOKS.c.workspace_id == workspace_id)).rowcount)
