"""Deliveries: what the workspace's webhook was told, and what it answered. The studio's own: see ``wire``."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel

from glossi_sync.service import wire
from glossi_sync.studio import records as rows
from glossi_sync.studio.api.context import Id, TheStudio, TheWorkspace
from glossi_sync.studio.events import timestamp

router = APIRouter(tags=["webhooks"])


class DeliveryAttempt(BaseModel):
    at: str
    url: str | None
    status: int | None
    error: str | None
    seconds: float


class Delivery(BaseModel):
    id: str
    event: wire.EventName
    status: wire.DeliveryStatus
    createdAt: str
    attempts: list[DeliveryAttempt]
    payload: dict[str, Any]
    nextAttemptAt: str | None = None


class Deliveries(BaseModel):
    deliveries: list[Delivery]
    more: bool


@router.get(wire.DELIVERIES_PATH, response_model_exclude_unset=True)
async def list_deliveries(
    studio: TheStudio,
    workspace_id: TheWorkspace,
    limit: Annotated[int, Query(ge=1, le=200, description="How many at most.")] = 50,
    before: Annotated[Id | None, Query(description="Only those that came before the delivery of this id.")] = None,
) -> Deliveries:
    """The deliveries to the workspace's webhook, newest first, with every attempt. The studio's own call.

    Finished ones are remembered for 30 days, the latest 10,000 of a workspace.
    """
    found = await studio.records.read(
        lambda connection: rows.deliveries(connection, workspace_id, limit=limit + 1, before=before)
    )
    return Deliveries(deliveries=[_shown(delivery) for delivery in found[:limit]], more=len(found) > limit)


def _shown(delivery: rows.Delivery) -> Delivery:
    shown = Delivery(
        id=delivery.delivery_id,
        event=delivery.event,
        status=delivery.status,
        createdAt=timestamp(delivery.created_at),
        attempts=[
            DeliveryAttempt(
                at=timestamp(attempt.at),
                url=attempt.url,
                status=attempt.status,
                error=attempt.error,
                seconds=attempt.seconds,
            )
            for attempt in delivery.attempts
        ],
        payload=json.loads(delivery.body),
    )
    if delivery.status == wire.DELIVERY_WAITING:
        shown.nextAttemptAt = timestamp(delivery.due_at)
    return shown
