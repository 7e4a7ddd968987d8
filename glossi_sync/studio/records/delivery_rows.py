"""Deliveries: what a workspace's webhook is to be told, and what came of telling it.

A delivery's row is written in the transaction that makes true what it tells, and is WAITING until it is DELIVERED or
has FAILED for good.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from glossi_sync.service import wire
from glossi_sync.studio.records.tables import DELIVERIES


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt, begun ``at`` that time: the status that was answered, and what was wrong if anything was."""

    at: float
    url: str | None
    status: int | None
    error: str | None
    seconds: float


@dataclass(frozen=True, slots=True)
class Delivery:
    """A delivery's row. ``body`` is what is sent, letter by letter, in UTF-8; ``due_at`` when it is next attempted."""

    number: int
    delivery_id: str
    workspace_id: str
    webhook_id: str
    event: wire.EventName
    body: str
    status: wire.DeliveryStatus
    attempts: tuple[Attempt, ...]
    created_at: float
    due_at: float
    finished_at: float | None


@dataclass(frozen=True, slots=True)
class NewDelivery:
    delivery_id: str
    workspace_id: str
    webhook_id: str
    event: wire.EventName
    body: str


def add_deliveries(connection: Connection, new: Sequence[NewDelivery], now: float) -> None:
    connection.execute(
        insert(DELIVERIES),
        [
            {**asdict(delivery), "status": wire.DELIVERY_WAITING, "attempts": [], "created_at": now, "due_at": now}
            for delivery in new
        ],
    )


def deliveries(
    connection: Connection, workspace_id: str, *, limit: int, before: str | None = None
) -> tuple[Delivery, ...]:
    """The workspace's latest deliveries, newest first; or those that came before the one with the id ``before``."""
    query = select(DELIVERIES).where(DELIVERIES.c.workspace_id == workspace_id)
    if before is not None:
        of = select(DELIVERIES.c.number).where(
            DELIVERIES.c.workspace_id == workspace_id, DELIVERIES.c.delivery_id == before
        )
        query = query.where(DELIVERIES.c.number < of.scalar_subquery())
    return tuple(map(_delivery, connection.execute(query.order_by(DELIVERIES.c.number.desc()).limit(limit))))


def waiting_deliveries(
    connection: Connection, workspace_id: str, *, besides: Collection[int], limit: int
) -> tuple[Delivery, ...]:
    """The workspace's deliveries whose turn is next, but for those numbers."""
    query = (
        select(DELIVERIES)
        .where(
            DELIVERIES.c.status == wire.DELIVERY_WAITING,
            DELIVERIES.c.workspace_id == workspace_id,
            DELIVERIES.c.number.not_in(list(besides)),
        )
        .order_by(DELIVERIES.c.due_at, DELIVERIES.c.number)
        .limit(limit)
    )
    return tuple(map(_delivery, connection.execute(query)))


def workspaces_with_deliveries(connection: Connection) -> tuple[str, ...]:
    """The workspaces in which some wait."""
    query = select(DELIVERIES.c.workspace_id).where(DELIVERIES.c.status == wire.DELIVERY_WAITING).distinct()
    return tuple(connection.scalars(query.order_by(DELIVERIES.c.workspace_id)))


def record_attempt(
    connection: Connection,
    delivery: Delivery,
    attempt: Attempt,
    status: wire.DeliveryStatus,
    due_at: float,
) -> None:
    """What came of an attempt. WAITING: there is another at ``due_at``."""
    ended = status != wire.DELIVERY_WAITING
    connection.execute(
        update(DELIVERIES)
        .where(DELIVERIES.c.number == delivery.number)
        .values(
            attempts=[asdict(each) for each in (*delivery.attempts, attempt)],
            status=status,
            due_at=due_at,
            finished_at=attempt.at + attempt.seconds if ended else None,
        )
    )


def prune_deliveries(connection: Connection, *, before: float, keep: int) -> int:
    """Forget finished deliveries: those that ended before that time, and in each workspace all but the latest ``keep``.
    How many."""
    ended = DELIVERIES.c.status != wire.DELIVERY_WAITING
    gone = connection.execute(delete(DELIVERIES).where(ended, DELIVERIES.c.finished_at < before)).rowcount
    crowded = select(DELIVERIES.c.workspace_id).group_by(DELIVERIES.c.workspace_id).having(func.count() > keep)
    for workspace_id in connection.scalars(crowded).all():
        of_workspace = DELIVERIES.c.workspace_id == workspace_id
        oldest_kept = connection.scalars(
            select(DELIVERIES.c.number)
            .where(of_workspace)
            .order_by(DELIVERIES.c.number.desc())
            .offset(keep - 1)
            .limit(1)
        ).one()
        gone += connection.execute(
            delete(DELIVERIES).where(of_workspace, ended, DELIVERIES.c.number < oldest_kept)
        ).rowcount
    return gone


def _delivery(row: Row[Any]) -> Delivery:
    return Delivery(**{**row._mapping, "attempts": tuple(Attempt(**attempt) for attempt in row.attempts)})
